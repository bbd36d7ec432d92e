"""The file that HDF5 writes to: a full disk is an error that it survives, and Ctrl-C waits until it can be heard."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

READ_AGAIN = 2**20  # bytes: HDF5 reads again what describes its data, which comes in small pieces; never the data
_SOON = 0.05  # seconds


class Sink:
    """A file for HDF5, which cannot close what it could not write: the first failure is kept and raised later.

    What comes after it reaches the disk no more, but HDF5 can still read it: over other bytes than its own it crashes.
    Once `raw` is closed, whatever HDF5 still asks for is nothing.
    """

    busy = True  # HDF5 opens or closes the file: it must not be disturbed

    def __init__(self, raw: io.FileIO) -> None:
        self.raw = raw
        self.failure: OSError | None = None
        self.lost: list[tuple[int, bytes]] = []  # offset and bytes that the disk did not take, the oldest first

    def write(self, data: memoryview) -> int:
        """Write all of `data`; keep the first failure."""
        if self.raw.closed:
            return len(data)
        start, done = self.raw.tell(), 0
        try:
            while self.failure is None and done < len(data):
                done += self.raw.write(data[done:]) or 0
        except OSError as error:
            self.failure = error
        if 0 < len(data) - done <= READ_AGAIN:
            self.lost.append((start + done, bytes(data[done:])))
        return len(data)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the whole buffer with what was written at this place, and with zeros where nothing was."""
        if self.raw.closed:
            buffer[:] = bytes(len(buffer))
            return len(buffer)
        start, size = self.raw.tell(), len(buffer)
        done = self.raw.readinto(buffer) or 0
        buffer[done:] = bytes(size - done)
        for offset, data in self.lost:
            first, last = max(offset, start), min(offset + len(data), start + size)
            if first < last:
                buffer[first - start : last - start] = data[first - offset : last - offset]
        return size

    def truncate(self, size: int) -> int:
        """Cut or grow the file to `size` bytes, as HDF5 does on closing; keep the first failure."""
        try:
            if self.failure is None and not self.raw.closed:
                self.raw.truncate(size)
        except OSError as error:
            self.failure = error
        return size

    def __getattr__(self, name: str) -> Any:  # seek and the rest
        return (lambda *given: 0) if self.raw.closed else getattr(self.raw, name)


_INSIDE = {each.__code__ for each in (Sink.write, Sink.readinto, Sink.truncate, Sink.__getattr__)}


@contextmanager
def signals_wait(sink: Sink) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM come a moment later while HDF5 is at work on `sink`.

    What their handlers raise would go through HDF5, which then can neither write nor close the file.
    """
    if threading.current_thread() is not threading.main_thread():  # no other thread hears signals
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heard(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if sink.busy or _is_inside(frame):
            again = threading.Timer(_SOON, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        elif callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def _is_inside(frame: FrameType | None) -> bool:
    """Return whether HDF5 has called what runs in `frame`."""
    while frame is not None:
        if frame.f_code in _INSIDE:
            return True
        frame = frame.f_back
    return False
