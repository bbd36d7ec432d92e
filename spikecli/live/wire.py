"""The wire format of event streams, in little-endian bytes.

A row is an event in 13 bytes: x and y as uint16, t in µs as int64, p as uint8 (0 darker, 1 brighter). A growing file
and standard input are rows alone. A datagram is the four letters SPKE, its number as uint32, from 0 on, and rows; one
without rows ends the stream. A gap in the numbers is a loss, which is counted.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import SpikeError

MAGIC = b"SPKE"
HEAD = struct.Struct("<4sI")
LARGEST = 65_000  # bytes of a datagram
LATE = 1_000  # datagrams back in which one is late, or came twice; a number further back begins the count again
SILENT = 1.0  # seconds after which another sender is followed
NONE = np.empty(0, EVENT)
ROWS = 100  # events in a datagram that passes any network whole: 1,308 bytes


@dataclass
class Losses:
    """What a stream has lost so far: datagrams on the way, events that came faster than they were answered."""

    datagrams: int = 0
    events: int = 0
    foreign: int = 0  # datagrams of another program or sender
    on_note: Callable[[str], None] = field(default=lambda note: None, compare=False, repr=False)
    said: set[str] = field(default_factory=set)  # notes that were given


def datagram(number: int, events: np.ndarray) -> bytes:
    """Return a datagram of events (n,), dtype EVENT."""
    return HEAD.pack(MAGIC, number % 2**32) + events.astype(EVENT, copy=False).tobytes()


def rows(data: bytes | memoryview) -> np.ndarray:
    """Return the events of whole rows; raise SpikeError if a row is cut."""
    if len(data) % EVENT.itemsize:
        raise SpikeError(f"found {len(data)} bytes; wanted whole rows of {EVENT.itemsize} bytes: x, y, t, p")
    return np.frombuffer(data, EVENT)


def whole_of(data: bytes) -> tuple[np.ndarray, bytes]:
    """Return the events of the whole rows that bytes begin with, and what is left of them."""
    whole = len(data) // EVENT.itemsize * EVENT.itemsize
    return rows(data[:whole]), data[whole:]


class Datagrams:
    """The events of datagrams in the order of their arrival; gaps in their numbers are counted in `losses`.

    The first sender is followed. Another one is ignored, unless the first has been silent for a second.
    """

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.next = 0
        self.missing: set[int] = set()  # numbers that may still come
        self.sender: object = None
        self.heard = 0.0  # when

    def read(self, data: bytes, sender: object = None) -> np.ndarray | None:
        """Return a datagram's events, none of one that is not of this stream; None for one that ends the stream."""
        if len(data) < HEAD.size or data[:4] != MAGIC or (len(data) - HEAD.size) % EVENT.itemsize:
            return self._ignored("a datagram that is not SPKE, a number and rows of 13 bytes")
        number, now = HEAD.unpack_from(data)[1], time.monotonic()
        if self.sender not in (None, sender):
            if now - self.heard < SILENT:
                return self._ignored("datagrams of a second sender")
            self.next, self.missing = number, set()
        self.sender, self.heard = sender, now
        if not self._is_new(number):
            return NONE
        return None if len(data) == HEAD.size else rows(memoryview(data)[HEAD.size :])

    def _ignored(self, what: str) -> np.ndarray:
        self.losses.foreign += 1
        if what not in self.losses.said:
            self.losses.said.add(what)
            self.losses.on_note(f"ignored {what}")
        return NONE

    def _is_new(self, number: int) -> bool:
        """Count what a number says of those before it; return False for one that came before."""
        ahead = (number - self.next) % 2**32
        if ahead < 2**31:
            self.losses.datagrams += ahead
            self.missing |= {(number - 1 - back) % 2**32 for back in range(min(ahead, LATE))}
        elif number in self.missing:  # late: no loss
            self.missing.remove(number)
            self.losses.datagrams -= 1
            return True
        elif number and 2**32 - ahead <= LATE:
            return False  # it came twice
        else:
            self.missing = set()  # the sender counts again from 0
        self.next = (number + 1) % 2**32
        if len(self.missing) > 2 * LATE:
            self.missing = {each for each in self.missing if (self.next - each) % 2**32 <= LATE}
        return True


def send(events: np.ndarray, address: tuple[str, int], speed: float = 1.0, size: int = ROWS) -> int:
    """Send events (n,) as datagrams of `size` rows at `speed` times their own pace, and end; return how many.

    With `speed` 0 they are sent as fast as the socket takes them.
    """
    number = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for part in paced(np.array_split(events, range(size, len(events), size)), speed):
            out.sendto(datagram(number, part), address)
            number += 1
        out.sendto(datagram(number, events[:0]), address)
    return number + 1


def paced(parts: Iterable[np.ndarray], speed: float) -> Iterator[np.ndarray]:
    """Yield parts of a recording when their last event is due, at `speed` times its own pace; 0 is at once."""
    begun, first = time.monotonic(), None
    for part in parts:
        if speed and len(part):
            first = int(part["t"][0]) if first is None else first
            due = begun + (int(part["t"][-1]) - first) / 1e6 / speed
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
        yield part
