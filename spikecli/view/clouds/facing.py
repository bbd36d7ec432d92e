"""Normals of a cloud's points, and colors for them."""

from __future__ import annotations

import numpy as np

NEIGHBORS = 16
# For surfaces that face along x, y and z; color-blind people can distinguish them, on light and dark themes.
AXES = ("#e69f00", "#cc4c9c", "#1f86d0")
LEGEND = "color: where the surface faces · orange: left or right (x) · pink: front or back (y) · blue: up or down (z)"


def estimate_normals(points: np.ndarray) -> np.ndarray:
    """Return unit normals (N, 3) of either sign: at each point of a cloud (N, 3) the direction in which its nearest
    neighbors spread the least."""
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBORS, len(points))
    near = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(points, return_distance=False)
    around = points[near].astype(np.float64)
    around -= around.mean(axis=1, keepdims=True)
    _, directions = np.linalg.eigh(around.transpose(0, 2, 1) @ around)  # the least spread first
    return directions[:, :, 0]


def colors_of_normals(normals: np.ndarray) -> np.ndarray:
    """Return colors (N, 3) in 0…1 of unit normals (N, 3): the squares of their parts, which add up to 1, mix the axes'
    colors, so that a normal and its opposite, which no scanned or drawn surface tells apart, look the same."""
    from matplotlib.colors import to_rgb

    return np.clip(np.square(normals) @ np.array([to_rgb(color) for color in AXES]), 0, 1)
