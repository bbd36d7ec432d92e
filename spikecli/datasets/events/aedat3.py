"""Decoder of AEDAT 3.1 (cAER, DVS128 Gesture): packets of polarity events among others.

tonic's own readers of 2.0 and 3.1 fail on the header and, where they work, keep DVS128's mirrored axes and inverted
polarity. These are checked against both bytes and peers.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, broken, one_stream, other_streams
from spikecli.datasets.events.sensors import sensor_of_camera
from spikecli.datasets.reading_options import ReadOptions

_END = re.compile(rb"#!END-HEADER\r?\n")
_POLARITY = 1  # the type of packets that hold polarity events
_PACKET = struct.Struct("<HHIIIIII")  # type, source, event size, time offset, overflows, capacity, number, valid


def read_aedat3(path: Path, data: bytes, options: ReadOptions) -> Columns:
    """Return the valid polarity events of AEDAT 3.1; frames, motion and special events are skipped."""
    end = _END.search(data)
    if end is None:
        broken(path, "no end of the header", "a line #!END-HEADER")
    cameras = _cameras(data[: end.start()].decode("latin-1"))
    found, notes = _packets(path, data, end.end())
    streams = {source: f" ({cameras[source]})" if source in cameras else "" for source in found} or {0: ""}
    for source in one_stream(path, streams, options.stream):
        words, t = (np.concatenate(parts) for parts in found.get(source, _NOTHING))
        valid = words[:, 0] & 1 == 1
        if valid.any():
            break
    address, t = words[valid, 0], t[valid]
    x, y = ((address >> 17) & 0x7FFF).astype(np.uint16), ((address >> 2) & 0x7FFF).astype(np.uint16)
    p = ((address >> 1) & 1).astype(np.uint8)
    size = _if_it_fits(sensor_of_camera(cameras.get(source, "")), x, y)
    return Columns(x, y, t, p, size, (*notes, *other_streams(streams, source, options.stream)))


_Parts = tuple[list[np.ndarray], list[np.ndarray]]  # words (N, 2) and times in µs
_NOTHING: _Parts = ([np.empty((0, 2), "<u4")], [np.empty(0, np.int64)])


def _cameras(header: str) -> dict[int, str]:
    """Return the cameras that the header's lines `#Source N: NAME` name."""
    return {int(match[1]): match[2] for match in re.finditer(r"#Source (\d{1,4}):\s*(\S+)", header)}


def _packets(path: Path, data: bytes, position: int) -> tuple[dict[int, _Parts], tuple[str, ...]]:
    """Return the polarity events by source, and a note if a crash has cut the last packet."""
    found: dict[int, _Parts] = {}
    while position < len(data):
        if position + _PACKET.size > len(data):
            return _whole(path, found, len(data) - position)
        kind, source, size, _, overflows, capacity, number, _ = _PACKET.unpack_from(data, position)
        position += _PACKET.size
        if number > capacity:
            broken(path, f"a packet of {number} of {capacity} events", "whole packets")
        if position + capacity * size > len(data):
            return _whole(path, found, len(data) - position + _PACKET.size)
        if kind == _POLARITY and size == 8:
            words = np.frombuffer(data, "<u4", 2 * number, position).reshape(-1, 2)
            parts = found.setdefault(source, ([], []))
            parts[0].append(words)
            parts[1].append(words[:, 1].astype(np.int64) + (overflows << 31))
        position += capacity * size
    return found, ()


def _whole(path: Path, found: dict[int, _Parts], rest: int) -> tuple[dict[int, _Parts], tuple[str, ...]]:
    packets = sum(len(parts[0]) for parts in found.values())
    if not packets:
        broken(path, f"a packet cut off at the end of the file ({rest} bytes of it)", "whole packets")
    return found, (f"the last {rest} bytes are part of a packet that was cut off: read the {packets} before it",)


def _if_it_fits(size: Size | None, x: np.ndarray, y: np.ndarray) -> Size | None:
    fits = size is None or not len(x) or (int(x.max()) < size[0] and int(y.max()) < size[1])
    return size if fits else None
