"""The return value of every decoder of event files, and the errors that decoders share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from spikecli.errors import SpikeError, named

Size = tuple[int, int]  # width, height
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "u1")])

# No event takes less than two bits of a file, however it is packed: a header that claims more is broken.
_EVENTS_PER_BYTE = 4
_FREE_EVENTS = 1 << 20
LARGEST_SIDE = 1 << 12  # pixels; the largest event cameras have fewer than 2,500 in a row


class Bounds(NamedTuple):
    """The extremes of some events, none of which is below 0, and whether their time never runs backwards."""

    right: int  # the largest x
    bottom: int  # the largest y
    brightest: int  # the largest p
    in_order: bool


class Columns(NamedTuple):
    """The events of one file, unchanged: four columns of equal length, and the sensor if the file names it.

    `notes` say what was guessed or skipped; `format` names the format if a data set needs to know it. `events` are the
    same events as one array, if the decoder made them so; `bounds` what it found out of them in passing.
    """

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray  # int64, µs
    p: np.ndarray  # 0 or 1
    size: Size | None = None
    notes: tuple[str, ...] = ()
    format: str = ""
    events: np.ndarray | None = None  # EVENT
    bounds: Bounds | None = None

    def between(self, start: int, end: int) -> Columns:
        """Return the events with start ≤ t < end, µs."""
        inside = (self.t >= start) & (self.t < end)
        x, y, t, p = (column[inside] for column in (self.x, self.y, self.t, self.p))
        return self._replace(x=x, y=y, t=t, p=p, events=None, bounds=None)

    def turned(self) -> Columns:
        """Return the events with x and y exchanged, for a camera that was mounted on its side."""
        size = self.size and (self.size[1], self.size[0])
        return self._replace(x=self.y, y=self.x, size=size, events=None, bounds=None)

    def extremes(self) -> Bounds:
        """Return the bounds, looked for now if the decoder did not; raise ValueError without events."""
        if self.bounds:
            return self.bounds
        in_order = not bool((self.t[1:] < self.t[:-1]).any())
        return Bounds(int(self.x.max()), int(self.y.max()), int(self.p.max()), in_order)


def columns_of(events: np.ndarray) -> Columns:
    """Return the columns of events (N,) of type EVENT, as views."""
    return Columns(events["x"], events["y"], events["t"], events["p"], events=events)


def broken(path: Path, found: str, wanted: str) -> NoReturn:
    """Raise SpikeError for a file whose bytes violate its format."""
    raise SpikeError(f"{path} is broken: found {found}; wanted {wanted}; copy or export the file again")


def claimed(path: Path, count: int) -> int:
    """Return `count`, the events a header claims; raise SpikeError if a file of this size cannot hold so many."""
    if not 0 <= count <= most_events(path):
        broken(path, f"a header that claims {count} events", f"at most {most_events(path)} in a file of this size")
    return count


def most_events(path: Path) -> int:
    """Return how many events a file of this size can hold."""
    return max(_FREE_EVENTS, _EVENTS_PER_BYTE * path.stat().st_size)


def sensor_of(path: Path, width: str, height: str) -> Size | None:
    """Return the sensor from two words of a header, None without them; raise SpikeError if they are no valid size."""
    if not (width.isascii() and width.isdecimal() and height.isascii() and height.isdecimal()):
        return None
    demand_sides(path, (int(width), int(height)), f"a sensor of {width[:20]} x {height[:20]} pixels")
    return int(width), int(height)


def demand_sides(path: Path, sides: Iterable[float], found: str) -> None:
    """Raise SpikeError, with what was `found`, unless every side is one that a camera may have."""
    if not all(0 < side <= LARGEST_SIDE for side in sides):
        broken(path, found, f"a width and height of at most {LARGEST_SIDE}")


def whole_words(data: bytes, start: int, width: int) -> tuple[int, tuple[str, ...]]:
    """Return how many whole events of `width` bytes follow `start`, and a note if a crash has cut the last one."""
    count, rest = divmod(len(data) - start, width)
    return count, ("the last event is cut off, as by a crash: the whole ones before it are read",) if rest else ()


def percent_header(path: Path, data: bytes) -> tuple[int, dict[str, str]]:
    """Return where the events of a Prophesee file begin, after lines of % NAME VALUE, and the values by lower name."""
    start, fields = 0, {}
    while data[start : start + 2] in (b"% ", b"%\n", b"%\r"):  # a first event may begin with the byte of a % too
        end = data.find(b"\n", start)
        if end < 0:
            broken(path, "a header without an end", "lines that begin with %, then events")
        match = re.match(r"%\s*(\w+)\s+(\S.*)", data[start:end].decode("latin-1").rstrip())
        start = end + 1
        if match and match[1].lower() == "end":  # the first event after it may begin with the byte of a %
            break
        if match:
            fields[match[1].lower()] = match[2]
    return start, fields


def unwrapped(t: np.ndarray, bits: int) -> np.ndarray:
    """Return counter values t as int64, with the overflows of the counter of `bits` bits undone."""
    t = t.astype(np.int64)
    wraps = np.diff(t) < -(1 << (bits - 1))
    if wraps.any():
        t[1:] += np.cumsum(wraps) << bits
    return t


def one_stream(path: Path, streams: dict[int, str], wanted: int | None) -> list[int]:
    """Return the numbers of the event streams to try, in order: the `wanted` one, or else all from the first.

    `streams` describes each by its number. Raise SpikeError if none has the wanted number.
    """
    if wanted is None:
        return sorted(streams)
    if wanted not in streams:
        known = ", ".join(map(str, sorted(streams))) or "none"
        raise SpikeError(f"{path} has no event stream {wanted}; wanted one of {known}; choose with {named('stream')}")
    return [wanted]


def other_streams(streams: dict[int, str], chosen: int, wanted: int | None) -> tuple[str, ...]:
    """Return a note that names the event streams other than the `chosen` one; none if the user has chosen."""
    others = [f"{number}{words}" for number, words in sorted(streams.items()) if number != chosen]
    if not others or wanted is not None:
        return ()
    return (
        f"read event stream {chosen}{streams[chosen]}; the file has also {', '.join(others)}; "
        f"{named('stream')} chooses",
    )
