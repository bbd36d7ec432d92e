"""Progress bars for a flow of several long steps, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from spikecli.console import Advance, Console

if TYPE_CHECKING:
    from spikecli.progress import Progress


class _Phases:
    """Moves one bar at a time: a new phase closes the one before."""

    def __init__(self, console: Console, stack: ExitStack) -> None:
        self.console = console
        self._stack = stack
        self._advance: Advance | None = None

    def start(self, what: str, total: int | None) -> None:
        """Close the current bar and open one of `total` steps."""
        self.close()
        self._advance = self._stack.enter_context(self.console.progress(what, total=total))

    def close(self) -> None:
        """Close the current bar, if any."""
        self._stack.close()
        self._advance = None

    def step(self, steps: int) -> None:
        """Move the bar on."""
        if self._advance is not None:
            self._advance(steps)


@contextmanager
def phases(console: Console) -> Iterator[Progress]:
    """Yield the callbacks of a flow, which show one bar a phase; the last bar is closed at the end."""
    from spikecli.progress import Progress

    with ExitStack() as stack:
        bars = _Phases(console, stack)
        yield Progress(bars.start, bars.step, console.note)
