"""What a file without a header looks like, by its values."""

from __future__ import annotations

import numpy as np

_POINT = 16  # bytes: x, y, z and intensity as 32-bit floats
_SAMPLED = 4096  # points that are looked at
_FARTHEST = 1e4  # m from the scanner
_NEAREST = 1e-6


def holds_float_points(data: bytes) -> bool:
    """Return whether `data` reads as KITTI's clouds do: four 32-bit floats a point, sane coordinates, reflectance ≥ 0.

    Events of five bytes give floats of every order of magnitude instead.
    """
    if not data or len(data) % _POINT:
        return False
    values = np.frombuffer(data, "<f4", 4 * min(_SAMPLED, len(data) // _POINT)).reshape(-1, 4)
    sizes = np.abs(values[:, :3])
    sane = (sizes < _FARTHEST) & ((sizes > _NEAREST) | (sizes == 0))
    intensity = values[:, 3]
    return bool(sane.all() and (sizes > 0).any() and ((intensity >= 0) & (intensity < 1e5)).all())


def holds_five_byte_events(data: bytes) -> bool:
    """Return whether `data` reads as N-MNIST's recordings do: five bytes an event, whose times hardly ever go back."""
    count, rest = divmod(len(data), 5)
    if rest or not count or holds_float_points(data):
        return False
    rows = np.frombuffer(data, np.uint8).reshape(-1, 5)[: 4 * _SAMPLED].astype(np.int64)
    t = (rows[:, 2] & 127) << 16 | rows[:, 3] << 8 | rows[:, 4]
    back = np.diff(t) < 0
    return bool(back.mean() < 0.05) if count > 1 else True
