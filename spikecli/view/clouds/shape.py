"""The cloud or mesh that a source names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikecli.datasets.clouds.formats import SUFFIXES, read_cloud
from spikecli.datasets.clouds.geometry import Mesh, draw_facing, few_points
from spikecli.datasets.clouds.normals import PLACE, joined
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.sets import ensure_prepared, find_facts
from spikecli.errors import SpikeError
from spikecli.view.sources import split_source, told_apart

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained

MESH_POINTS = 4096  # drawn on a mesh by default


MOST_POINTS = 20_000  # shown of a larger cloud by default


@dataclass(frozen=True)
class Shape:
    """A cloud with its name: points float32 (N, 3), centered, in the unit sphere; `label` is its class where known."""

    name: str
    points: np.ndarray
    label: str = ""
    normals: np.ndarray | None = None  # (N, 3), of length 1, where the file says them

    def seen_by(self, trained: Trained) -> np.ndarray:
        """Return the points as a network reads them, (N, 3), or (N, 6) with normals; raise SpikeError without any."""
        if trained.point_inputs == PLACE:
            return self.points
        try:
            return joined(self.points, self.normals)
        except SpikeError as problem:
            raise SpikeError(f"{self.name}: {problem}") from None


def read_shape(source: str, data_dir: Path, points: int | None, seed: int, reading: ReadOptions = AS_FOUND) -> Shape:
    """Return the cloud that `source` names, with `points` points, or all if it has fewer."""
    if Path(source).suffix.lower() in SUFFIXES:
        return _of_file(Path(source), points, seed, reading)
    return _of_dataset(source, data_dir, points)


def as_trained(reading: ReadOptions, trained: Trained | None) -> ReadOptions:
    """Return how to read files for a network: with the axis up that its data set has, unless the user says another."""
    from spikecli.datasets.clouds.facts import CloudFacts
    from spikecli.datasets.provenance import facts_at_training

    if trained is None or reading.up is not None:
        return reading
    facts = facts_at_training(trained)
    return replace(reading, up=facts.up) if isinstance(facts, CloudFacts) else reading


def read_shapes(
    sources: Sequence[str], data_dir: Path, points: int | None, seed: int, reading: ReadOptions = AS_FOUND
) -> list[Shape]:
    """Return the clouds that `sources` name, no two of one name; raise SpikeError if one cannot be read."""
    found = [read_shape(source, data_dir, points, seed, reading) for source in sources]
    names = told_apart([shape.name for shape in found], sources)
    return [replace(shape, name=name) for shape, name in zip(found, names, strict=True)]


def _of_file(path: Path, points: int | None, seed: int, reading: ReadOptions) -> Shape:
    found = read_cloud(path, reading)
    if points is None:
        points = MESH_POINTS if isinstance(found, Mesh) else min(len(found.points), MOST_POINTS)
    try:
        drawn, normals = draw_facing(found, points, "uniform", np.random.default_rng(seed))
    except SpikeError as problem:
        raise SpikeError(f"{path}: {problem}") from None
    few = few_points(found, points)
    if notes := (*found.notes, *([few] if few else [])):
        reading.on_note(path, notes)
    return Shape(path.stem, drawn, normals=normals)


def _of_dataset(source: str, data_dir: Path, points: int | None) -> Shape:
    dataset, split, index = split_source(source)
    ensure_prepared(find_facts(dataset, data_dir), data_dir)
    clouds = load_points(data_dir, dataset, split, points)
    if index >= len(clouds.labels):
        raise SpikeError(f"{dataset}:{split} has clouds 0 to {len(clouds.labels) - 1}, not {index}; give one of those")
    return cloud_of(source, clouds.points[index], clouds.classnames[int(clouds.labels[index])])


def cloud_of(name: str, points: np.ndarray, label: str = "") -> Shape:
    """Return prepared points (N, 3), or (N, 6) with normals, under a name."""
    return Shape(name, points[:, :PLACE], label, points[:, PLACE:] if points.shape[1] > PLACE else None)
