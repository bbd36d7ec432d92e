"""What `view` is asked to look at: a file of points or a mesh, or one cloud of a prepared data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.catalog import POINT_SETS
from spikecli.datasets.geometry import Mesh, draw_points
from spikecli.datasets.pointcloud import SUFFIXES, read_cloud
from spikecli.datasets.prepared import load_points
from spikecli.errors import SpikeError
from spikecli.view.curves import is_run

MESH_POINTS = 4096  # drawn on a mesh unless told otherwise
MOST_POINTS = 20_000  # shown of a larger cloud unless told otherwise


@dataclass(frozen=True)
class Shape:
    """A cloud with its name: points float32 (N, 3), centered, in the unit sphere; `label` is its class where known."""

    name: str
    points: np.ndarray
    label: str = ""


def kind_of(source: str) -> str:
    """Return which kind of thing `source` names: "points" or "runs". SpikeError when it cannot be shown."""
    if Path(source).is_dir():
        if is_run(Path(source)):
            return "runs"
        raise SpikeError(f"found no training run in the folder {source}; give one that `spikecli train` wrote")
    if Path(source).suffix.lower() in SUFFIXES or source.split(":")[0] in POINT_SETS:
        return "points"
    raise SpikeError(
        f"cannot tell what {source!r} is; give a file ({', '.join(SUFFIXES)}) or DATASET:SPLIT:INDEX, such as "
        f"shapes:test:0, or a run folder (data sets: {', '.join(POINT_SETS)})"
    )


def read_shape(source: str, data_dir: Path, points: int | None, seed: int) -> Shape:
    """Return the cloud that `source` names, with `points` of its points, or as many as there are."""
    if Path(source).suffix.lower() in SUFFIXES:
        return _of_file(Path(source), points, seed)
    return _of_dataset(source, data_dir, points)


def _of_file(path: Path, points: int | None, seed: int) -> Shape:
    found = read_cloud(path)
    if points is None:
        points = MESH_POINTS if isinstance(found, Mesh) else min(len(found.points), MOST_POINTS)
    try:
        drawn = draw_points(found, points, "uniform", np.random.default_rng(seed))
    except SpikeError as problem:
        raise SpikeError(f"{path}: {problem}") from None
    return Shape(path.stem, drawn)


def _of_dataset(source: str, data_dir: Path, points: int | None) -> Shape:
    dataset, _, rest = source.partition(":")
    split, _, number = rest.partition(":")
    if not number.isdecimal():
        raise SpikeError(f"found {source!r}; wanted DATASET:SPLIT:INDEX with a number from 0, such as {dataset}:test:0")
    clouds = load_points(data_dir, dataset, split, points)
    index = int(number)
    if index >= len(clouds.labels):
        raise SpikeError(f"{dataset}:{split} has clouds 0 to {len(clouds.labels) - 1}, not {index}; give one of those")
    return Shape(source, clouds.points[index], clouds.classnames[int(clouds.labels[index])])
