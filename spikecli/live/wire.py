"""The wire format of event streams, in little-endian bytes.

A row is an event in 13 bytes: x and y as uint16, t in µs as int64, p as uint8 (0 darker, 1 brighter). A growing file
and standard input are rows alone. A datagram is the four letters SPKE, its number as uint32, from 0 on, and rows; one
without rows ends the stream. A gap in the numbers is a loss, which is counted.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import SpikeError

MAGIC = b"SPKE"
HEAD = struct.Struct("<4sI")
LARGEST = 65_000  # bytes of a datagram
ROWS = 100  # events in a datagram that passes any network whole: 1,308 bytes


@dataclass
class Losses:
    """What a stream has lost so far: datagrams on the way, events that came faster than they were answered."""

    datagrams: int = 0
    events: int = 0
    foreign: int = 0  # datagrams of another program


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
    """The events of datagrams in the order of their arrival; gaps in their numbers are counted in `losses`."""

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.next = 0

    def read(self, data: bytes) -> np.ndarray | None:
        """Return a datagram's events, none of one from another program; None for one that ends the stream."""
        if len(data) < HEAD.size or data[:4] != MAGIC or (len(data) - HEAD.size) % EVENT.itemsize:
            self.losses.foreign += 1
            return np.empty(0, EVENT)
        number = HEAD.unpack_from(data)[1]
        ahead = (number - self.next) % 2**32
        if ahead < 2**31:  # one that comes late is no second loss
            self.losses.datagrams += ahead
            self.next = (number + 1) % 2**32
        else:
            self.losses.datagrams -= 1
        return None if len(data) == HEAD.size else rows(memoryview(data)[HEAD.size :])


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
