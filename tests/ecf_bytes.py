"""An encoder of Metavision's HDF5 codec, in each of its three ways to keep pixels, and a file of its chunks."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
from event_bytes import Event

KIND = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])


def _lengths(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    for value, some in groupby(values):
        yield value, len(list(some))


def _times(times: Sequence[int]) -> bytes:
    out, now = bytearray(struct.pack("<q", times[0])), times[0]
    for time, number in _lengths(times):
        step, now = time - now, time
        if step > 14:
            while step:
                out.append(0xF0 | step & 15)
                step >>= 4
        out += bytes([step << 4 | number]) if number < 15 else bytes([step << 4 | 15]) + struct.pack("<H", number)
    return bytes(out)


def _packed(values: Sequence[int], bits: int) -> bytes:
    some, form = bits // 3, "<3H" if bits == 12 else "<3I"
    out = b""
    for start in range(0, len(values), 4):
        a, b, c, d = (*values[start : start + 4], 0, 0, 0)[:4]
        low, middle = (1 << some) - 1, (1 << 2 * some) - 1
        out += struct.pack(form, a << some | b & low, b >> some << 2 * some | c & middle, c >> 2 * some << 3 * some | d)
    return out


def ecf_chunk(events: Sequence[Event], way: str) -> bytes:
    """`way` is "all" for y, x and p packed, "pixels" for x and p, "masks" for neighbors in masks."""
    out = struct.pack("<I", len(events) << 2 | {"all": 2, "pixels": 1, "masks": 0}[way])
    out += _times([t for _, _, t, _ in events])
    if way == "all":
        return out + _packed([y << 12 | x << 1 | p for x, y, _, p in events], 24)
    for y, number in _lengths([y for _, y, _, _ in events]):
        out += struct.pack("<H", y << 5 | number) if number < 31 else struct.pack("<HH", y << 5 | 31, number)
    if way == "pixels":
        return out + _packed([x << 1 | p for x, _, _, p in events], 12)
    pixels = [x for x, _, _, _ in events]
    while pixels:
        x, mask = pixels.pop(0), 0
        for place in range(5):
            if pixels and pixels[0] == x + place + 1:
                mask |= 1 << 4 - place
                pixels.pop(0)
        out += struct.pack("<H", x << 5 | mask)
    for p, number in _lengths([p for _, _, _, p in events]):
        out += bytes([p << 7 | number]) if number < 127 else bytes([p << 7 | 127]) + struct.pack("<H", number)
    return out


def write_metavision(path: Path, events: Sequence[Event], way: str, chunk: int = 100) -> Path:
    """An HDF5 file as Metavision writes it; the last chunk is filled up with zeros."""
    with h5py.File(path, "w") as file:
        file.attrs["geometry"] = "1280x720"
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((chunk,))
        properties.set_filter(36_559, h5py.h5z.FLAG_OPTIONAL, ())
        group = file.create_group("CD")
        space = h5py.h5s.create_simple((len(events),), (h5py.h5s.UNLIMITED,))
        dataset = h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(KIND), space, properties)
        for start in range(0, len(events), chunk):
            some = list(events[start : start + chunk])
            some += [(0, 0, some[-1][2], 0)] * (chunk - len(some))
            dataset.write_direct_chunk((start,), ecf_chunk(some, way))
    return path
