"""Damage, drawn from a generator: bits, cuts, splices, and numbers that are larger than any file."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

Rng = np.random.Generator
LARGE = (0, 1, 2, 127, 255, 256, 32767, 65535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1)
WORDS = (
    b"0", b"-1", b"1", b"2147483648", b"4294967296", b"99999999999999999999", b"1e999", b"-1e308", b"nan", b"inf",
    b"1e30",
    b"", b"\0", b"x", b"3.5", b"0x10", b"1_0", "\u0663".encode(), b"\xff\xfe", b"{}", b"1,2", b"#", b"\r", b"9" * 5000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2.5, 1 << 40, -(1 << 70), 1e308, float("nan"), float("inf"), "",
    "x", "../x", "\0", "{}",
    [], {}, [1], ["a", "b"], [[[]]], {"a": 1}, "é" * 3, "9" * 400,
)  # fmt: skip


def damaged(whole: bytes, rng: Rng, others: Sequence[bytes] = ()) -> bytes:
    """Return `whole` after one to three changes; `others` lend pieces."""
    data = whole
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            return data
        change = CHANGES[int(rng.integers(len(CHANGES)))]
        data = change(data, rng) if change is not _splice else _splice(data, rng, others or (whole,))
    return data


def _place(data: bytes, rng: Rng) -> int:
    """Return a place in the data, half of the time near its beginning, where headers are."""
    return int(rng.integers(min(len(data), 300) if rng.random() < 0.5 else len(data)))


def _bits(data: bytes, rng: Rng) -> bytes:
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        out[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _byte(data: bytes, rng: Rng) -> bytes:
    out = bytearray(data)
    out[_place(data, rng)] = int(rng.integers(256))
    return bytes(out)


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _behead(data: bytes, rng: Rng) -> bytes:
    return data[_place(data, rng) :]


def _drop(data: bytes, rng: Rng) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 65)) :]


def _repeat(data: bytes, rng: Rng) -> bytes:
    start, length = _place(data, rng), int(rng.integers(1, 65))
    return data[:start] + data[start : start + length] * int(rng.integers(2, 40)) + data[start + length :]


def _insert(data: bytes, rng: Rng) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.bytes(int(rng.integers(1, 33))) + data[start:]


def _splice(data: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
    other = others[int(rng.integers(len(others)))] or b"x"
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _integer(data: bytes, rng: Rng) -> bytes:
    """Write an extreme number over some bytes, in either order: where a size stands, the file claims it."""
    out = bytearray(data)
    place, letter = _place(data, rng), "BHIQ"[int(rng.integers(4))]
    value = LARGE[int(rng.integers(len(LARGE)))] & ((1 << 8 * struct.calcsize(f"<{letter}")) - 1)
    packed = struct.pack(f"{'<>'[int(rng.integers(2))]}{letter}", value)
    out[place : place + len(packed)] = packed
    return bytes(out)


def _number(data: bytes, rng: Rng) -> bytes:
    """Put an extreme word where the text has a number."""
    found = list(re.finditer(rb"[\d.]+", data[:4096])) or [re.match(b"", data)]
    spot = found[int(rng.integers(min(len(found), 12) if rng.random() < 0.6 else len(found)))]
    assert spot is not None
    return data[: spot.start()] + WORDS[int(rng.integers(len(WORDS)))] + data[spot.end() :]


def _lines(data: bytes, rng: Rng) -> bytes:
    """Leave out, double or exchange a line."""
    lines = data.split(b"\n")
    one, two = (int(rng.integers(min(len(lines), 40))) for _ in range(2))
    match int(rng.integers(3)):
        case 0:
            del lines[one]
        case 1:
            lines.insert(two, lines[one])
        case _:
            lines[one], lines[two] = lines[two], lines[one]
    return b"\n".join(lines)


CHANGES: tuple[Callable[..., bytes], ...] = (
    _bits, _byte, _cut, _behead, _drop, _repeat, _insert, _splice, _integer, _integer, _number, _number, _lines,
)  # fmt: skip


def damaged_json(whole: Any, rng: Rng) -> Any:
    """Return a copy of `whole` with one to three of its parts replaced, left out or doubled."""
    copy = json.loads(json.dumps(whole))
    for _ in range(int(rng.integers(1, 4))):
        copy = _changed(copy, rng)
    return copy


def _changed(value: Any, rng: Rng) -> Any:
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(rng.integers(len(keys)))]
        match int(rng.integers(8)):
            case 0:
                del value[key]
            case 1 if isinstance(value, dict):
                value[f"{key}x"] = value.pop(key)
            case _:
                value[key] = _changed(value[key], rng)
        return value
    if rng.random() < 0.02:
        return json.loads("[" * 900 + "]" * 900)
    return deepcopy(VALUES[int(rng.integers(len(VALUES)))])  # a later change must not reach the list of them


def json_bytes(value: Any, rng: Rng) -> bytes:
    """Return `value` as JSON, now and then nested deeper than a parser can follow."""
    text = json.dumps(value)
    return (text if rng.random() > 0.02 else '{"a":' * 100_000 + text).encode("utf-8", "surrogatepass")
