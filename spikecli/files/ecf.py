"""The codec of Metavision's HDF5 files (ECF, filter 36559): runs of times and rows, and packed or masked pixels."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

FILTER = 36_559
_MOST = 65_535  # events of a chunk
_COUNT = np.array([bin(mask).count("1") for mask in range(32)], np.int64)


class Chunk(NamedTuple):
    """The events of one chunk."""

    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    t: np.ndarray  # int64, µs


def decode_chunk(data: bytes) -> Chunk:
    """Return the events of a compressed chunk; raise ValueError, IndexError or struct.error if it is damaged.

    A word of 32 bits holds their number, and in bits 1 and 0 whether y, x and p, or x and p, are packed together.
    """
    (head,) = struct.unpack_from("<I", data)
    count = head >> 2
    if count > _MOST:
        raise ValueError(f"a chunk of {count} events")
    t, at = _times(data, 4, count)
    if head & 2:
        packed, _ = _packed(data, at, count, 24)
        return Chunk(packed >> 1 & 0x7FF, packed >> 12 & 0x7FF, packed & 1, t)
    y, at = _runs(data, at, count, "<u2", 5)
    if head & 1:
        packed, _ = _packed(data, at, count, 12)
        return Chunk(packed >> 1, y, packed & 1, t)
    x, at = _masked(data, at, count)
    p, _ = _runs(data, at, count, "<u1", 7)
    return Chunk(x, y, p, t)


def _times(data: bytes, at: int, count: int) -> tuple[np.ndarray, int]:
    """Return the times, and where they end: a first one, then bytes of 4 bits of step and 4 of how many share it.

    A step of 15 says that the byte's other half belongs to a longer step, the lowest four bits first; a number of 15,
    that it stands in the next two bytes.
    """
    (time,) = struct.unpack_from("<q", data, at)
    at, shift, longer, done = at + 8, 0, 0, 0
    steps, numbers = [], []
    while done < count:
        step, number = data[at] >> 4, data[at] & 15
        at += 1
        if step == 15:
            if shift > 60:
                raise ValueError("a step of time of more than 64 bits")
            longer |= number << shift
            shift += 4
            continue
        if number == 15:
            (number,) = struct.unpack_from("<H", data, at)
            at += 2
        steps.append(longer + step)
        numbers.append(number)
        done += number
        shift = longer = 0
    if done != count:
        raise ValueError(f"{done} times of {count} events")
    return np.repeat(time + np.cumsum(np.array(steps, np.int64)), numbers), at


def _runs(data: bytes, at: int, count: int, kind: str, bits: int) -> tuple[np.ndarray, int]:
    """Return values kept as runs, and where they end: `bits` bits of length below the value.

    The largest length says that it stands in the 16 bits after it.
    """
    width, most, done = np.dtype(kind).itemsize, (1 << bits) - 1, 0
    values, numbers = [], []
    while done < count:
        word = int.from_bytes(data[at : at + width], "little") if at + width <= len(data) else _beyond()
        at += width
        number = word & most
        if number == most:
            (number,) = struct.unpack_from("<H", data, at)
            at += 2
        values.append(word >> bits)
        numbers.append(number)
        done += number
    if done != count:
        raise ValueError(f"{done} values of {count} events")
    return np.repeat(np.array(values, np.int64), numbers), at


def _beyond() -> int:
    raise ValueError("a chunk that ends before its events")


def _masked(data: bytes, at: int, count: int) -> tuple[np.ndarray, int]:
    """Return pixels kept as 11 bits of x and a mask, whose highest bit is x + 1, and where they end."""
    words = np.frombuffer(data, "<u2", (len(data) - at) // 2, at).astype(np.int64)
    ends = np.cumsum(1 + _COUNT[words & 31])
    used = int(np.searchsorted(ends, count)) + 1 if count else 0
    if count and (used > len(words) or ends[used - 1] != count):
        raise ValueError(f"pixels that do not come to {count} events")
    words = words[:used]
    there = np.concatenate([np.ones((used, 1), bool), (words[:, None] >> np.arange(4, -1, -1)) & 1 == 1], axis=1)
    row, place = np.nonzero(there)
    return (words >> 5)[row] + place, at + 2 * used


def _packed(data: bytes, at: int, count: int, bits: int) -> tuple[np.ndarray, int]:
    """Return values of 12 or 24 bits, four in three words of 16 or 32, and where they end."""
    width, groups = bits * 4 // 24, -(-count // 4)  # bytes of a word
    words = np.frombuffer(data, f"<u{width}", 3 * groups, at).reshape(-1, 3).astype(np.int64)
    some = bits // 3
    a, b, c = words.T
    low, middle = (1 << some) - 1, (1 << 2 * some) - 1
    values = np.stack(
        [a >> some, a & low | b >> 2 * some << some, b & middle | c >> 3 * some << 2 * some, c & ((1 << bits) - 1)],
        axis=1,
    )
    return values.ravel()[:count], at + 3 * groups * width
