"""Laser scans in the format of KITTI and nuScenes: bare float32, four or five numbers a point."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud
from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError

_REACH = 1e4  # meters; no laser scanner sees farther
_TINY = 1e-20  # what bytes of another format look like as float32
_INTENSE = 65_535  # the largest intensity in use


def read_scan(path: Path, data: bytes) -> Cloud:
    """Return the points of a scan of float32 x, y, z, intensity (KITTI), or with a ring after it (nuScenes).

    Raise SpikeError if the bytes make no sense as either.
    """
    for width in (4, 5):
        table = _as_scan(data, width)
        if table is not None:
            rest = "intensity is" if width == 4 else "intensity and ring are"
            return checked_cloud(path, table[:, :3], (f"taken for float32, {width} numbers a point; {rest} not read",))
    raise SpikeError(
        f"{path} is no scan of float32 x, y, z, intensity ({len(data)} bytes); a recording of N-MNIST's format wants a "
        "network of recordings"
    )


def looks_like_scan(data: bytes) -> bool:
    """Return whether the bytes of a .bin file are a laser scan."""
    return any(_as_scan(data, width) is not None for width in (4, 5))


def _as_scan(data: bytes, width: int) -> np.ndarray | None:
    if not data or len(data) % (4 * width):
        return None
    table = np.frombuffer(data, "<f4").reshape(-1, width)
    sizes = np.abs(table)
    # NaN fails every comparison. Zero is a value, but a denormal is the sign of other bytes.
    sane = (sizes <= _REACH) | (np.arange(width) >= 3)
    tiny = (sizes > 0) & (sizes < _TINY)
    intensity = table[:, 3]
    if not sane.all() or tiny.any() or not ((intensity >= 0) & (intensity <= _INTENSE)).all():
        return None
    if width == 5 and not (table[:, 4] == np.floor(table[:, 4])).all():
        return None
    return table
