"""Where a stream comes from: a recording at its own pace, a growing file, standard input, or UDP."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.recording import EVENT, read_own
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.gate import reading as reading_of
from spikecli.live.wire import LARGEST, Datagrams, Losses, paced, rows

PART = 2_000  # µs of a recording that are played at once
AHEAD = 2_000_000  # events that may wait for an answer; older ones are dropped
BUFFER = 1 << 23  # bytes that the system keeps of datagrams
GROWING = (".rows",)  # suffix of files of rows
Sensor = tuple[int, int]  # width, height


@dataclass
class Stream:
    """Parts of events as they come, the sensor (width, height) they are of, if known, and what was lost."""

    parts: Iterator[np.ndarray]
    sensor: Sensor | None
    losses: Losses


def opened(
    source: str, speed: float, idle: float, facts: EventFacts | None = None, how: ReadOptions = AS_FOUND
) -> Stream:
    """Return the stream that `source` names: `udp://HOST:PORT`, `-`, a file of rows, or a recording.

    `idle` is how many seconds without events end a stream that has begun, 0 for never. Raise SpikeError if it cannot
    be opened.
    """
    losses = Losses()
    if source.startswith("udp://"):
        bound = listening(source)
        return Stream(_buffered(lambda: _received(bound, idle, losses), losses), how.sensor, losses)
    if source == "-":
        return Stream(_piped(sys.stdin.buffer), how.sensor, losses)
    path = Path(source)
    if path.suffix in GROWING:
        with reading_of(path, "name a file of rows that another program appends to"):
            file = path.open("rb")
        return Stream(_followed(file, idle), how.sensor, losses)
    recording = read_own(path, how, facts)
    events = recording.events
    edges = np.arange(int(events["t"][0]) + PART, int(events["t"][-1]) + 1, PART)
    parts = np.split(events, np.searchsorted(events["t"], edges))
    return Stream(paced((part for part in parts if len(part)), speed), (recording.width, recording.height), losses)


def listening(source: str) -> socket.socket:
    """Return the socket of `udp://HOST:PORT`; raise SpikeError if it is no such address or is taken."""
    host, _, port = source.removeprefix("udp://").rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise SpikeError(f"found {source!r}; wanted udp://HOST:PORT, such as udp://127.0.0.1:4000")
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    try:
        bound.bind((host or "127.0.0.1", int(port)))
    except OSError as error:
        bound.close()
        raise SpikeError(f"cannot listen on {source}: {error.strerror}; choose another address or port") from error
    return bound


def _received(bound: socket.socket, idle: float, losses: Losses) -> Iterator[np.ndarray]:
    reader = Datagrams(losses)
    with bound:
        bound.settimeout(None)
        while True:
            try:
                found = reader.read(bound.recv(LARGEST))
            except TimeoutError:
                return
            if found is None:
                return
            if len(found):
                bound.settimeout(idle or None)  # the first event may be long in coming
                yield found


def _buffered(begin: Callable[[], Iterator[np.ndarray]], losses: Losses) -> Iterator[np.ndarray]:
    """Yield what another thread receives; where too much waits, the oldest is dropped and counted."""
    waiting: deque[np.ndarray] = deque()
    ready, ended = threading.Condition(), threading.Event()

    def receive() -> None:
        held = 0
        for part in begin():
            with ready:
                waiting.append(part)
                held = sum(map(len, waiting)) if len(waiting) % 64 == 0 else held + len(part)
                while held > AHEAD and len(waiting) > 1:
                    gone = len(waiting.popleft())
                    held -= gone
                    losses.events += gone
                ready.notify()
        with ready:
            ended.set()
            ready.notify()

    threading.Thread(target=receive, daemon=True).start()
    while True:
        with ready:
            while not waiting and not ended.is_set():
                ready.wait(0.2)
            parts = list(waiting)
            waiting.clear()
        if parts:
            yield np.concatenate(parts)
        elif ended.is_set():
            return


def _piped(pipe: BinaryIO) -> Iterator[np.ndarray]:
    left = b""
    while data := (pipe.read1(1 << 20) if hasattr(pipe, "read1") else pipe.read(1 << 20)):
        data = left + data
        whole = len(data) // EVENT.itemsize * EVENT.itemsize
        left = data[whole:]
        if whole:
            yield rows(data[:whole])
    if left:
        raise SpikeError(f"the stream ends within a row, {len(left)} bytes of {EVENT.itemsize}; check what writes it")


def _followed(file: BinaryIO, idle: float) -> Iterator[np.ndarray]:
    left, quiet = b"", time.monotonic()
    with file:
        while not idle or time.monotonic() - quiet < idle:
            data = left + file.read(1 << 20)
            whole = len(data) // EVENT.itemsize * EVENT.itemsize
            left = data[whole:]
            if whole:
                quiet = time.monotonic()
                yield rows(data[:whole])
            else:
                time.sleep(0.01)
