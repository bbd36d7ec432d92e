"""Decoders of event files by suffix: from a path to plain columns, unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikecli.datasets.events.aedat import read_aedat
from spikecli.datasets.events.aedat4 import read_aedat4
from spikecli.datasets.events.arrays import read_h5, read_npy, read_npz
from spikecli.datasets.events.columns import (
    Columns,
    broken,
    percent_header,
    sensor_of,
    unwrapped,
    whole_words,
)
from spikecli.datasets.events.evt import read_raw
from spikecli.datasets.events.text import read_text
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.sniff import holds_float_points

OVERFLOW_ROW = 240  # no sensor of this format has such a row: the event only says that the clock went round
OVERFLOW_STEP = 1 << 13  # µs


def read_bin(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of N-MNIST's and N-Caltech101's format: five bytes an event, x, y, and p and t in 24 bits.

    Raise SpikeError if the file is a laser scan.
    """
    data = path.read_bytes()
    if holds_float_points(data):
        raise SpikeError(
            f"{path} holds 32-bit numbers, four or five a point, as laser scans do (KITTI, nuScenes); wanted events of "
            "five bytes, as N-MNIST has them; give it where clouds are read"
        )
    count, rest = divmod(len(data), 5)
    if rest:
        broken(path, f"{len(data)} bytes", "five bytes an event")
    if not count:
        none = np.empty(0, np.int64)
        return Columns(none, none, none, none)
    x, y = (np.ndarray(count, "u1", data, axis, (5,)) for axis in (0, 1))
    # The last three bytes and y before them are one big-endian word: a single read for p and t.
    word = np.ndarray(count, ">u4", data, 1, (5,)).astype(np.uint32)
    t, p = (word & 0x7FFFFF).astype(np.int64), ((word >> 23) & 1).astype(np.uint8)
    marks = y == OVERFLOW_ROW
    if marks.any():
        t += np.cumsum(marks) * OVERFLOW_STEP
        x, y, t, p = x[~marks], y[~marks], t[~marks], p[~marks]
    return Columns(x, y, t, p)


def write_bin(path: Path, events: np.ndarray) -> None:
    """Write `events` (EVENT dtype, t in 0 … 2²³ − 1 µs, y never 240) in the format of `read_bin`."""
    if len(events) and (events["t"].max() >> 23 or events["t"].min() < 0 or (events["y"] == OVERFLOW_ROW).any()):
        raise ValueError("a .bin without overflow marks holds 0 ≤ t < 2²³ µs and no row 240")
    rows = np.empty((len(events), 5), np.uint8)
    word = events["t"].astype(np.uint32) | (events["p"].astype(np.uint32) << 23)
    rows[:, 0], rows[:, 1] = events["x"], events["y"]
    rows[:, 2], rows[:, 3], rows[:, 4] = word >> 16, (word >> 8) & 0xFF, word & 0xFF
    path.write_bytes(rows.tobytes())


def read_dat(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of Prophesee's .dat: a header of % lines, type and size of an event, then 32 + 32 bits each.

    Before version 2 the second word holds x in 9 bits, y in 8 and p in bit 17; since then 14, 14 and bit 28.
    """
    data = path.read_bytes()
    start, fields = percent_header(path, data)
    if not start or len(data) < start + 2:
        broken(path, "no header", "lines that begin with %, then events")
    kind, step = data[start], data[start + 1]
    # Type 0 is the 2-D event of the old files, 12 the contrast-detection event of the new ones: the same 64 bits.
    if kind not in (0, 12) or step != 8:
        broken(path, f"events of type {kind} and {step} bytes", "type 0 or 12 and 8 bytes")
    count, cut = whole_words(data, start + 2, 8)
    words = np.frombuffer(data, "<u4", 2 * count, start + 2).reshape(-1, 2)
    address, note = words[:, 1], ""
    version = fields.get("version", "")
    if version.isascii() and version.isdecimal():
        old = int(version) < 2
    else:  # the bits of version 2 lie beyond those of version 1
        old = bool(len(address)) and int(address.max()) >> 18 == 0
        note = "the header names no version: took 1 by the events' bits" if old else ""
    x_bits, y_bits, p_bit = (9, 8, 17) if old else (14, 14, 28)
    x, y = address & ((1 << x_bits) - 1), (address >> x_bits) & ((1 << y_bits) - 1)
    p = ((address >> p_bit) & 1).astype(np.uint8)
    size = sensor_of(path, fields.get("width", ""), fields.get("height", ""))
    x, y, notes = x.astype(np.uint16), y.astype(np.uint16), (*cut, note) if note else cut
    return Columns(x, y, unwrapped(words[:, 0], 32), p, size, notes)


DECODERS: dict[str, Callable[[Path, ReadOptions], Columns]] = {
    ".bin": read_bin,
    ".aedat": read_aedat,
    ".aedat4": read_aedat4,
    ".dat": read_dat,
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_h5,
    ".hdf5": read_h5,
    ".raw": read_raw,
    ".txt": read_text,
    ".csv": read_text,
}
