"""Laser scans of surveyors: LAS 1.0 to 1.4, and LAZ, its compressed form, if laspy is installed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud
from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError
from spikecli.files.gate import allowed_bytes

_LEAST = 227  # bytes of a header
_SHORTEST = 20  # bytes of a point of the smallest format
_COMPRESSED = 0x80  # set in the point format of LAZ
_ROOM = 20  # bytes that unpacking takes for each point


def read_las(path: Path, data: bytes) -> Cloud:
    """Return the points in a LAS or LAZ file's bytes; raise SpikeError if damaged, or if LAZ cannot be unpacked."""
    if data[:4] != b"LASF" or len(data) < _LEAST:
        raise SpikeError(f"{path} has no LAS header; remove the file or export it again")
    offset, kind, length, count = struct.unpack_from("<IxxxxBHI", data, 96)
    if data[24:26] == b"\x01\x04" and len(data) >= 255:
        (count,) = struct.unpack_from("<Q", data, 247)
    scales, shifts = np.frombuffer(data, "<f8", 3, 131), np.frombuffer(data, "<f8", 3, 155)
    if not np.isfinite(scales).all() or not np.isfinite(shifts).all() or not scales.all():
        raise SpikeError(f"{path} has a LAS header without a scale or an offset; export it again")
    if kind & _COMPRESSED or path.suffix.lower() == ".laz":
        if count * _ROOM > allowed_bytes(path):
            raise _truncated(path, count, len(data))
        whole = _unpacked(path, data)
    else:
        if length < _SHORTEST or offset < _LEAST or offset + count * length > len(data):
            raise _truncated(path, count, len(data))
        row = np.dtype({"names": ["xyz"], "formats": [("<i4", 3)], "offsets": [0], "itemsize": length})
        whole = np.frombuffer(data, row, count, offset)["xyz"]
    return checked_cloud(path, whole * scales + shifts)


def _unpacked(path: Path, data: bytes) -> np.ndarray:
    """Return the whole-number coordinates int32 (N, 3) of a LAZ file."""
    try:
        import laspy
    except ImportError:
        raise SpikeError(
            f"{path} is compressed (LAZ), and laspy is not installed; run `pip install 'laspy[lazrs]'`, "
            "or save it as .las"
        ) from None
    try:
        found = laspy.read(io.BytesIO(data))
    except laspy.LaspyException as error:
        raise SpikeError(f"{path} cannot be unpacked ({error}); export it again, or save it as .las") from None
    return np.stack([np.asarray(found.X), np.asarray(found.Y), np.asarray(found.Z)], axis=1)


def _truncated(path: Path, count: int, size: int) -> SpikeError:
    return SpikeError(f"{path} is cut short: its header promises {count} points, found {size} bytes; export it again")
