"""Recognize files without a header by their values."""

from __future__ import annotations

import numpy as np

_SAMPLED = 4096  # points that are looked at
_FARTHEST = 1e4  # m from the scanner
_NEAREST = 1e-6


def holds_float_points(data: bytes) -> bool:
    """Return whether `data` looks like a laser scan: four (KITTI) or five (nuScenes) 32-bit floats a point.

    Their coordinates and intensities are sane; events of five bytes give floats of every order of magnitude instead.
    """
    return any(_holds_points_of(data, width) for width in (4, 5))


def _holds_points_of(data: bytes, width: int) -> bool:
    if not data or len(data) % (4 * width):
        return False
    count = min(_SAMPLED, len(data) // (4 * width))
    values = np.frombuffer(data, "<f4", width * count).reshape(-1, width)
    sizes = np.abs(values[:, :3])
    sane = (sizes < _FARTHEST) & ((sizes > _NEAREST) | (sizes == 0))
    intensity = values[:, 3]
    return bool(sane.all() and (sizes > 0).any() and ((intensity >= 0) & (intensity < 1e5)).all())
