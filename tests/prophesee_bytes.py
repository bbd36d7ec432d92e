"""Encoders of Prophesee's .raw from the published formats."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from event_bytes import Event


def raw_header(name: str, more: str = ";height=720;width=1280") -> bytes:
    number = {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}[name]
    lines = ["% camera_integrator_name Prophesee", f"% evt {number}", f"% format {name}{more}", "% end"]
    return "".join(f"{line}\n" for line in lines).encode()


def evt2_bytes(events: Iterable[Event]) -> bytes:
    """A word of upper time bits whenever these change, an external trigger after each tenth event."""
    out, high = raw_header("EVT2"), -1
    for number, (x, y, t, p) in enumerate(events):
        if t >> 6 != high:
            high = t >> 6
            out += struct.pack("<I", 8 << 28 | (high & 0x0FFFFFFF))
        out += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
        if number % 10 == 9:
            out += struct.pack("<I", 0xA << 28 | (t & 63) << 22 | 1)
    return out


def evt21_bytes(events: Iterable[Event], legacy: bool = False) -> bytes:
    """Neighbors in a row with one time and polarity share a word."""
    swap = ";endianness=legacy" if legacy else ";endianness=little"
    out, high, rows = raw_header("EVT21", f"{swap};height=720;width=1280"), -1, list(events)

    def word(upper: int, lower: int) -> bytes:
        return struct.pack("<II", upper, lower) if legacy else struct.pack("<II", lower, upper)

    while rows:
        x, y, t, p = rows[0]
        mask, count, last = 0, 0, -1
        for other in rows:
            if other[1:] != (y, t, p) or not last < other[0] - x < 32:
                break
            last = other[0] - x
            mask, count = mask | 1 << last, count + 1
        if t >> 6 != high:
            high = t >> 6
            out += word(8 << 28 | (high & 0x0FFFFFFF), 0)
        out += word(p << 28 | (t & 63) << 22 | x << 11 | y, mask)
        rows = rows[count:]
    return out


def evt3_bytes(events: Iterable[Event], vectors: bool = True) -> bytes:
    """Neighbors in a row with one time and polarity share vectors of 12 and 8 pixels where that is worth it."""
    out, state, rows = bytearray(raw_header("EVT3")), {"y": -1, "high": -1, "low": -1}, list(events)

    def word(kind: int, value: int) -> None:
        out.extend(struct.pack("<H", kind << 12 | value & 0xFFF))

    while rows:
        x, y, t, p = rows[0]
        if t >> 12 != state["high"]:
            word(8, t >> 12)
            state["high"], state["low"] = t >> 12, 0
        if t & 0xFFF != state["low"]:
            state["low"] = t & 0xFFF
            word(6, t)
        if y != state["y"]:
            word(0, y)
            state["y"] = y
        group = [x]
        for other in rows[1:]:
            if other[1:] != (y, t, p) or not group[-1] < other[0] < x + 20:
                break
            group.append(other[0])
        if len(group) < 3 or not vectors:
            word(2, p << 11 | x)
            rows = rows[1:]
            continue
        word(3, p << 11 | x)
        word(4, sum(1 << place - x for place in group if place - x < 12))
        if group[-1] - x >= 12:
            word(5, sum(1 << place - x - 12 for place in group if place - x >= 12))
        rows = rows[len(group) :]
    return bytes(out)
