"""Handle SIGINT and SIGTERM at a safe moment, between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """A flag, set by SIGINT and SIGTERM, that the user wants to stop."""

    asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


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
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
