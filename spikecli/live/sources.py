"""Where a stream comes from: a recording at its own pace, a growing file, standard input, UDP or TCP."""

from __future__ import annotations

import io
import select
import socket
import sys
import time
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
from spikecli.live.backlog import buffered
from spikecli.live.wire import LARGEST, Datagrams, Losses, paced, whole_of

PART = 2_000  # µs of a recording that are played at once
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
    source: str,
    speed: float,
    idle: float,
    facts: EventFacts | None = None,
    how: ReadOptions = AS_FOUND,
    on_note: Callable[[str], None] = lambda note: None,
) -> Stream:
    """Return the stream that `source` names: `udp://` or `tcp://HOST:PORT`, `-`, a file of rows, or a recording.

    `idle` is how many seconds without events end a stream that has begun, 0 for never. `on_note` gets lines on what is
    waited for or ignored. Raise SpikeError if it cannot be opened.
    """
    losses = Losses(on_note=lambda note: on_note(f"{source}: {note}"))
    if source.startswith(("udp://", "tcp://")):
        bound = listening(source)
        losses.on_note("waiting for events")
        begin = _received if source.startswith("udp") else _accepted
        return Stream(buffered(lambda: begin(bound, idle, losses), losses), how.sensor, losses)
    if source == "-":
        return Stream(_piped(sys.stdin.buffer, idle), how.sensor, losses)
    if "://" in source:
        raise SpikeError(f"found {source!r}; wanted udp://HOST:PORT or tcp://HOST:PORT, -, or a file")
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
    """Return the socket of `udp://` or `tcp://HOST:PORT`; raise SpikeError if it is no such address or is taken."""
    kind, _, address = source.partition("://")
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise SpikeError(f"found {source!r}; wanted {kind}://HOST:PORT, such as {kind}://127.0.0.1:4000")
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    try:
        if kind == "tcp":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host or "127.0.0.1", int(port)))
        if kind == "tcp":
            bound.listen(1)
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
                found = reader.read(*bound.recvfrom(LARGEST))
            except TimeoutError:
                return
            if found is None:
                return
            if len(found):
                bound.settimeout(idle or None)  # the first event may be long in coming
                yield found


def _accepted(bound: socket.socket, idle: float, losses: Losses) -> Iterator[np.ndarray]:
    """Yield the rows of the first program that connects, until it closes; TCP loses nothing on the way."""
    with bound:
        connected, _ = bound.accept()
    with connected:
        connected.settimeout(idle or None)
        yield from whole_rows(lambda: connected.recv(1 << 20))


def _piped(pipe: BinaryIO, idle: float = 0) -> Iterator[np.ndarray]:
    begun = False

    def read() -> bytes:
        nonlocal begun
        if begun and idle and not _is_ready(pipe, idle):
            raise TimeoutError
        begun = True
        return pipe.read1(1 << 20) if isinstance(pipe, io.BufferedReader) else pipe.read(1 << 20)

    yield from whole_rows(read)


def _is_ready(pipe: BinaryIO, seconds: float) -> bool:
    """Return whether a pipe can be read within `seconds`; True of what is no pipe of the system."""
    try:
        return bool(select.select([pipe], [], [], seconds)[0])
    except (OSError, ValueError):
        return True


def whole_rows(read: Callable[[], bytes]) -> Iterator[np.ndarray]:
    """Yield the events of bytes as `read` returns them, until it returns none or takes too long; raise SpikeError if
    they end within a row, are text, or cannot be read any more."""
    left, begun = b"", False
    while data := _in_time(read):
        _demand_bytes(data, begun)
        events, left = whole_of(left + data)
        begun = True
        if len(events):
            yield events
    _demand_whole(left)


def _demand_bytes(data: bytes, begun: bool) -> None:
    """Raise SpikeError if a stream begins with two rows of text: the times of rows have bytes of zero."""
    if not begun and len(data) >= 2 * EVENT.itemsize and data[:200].isascii() and b"\0" not in data[:200]:
        raise SpikeError(
            f"found text, such as {data[:20].decode()!r}; wanted rows of {EVENT.itemsize} bytes: x, y, t, p as "
            "docs/deploy.md has them; send those, or write the text to a file and give its name"
        )


def _demand_whole(left: bytes) -> None:
    if left:
        raise SpikeError(f"the stream ends within a row, {len(left)} bytes of {EVENT.itemsize}; check what writes it")


def _in_time(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except TimeoutError:
        return b""
    except OSError as error:
        raise SpikeError(f"the stream was cut: {error.strerror or error}; check what sends it") from error


def _followed(file: BinaryIO, idle: float) -> Iterator[np.ndarray]:
    left, quiet, begun = b"", time.monotonic(), False
    with file:
        while not idle or time.monotonic() - quiet < idle:
            data = file.read(1 << 20)
            _demand_bytes(data, begun)
            events, left = whole_of(left + data)
            if len(events):
                quiet, begun = time.monotonic(), True
                yield events
            else:
                time.sleep(0.01)
    _demand_whole(left)
