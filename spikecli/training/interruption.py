"""Handle SIGINT, SIGTERM and SIGUSR1 at a safe moment, between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAVE = getattr(signal, "SIGUSR1", None)  # a batch system's warning; Windows has none


class Stop:
    """Flags: SIGINT and SIGTERM ask to stop, SIGUSR1 asks to save and go on."""

    asked = False
    save_asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def ask_save(self, number: int, frame: FrameType | None) -> None:
        self.save_asked = True

    def take_save(self) -> bool:
        """Return whether saving was asked for since the last call."""
        asked, self.save_asked = self.save_asked, False
        return asked


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Yield the flag, to be checked between two steps; the former handlers are restored afterwards.

    Nested blocks share one flag: if the inner block ends before it checks the flag, the outer one still sees it.
    """
    outer = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if isinstance(outer, Stop):
        yield outer
        return
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set signal handlers
        return
    former = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    if SAVE is not None:
        former[SAVE] = signal.signal(SAVE, stop.ask_save)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
