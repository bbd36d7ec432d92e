"""What `view` is asked to look at: a file of points, a mesh or events, or one sample of a prepared data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.catalog import POINT_SETS
from spikecli.datasets.event_formats import DECODERS
from spikecli.datasets.event_sets import EVENT_SETS
from spikecli.datasets.geometry import Mesh, draw_facing
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
    normals: np.ndarray | None = None  # (N, 3), of length 1, where the file says them


def kind_of(source: str) -> str:
    """Return which kind of thing `source` names: "points", "events" or "runs". SpikeError when it cannot be shown."""
    if Path(source).is_dir():
        if is_run(Path(source)):
            return "runs"
        raise SpikeError(f"found no training run in the folder {source}; give one that `spikecli train` wrote")
    suffix, dataset = Path(source).suffix.lower(), source.split(":")[0]
    if dataset in POINT_SETS:
        return "points"
    if dataset in EVENT_SETS:
        return "events"
    if suffix in SUFFIXES and suffix in DECODERS:
        return _kind_of_array(Path(source))
    if suffix in SUFFIXES:
        return "points"
    if suffix in DECODERS:
        return "events"
    raise SpikeError(
        f"cannot tell what {source!r} is; give a file ({', '.join(SUFFIXES)} of points, {', '.join(DECODERS)} of "
        "events), DATASET:SPLIT:INDEX, such as shapes:test:0 or digits:test:0, or a run folder "
        f"(data sets: {', '.join([*POINT_SETS, *EVENT_SETS])})"
    )


def _kind_of_array(path: Path) -> str:
    """Return what a .npy file holds: events have four columns or named ones, points three or six."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return "points"  # their reader says what is wrong with it
    return "events" if found.dtype.names or found.shape[-1:] == (4,) else "points"


def split_source(source: str) -> tuple[str, str, int]:
    """Return the three parts of DATASET:SPLIT:INDEX; SpikeError when it is not of that form."""
    dataset, _, rest = source.partition(":")
    split, _, number = rest.partition(":")
    if not number.isdecimal():
        raise SpikeError(f"found {source!r}; wanted DATASET:SPLIT:INDEX with a number from 0, such as {dataset}:test:0")
    return dataset, split, int(number)


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
        drawn, normals = draw_facing(found, points, "uniform", np.random.default_rng(seed))
    except SpikeError as problem:
        raise SpikeError(f"{path}: {problem}") from None
    return Shape(path.stem, drawn, normals=normals)


def _of_dataset(source: str, data_dir: Path, points: int | None) -> Shape:
    dataset, split, index = split_source(source)
    clouds = load_points(data_dir, dataset, split, points)
    if index >= len(clouds.labels):
        raise SpikeError(f"{dataset}:{split} has clouds 0 to {len(clouds.labels) - 1}, not {index}; give one of those")
    return Shape(source, clouds.points[index], clouds.classnames[int(clouds.labels[index])])
