"""Points in numpy's own files: one array, or several under names; nothing is unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import are_normals, checked_cloud, cloud_of_table
from spikecli.datasets.clouds.geometry import Cloud, Mesh
from spikecli.datasets.clouds.meshes import check_mesh, fans
from spikecli.errors import SpikeError
from spikecli.files.npy import npz_member, npz_shapes, plain_array

_POINTS = (
    "points", "point_cloud", "pointcloud", "cloud", "pc", "pts", "xyz", "pos", "positions", "coords", "coord",
    "vertices", "data",
)  # fmt: skip
_NORMALS = ("normals", "normal")
_FACES = ("faces", "triangles")


def read_npy(path: Path, data: bytes) -> Cloud:
    """Return the points of a .npy file, an array (N, 3), (N, 6) with normals, or with fields x, y and z."""
    return cloud_of_table(path, _widened(plain_array(data)))


def read_npz(path: Path, data: bytes) -> Cloud | Mesh:
    """Return the points of a .npz file, under a name such as `points` or its only array of that shape, or a mesh.

    Raise SpikeError if none of its arrays holds points, or if several may.
    """
    shapes = npz_shapes(path, data)
    lower = {name.lower(): name for name in shapes}
    name = next((lower[known] for known in _POINTS if known in lower), None)
    if name is None and {"x", "y", "z"} <= lower.keys():
        return cloud_of_table(path, np.stack([np.ravel(npz_member(path, data, lower[axis])) for axis in "xyz"], axis=1))
    if name is None:
        fitting = [one for one, shape in shapes.items() if len(shape) == 2 and shape[1] >= 3]
        if len(fitting) != 1:
            found = ", ".join(f"{one} {shape}" for one, shape in shapes.items())[:120]
            raise SpikeError(f"{path} holds the arrays {found}; wanted one named points, of shape (N, 3)")
        (name,) = fitting
    points = _widened(npz_member(path, data, name))
    faces = next((lower[known] for known in _FACES if known in lower), None)
    if faces is not None:
        triangles = npz_member(path, data, faces)
        if points.ndim != 2 or points.shape[1] != 3 or triangles.ndim != 2 or triangles.dtype.kind not in "iu":
            raise SpikeError(f"{path} has {name} {points.shape}, {faces} {triangles.shape}; wanted (V, 3) and (F, 3)")
        return check_mesh(path, points.astype(np.float64), fans(triangles.astype(np.int64)))
    normals = next((lower[known] for known in _NORMALS if known in lower), None)
    if normals is not None and points.ndim == 2 and points.shape[1] == 3 and shapes[normals] == points.shape:
        directions = npz_member(path, data, normals)
        if directions.dtype.kind == "f" and points.dtype.kind in "fiu" and are_normals(directions):
            return checked_cloud(path, np.concatenate([points, directions], axis=1))
    return cloud_of_table(path, points)


def _widened(table: np.ndarray) -> np.ndarray:
    """Return float16 as float32: sums over a cloud are beyond what float16 can hold."""
    return table.astype(np.float32) if table.dtype == np.float16 else table
