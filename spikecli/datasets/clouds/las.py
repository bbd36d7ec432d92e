"""Laser scans of surveyors: LAS 1.0 to 1.4, and LAZ, its compressed form, if laspy is installed."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud
from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError
from spikecli.files.extras import needed
from spikecli.files.gate import allowed_bytes

_LEAST = 227  # bytes of a header
_SHORTEST = 20  # bytes of a point of the smallest format
_COMPRESSED = 0x80  # set in the point format of LAZ
_ROOM = 20  # bytes that unpacking takes for each point
_LASZIP = 22204  # number of the record that says how LAZ is packed
_LARGEST_CHUNK = 4_000_000  # points packed together; 50,000 by default
_LAYERED = b"\3\0"  # the packing of LAS 1.4: layers of a chunk, each with its size
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}  # of an item by its type: points, colors, colors and near infrared, waves
_BYTES = 14  # type of an item that has a layer for each byte
_VARIABLE = 0xFFFFFFFF  # instead of a size: each chunk has its own


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
        whole = _unpacked(path, data, offset)
    else:
        if length < _SHORTEST or offset < _LEAST or offset + count * length > len(data):
            raise _truncated(path, count, len(data))
        row = np.dtype({"names": ["xyz"], "formats": [("<i4", 3)], "offsets": [0], "itemsize": length})
        whole = np.frombuffer(data, row, count, offset)["xyz"]
    return checked_cloud(path, whole * scales + shifts)


def _check_packing(path: Path, data: bytes, offset: int) -> None:
    """Raise SpikeError if a LAZ file claims chunks that it cannot hold: laspy takes memory for them unchecked."""
    record = _laszip_record(data)
    chunk, items = struct.unpack_from("<I", record, 12)[0], struct.unpack_from("<H", record, 32)[0]
    (table,) = struct.unpack_from("<q", data, offset)  # where the list of chunks begins; −1: behind the last point
    inside = offset < table <= len(data) - 8
    chunks = struct.unpack_from("<I", data, table + 4)[0] if inside else 0
    sound = (inside or table == -1) and chunks <= len(data) and (chunk <= _LARGEST_CHUNK or chunk == _VARIABLE)
    if sound and record[:2] == _LAYERED:
        kinds = [struct.unpack_from("<HH", record, 34 + 6 * item) for item in range(items)]
        layers = sum(size if kind == _BYTES else _LAYERS.get(kind, 0) for kind, size in kinds)
        sound = _layers_fit(data, offset + 8, table if inside else len(data), layers)
    if not sound:
        raise SpikeError(f"{path} has a LAZ header that is damaged; export it again, or save it as .las")


def _laszip_record(data: bytes) -> bytes:
    """Return the record of a LAZ file that says how it is packed; raise ValueError if there is none."""
    place, (records,) = struct.unpack_from("<H", data, 94)[0], struct.unpack_from("<I", data, 100)
    for _ in range(min(records, 1 << 10)):
        number, length = struct.unpack_from("<HH", data, place + 18)
        if number == _LASZIP:
            return data[place + 54 : place + 54 + length]
        place += 54 + length
    raise ValueError("no record of LASzip")


def _layers_fit(data: bytes, place: int, end: int, layers: int) -> bool:
    """Return whether the chunks from `place` to `end` are as long as the sizes of their layers say."""
    (length,) = struct.unpack_from("<H", data, 105)  # of a point: each chunk begins with one, and a count of points
    while place < end - length:
        sizes = struct.unpack_from(f"<{layers}I", data, place + length + 4)
        place += length + 4 + 4 * layers + sum(sizes)
    return place <= end


def _unpacked(path: Path, data: bytes, offset: int) -> np.ndarray:
    """Return the whole-number coordinates int32 (N, 3) of a LAZ file."""
    laspy: Any = needed("laspy", f"{path}, which is compressed (LAZ),", "or save it as .las")
    _check_packing(path, data, offset)
    try:
        found = laspy.read(io.BytesIO(data))
    except laspy.LaspyException as error:
        raise SpikeError(f"{path} cannot be unpacked ({error}); export it again, or save it as .las") from None
    return np.stack([np.asarray(found.X), np.asarray(found.Y), np.asarray(found.Z)], axis=1)


def _truncated(path: Path, count: int, size: int) -> SpikeError:
    return SpikeError(f"{path} is cut short: its header promises {count} points, found {size} bytes; export it again")
