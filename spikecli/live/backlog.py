"""Events that another thread receives while a network answers; where too many wait, the oldest are dropped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from spikecli.live.wire import Losses

AHEAD = 2_000_000  # events that may wait for an answer


class Backlog:
    """Parts of events between two threads; those dropped are counted in `losses`."""

    def __init__(self, losses: Losses, ahead: int) -> None:
        self.losses, self.ahead = losses, ahead
        self.parts: deque[np.ndarray] = deque()
        self.waiting = 0  # events
        self.ended = False
        self.problem: BaseException | None = None
        self.changed = threading.Condition()

    def put(self, part: np.ndarray) -> None:
        """Add a part; drop the oldest ones while more than `ahead` events wait in several parts."""
        with self.changed:
            self.parts.append(part)
            self.waiting += len(part)
            while self.waiting > self.ahead and len(self.parts) > 1:
                gone = len(self.parts.popleft())
                self.waiting -= gone
                self.losses.events += gone
            self.changed.notify()

    def end(self, problem: BaseException | None = None) -> None:
        """Say that nothing more comes, and the error that ended it if there was one."""
        with self.changed:
            self.ended, self.problem = True, problem
            self.changed.notify()

    def take(self) -> np.ndarray | None:
        """Return all events that wait, in order, None at the end; raise the error that ended the stream."""
        with self.changed:
            while not self.parts and not self.ended:
                self.changed.wait(0.2)
            parts, self.waiting = list(self.parts), 0
            self.parts.clear()
        if parts:
            return np.concatenate(parts)
        if self.problem is not None:
            raise self.problem
        return None


def buffered(begin: Callable[[], Iterator[np.ndarray]], losses: Losses, ahead: int = AHEAD) -> Iterator[np.ndarray]:
    """Yield what a thread of its own receives from `begin()`, as much at once as waits; raise what ends that thread."""
    backlog = Backlog(losses, ahead)

    def receive() -> None:
        try:
            for part in begin():
                backlog.put(part)
            backlog.end()
        except BaseException as problem:  # noqa: BLE001  (raised again where the events are read)
            backlog.end(problem)

    threading.Thread(target=receive, daemon=True).start()
    while (events := backlog.take()) is not None:
        yield events
