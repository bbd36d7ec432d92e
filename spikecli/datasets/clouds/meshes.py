"""Triangles from polygons and strips; vertex numbers are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Mesh
from spikecli.errors import SpikeError
from spikecli.files.numbers import check_finite


def check_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray, notes: tuple[str, ...] = ()) -> Mesh:
    """Return the mesh of triangles `faces` (F, 3); raise SpikeError if there are none, or a corner names no vertex."""
    if not len(faces):
        raise SpikeError(f"{path} has no face with three corners; wanted a mesh; remove the file")
    stray = ~((faces >= 0) & (faces < len(vertices)))  # also where a corner is not a number
    if stray.any():
        raise SpikeError(
            f"{path} has a face that names vertex {faces[stray][0]:.0f} of {len(vertices)}; remove the file"
        )
    check_finite(path, vertices)
    return Mesh(vertices, faces.astype(np.int64), notes)


def fans(corners: np.ndarray) -> np.ndarray:
    """Return triangles (F·(k − 2), 3) that cover polygons of k corners each, the rows of `corners` (F, k)."""
    if corners.shape[1] == 3:
        return corners
    found = [corners[:, [0, k, k + 1]] for k in range(1, corners.shape[1] - 1)]
    return np.concatenate(found) if found else np.zeros((0, 3))


def polygon_fans(sizes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return triangles (F, 3) that cover polygons of `sizes` (P,) corners, stored one after another in `corners`."""
    if len(sizes) and sizes[0] >= 3 and (sizes == sizes[0]).all():  # nearly every file
        return fans(corners.reshape(len(sizes), -1))
    starts = np.cumsum(sizes) - sizes
    found = [np.zeros((0, 3))]
    for size in np.unique(sizes[sizes >= 3]):
        found.append(fans(corners[starts[sizes == size][:, None] + np.arange(size)]))
    return np.concatenate(found)


def strip_triangles(strip: np.ndarray) -> np.ndarray:
    """Return triangles (F, 3) of strips of vertex numbers (n,): three in a row are one, −1 begins the next strip.

    Every second triangle is turned over, so that all face one way. Those with two equal corners only link strips.
    """
    if len(strip) < 3:
        return np.zeros((0, 3))
    numbers = np.arange(len(strip))
    begins = np.maximum.accumulate(np.where(strip < 0, numbers + 1, 0))
    triangles = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
    odd = (numbers - begins)[:-2] % 2 == 1
    triangles[odd] = triangles[odd][:, [1, 0, 2]]
    a, b, c = triangles.T
    return triangles[(triangles >= 0).all(axis=1) & (a != b) & (b != c) & (a != c)]
