"""Files of points and of meshes, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Cloud, Mesh, Sampling, draw_points, normalize_unit_sphere
from spikecli.datasets.clouds.off import read_off
from spikecli.datasets.clouds.pcd import read_pcd
from spikecli.datasets.clouds.ply import read_ply
from spikecli.errors import SpikeError
from spikecli.files.gate import reading
from spikecli.files.npy import plain_array
from spikecli.files.numbers import check_finite, numbers

__all__ = ["SUFFIXES", "Cloud", "Mesh", "load_points_of", "normalize_unit_sphere", "read_cloud"]

_FAR = 1e4  # extents from the origin beyond which float32 would blur a shape


def read_npy(path: Path, data: bytes) -> np.ndarray:
    """Return the array of an .npy file, (N, 3) or (N, 6); nothing is ever unpickled."""
    table = plain_array(data)
    if table.dtype.kind not in "fiu":
        raise SpikeError(f"{path} holds no array of real numbers; wanted (N, 3) or (N, 6); write it anew")
    return table


def read_text(path: Path, data: bytes) -> np.ndarray:
    """Return the points of a text file, float64 (N, 3) or (N, 6), a point a line, commas or spaces between."""
    lines = [line for line in data.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if not lines:
        raise SpikeError(f"{path} is empty; wanted a point a line; fetch or write the file again")
    comma = b"," in lines[0]
    widths = {line.count(b",") + 1 if comma else len(line.split()) for line in lines}
    if len(widths) > 1:
        raise SpikeError(
            f"{path} has lines of {min(widths)} and of {max(widths)} numbers; fetch or write the file again"
        )
    text = b"\n".join(lines)
    values = numbers(path, text.replace(b",", b" ") if comma else text)
    width = widths.pop()
    if values.size != width * len(lines):
        raise SpikeError(f"{path} has an empty place between two commas; fetch or write the file again")
    return values.reshape(-1, width)


_READERS: dict[str, Callable[[Path, bytes], Mesh | np.ndarray]] = {
    ".npy": read_npy,
    ".off": read_off,
    ".pcd": read_pcd,
    ".ply": read_ply,
    ".txt": read_text,
    ".xyz": read_text,
}
SUFFIXES = tuple(_READERS)


def read_cloud(path: Path) -> Cloud | Mesh:
    """Return what a .off, .ply, .pcd, .npy, .txt or .xyz file holds: a mesh, or points float32 (N, 3) or (N, 6).

    SpikeError when the file is missing, damaged, of another format, or has coordinates that are not finite.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SpikeError(f"{path} has the suffix {path.suffix!r}; wanted one of {', '.join(SUFFIXES)}")
    with reading(path, "fetch or write the file again"):
        data = path.read_bytes()
        if not data.strip():
            raise SpikeError(f"{path} is empty; fetch or write the file again")
        found = reader(path, data)
        return found if isinstance(found, Mesh) else Cloud(_checked(path, found))


def load_points_of(path: Path, count: int, sampling: Sampling = "uniform", seed: int = 0) -> np.ndarray:
    """Return `count` points of the file, float32 (count, 3), centred and in the unit sphere, the same for a seed."""
    try:
        return draw_points(read_cloud(path), count, sampling, np.random.default_rng(seed))
    except SpikeError as problem:
        text = str(problem)
        raise problem if str(path) in text else SpikeError(f"{path}: {text}") from None


def _checked(path: Path, points: np.ndarray) -> np.ndarray:
    if points.ndim != 2 or points.shape[1] not in (3, 6):
        raise SpikeError(f"{path} holds an array of shape {points.shape}; wanted (N, 3), or (N, 6) with normals")
    if len(points) < 2:
        raise SpikeError(f"{path} holds {len(points)} points; wanted a cloud; remove the file")
    check_finite(path, points)
    near = points.astype(np.float64)
    center = near[:, :3].mean(axis=0)
    if np.abs(center).max() > _FAR * np.abs(near[:, :3] - center).max():
        near[:, :3] -= center
    return near.astype(np.float32)
