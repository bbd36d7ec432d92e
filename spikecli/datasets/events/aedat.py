"""Decoders of the AEDAT family by the version in a file's first line, and of version 2 (jAER, v2e)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikecli.datasets.events.aedat3 import read_aedat3
from spikecli.datasets.events.aedat4 import read_aedat4
from spikecli.datasets.events.columns import Columns, Size, broken, unwrapped, whole_words
from spikecli.datasets.events.sensors import sensor_of_camera
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import named

AEDAT2 = "AEDAT 2"
DVS128: Size = (128, 128)
_DAVIS: tuple[Size, ...] = ((240, 180), (346, 260), (640, 480))
_END = b"#End Of ASCII Header"


def read_aedat(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of an .aedat file of the version in its first line: 2.0, 3.1 or 4."""
    data = path.read_bytes()
    match = re.match(rb"#!AER-DAT(\d)\.\d\r?\n", data)
    version = match[1] if match else b""
    if version == b"2":
        return _read_aedat2(path, data, options)
    if version == b"3":
        return read_aedat3(path, data, options)
    if version == b"4":
        return read_aedat4(path, options)
    wanted = "#!AER-DAT2.0, 3.1 or 4.0"
    return broken(path, f"a first line {data[:16]!r}", wanted)


def _read_aedat2(path: Path, data: bytes, options: ReadOptions) -> Columns:
    """Return the events of AEDAT 2: a big-endian address and time each; the address is as the camera's chip has it."""
    start = 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            broken(path, "a header without an end", "lines that begin with #, then events")
        last = data[start:end].startswith(_END)
        start = end + 1
        if last:  # the first event after it may begin with the byte of a #
            break
    count, cut = whole_words(data, start, 8)
    words = np.frombuffer(data, ">u4", 2 * count, start).reshape(-1, 2).astype(np.uint32)
    camera = sensor_of_camera(data[:start].decode("latin-1"))
    if (camera or DVS128) != DVS128 or (len(words) and int(words[:, 0].max()) >> 16):
        columns = _davis(path, words, options.sensor or camera)
    else:
        columns = _dvs128(words)
    return columns._replace(notes=(*cut, *columns.notes))


def _dvs128(words: np.ndarray) -> Columns:
    """Return the events of a DVS128: bit 15 marks what is no pixel's event; bit 0 is 0 where it grew brighter.

    The chip counts x from the right, and y upward as jAER draws it: an upright picture has 127 − bits 1–7 as x and
    127 − bits 8–14 as y.
    """
    words = words[words[:, 0] >> 15 == 0]
    address = words[:, 0].astype(np.uint16)
    x, y = 127 - ((address >> 1) & 127), 127 - ((address >> 8) & 127)
    p = (1 - (address & 1)).astype(np.uint8)
    return Columns(x, y, unwrapped(words[:, 1], 32), p, DVS128, format=AEDAT2)


def _davis(path: Path, words: np.ndarray, size: Size | None) -> Columns:
    """Return the polarity events of a DAVIS: y in bits 22–30, x in 12–21, polarity in 11.

    Bit 31 marks frames and motion, bit 10 external signals. As with DVS128, x counts from the right and y upward.
    """
    words = words[(words[:, 0] & 0x80000400) == 0]
    address, note = words[:, 0], ""
    x, y = ((address >> 12) & 0x3FF).astype(np.int64), ((address >> 22) & 0x1FF).astype(np.int64)
    right, bottom = (int(axis.max(initial=0)) for axis in (x, y))
    if size is None:
        size = next((known for known in _DAVIS if right < known[0] and bottom < known[1]), None)
        if size is None:
            broken(path, f"an event at ({right}, {bottom})", "the addresses of a DVS128 or DAVIS camera")
        note = f"the file names no camera: took a DAVIS of {size[0]} x {size[1]}; {named('sensor')} WxH overrules"
    x, y = size[0] - 1 - x, size[1] - 1 - y
    p = ((address >> 11) & 1).astype(np.uint8)
    return Columns(x, y, unwrapped(words[:, 1], 32), p, size, (note,) if note else (), AEDAT2)
