"""Files of points and of meshes, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.arrays import read_npy, read_npz
from spikecli.datasets.clouds.geometry import (
    Cloud,
    Mesh,
    Sampling,
    draw_points,
    few_points,
    normalize_unit_sphere,
    points_as_given,
    turned,
)
from spikecli.datasets.clouds.kitti import looks_like_scan, read_scan
from spikecli.datasets.clouds.las import read_las
from spikecli.datasets.clouds.obj import read_obj
from spikecli.datasets.clouds.off import read_off
from spikecli.datasets.clouds.pcd import read_pcd
from spikecli.datasets.clouds.ply import read_ply
from spikecli.datasets.clouds.stl import read_stl
from spikecli.datasets.clouds.text import read_text
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.gate import reading

__all__ = [
    "SUFFIXES",
    "Cloud",
    "Mesh",
    "Sample",
    "load_points_of",
    "looks_like_scan",
    "normalize_unit_sphere",
    "read_cloud",
    "read_sample",
    "sample_of",
]

READERS: dict[str, Callable[[Path, bytes], Mesh | Cloud]] = {
    ".npy": read_npy,
    ".off": read_off,
    ".pcd": read_pcd,
    ".ply": read_ply,
    ".txt": read_text,
    ".xyz": read_text,
    ".obj": read_obj,
    ".stl": read_stl,
    ".npz": read_npz,
    ".las": read_las,
    ".laz": read_las,
    ".bin": read_scan,
    ".pts": read_text,
    ".asc": read_text,
    ".csv": read_text,
    ".xyzn": read_text,
    ".xyzrgb": read_text,
}
SUFFIXES = tuple(READERS)


@dataclass(frozen=True)
class Sample:
    """Points float32 (N, 3 or 6) as network input, and notes on what reading their file guessed or left out."""

    points: np.ndarray
    notes: tuple[str, ...]


def read_cloud(path: Path, options: ReadOptions = AS_FOUND) -> Cloud | Mesh:
    """Return the mesh in a file, or its points float32 (N, 3), or (N, 6) with normals.

    `options.up` is the axis that points up in the file; the answer's is z. Its `notes` say what was guessed or left
    out. Raise SpikeError if the file is missing, damaged, or of another format.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SpikeError(f"{path} has the suffix {path.suffix!r}; wanted one of {', '.join(SUFFIXES)}")
    # Damaged bytes make numbers that no cast can hold; what is not finite is looked for afterwards.
    with reading(path, "write the file again"), np.errstate(all="ignore"):
        data = path.read_bytes()
        if not data.strip():
            raise SpikeError(f"{path} is empty; write the file again")
        return turned(reader(path, data), options.up)


def read_sample(
    path: Path,
    count: int,
    sampling: Sampling = "uniform",
    seed: int = 0,
    options: ReadOptions = AS_FOUND,
    normals: bool = False,
) -> Sample:
    """Return `count` points of the file, float32 (count, 3), centered and in the unit sphere, the same for a seed.

    With `normals` each is followed by its normal, (count, 6). Raise SpikeError, naming the file, if it cannot be read,
    is no shape, or has no normals.
    """
    shape = read_cloud(path, options)
    try:
        return sample_of(shape, count, sampling, np.random.default_rng(seed), points_as_given, normals)
    except SpikeError as problem:
        raise SpikeError(f"{path}: {problem}") from None


def sample_of(
    shape: Cloud | Mesh,
    count: int,
    sampling: Sampling,
    generator: np.random.Generator,
    draw: Callable[[Mesh | Cloud, int, Sampling, np.random.Generator, bool], np.ndarray] = draw_points,
    normals: bool = False,
) -> Sample:
    """Return `count` points of a shape, drawn by `draw`, with the shape's notes, and one where it has fewer."""
    few = few_points(shape, count)
    points = draw(shape, count, sampling, generator, normals)
    return Sample(points, (*shape.notes, *([few] if few else [])))


def load_points_of(path: Path, count: int, sampling: Sampling = "uniform", seed: int = 0) -> np.ndarray:
    """Return the points of `read_sample` alone, float32 (count, 3)."""
    return read_sample(path, count, sampling, seed).points
