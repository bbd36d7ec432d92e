"""Windows over a stream: so many events or so much time each, one after the other or overlapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import ChoiceError

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True)
class EventWindow:
    """A window of `length` events, or µs if `timed`; the next begins `hop` later."""

    length: int
    hop: int
    timed: bool

    def over(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the events of each window of a stream in order; a last one that is not full is left out."""
        return self._by_time(parts) if self.timed else self._by_count(parts)

    def _by_count(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        waiting, count = [np.empty(0, EVENT)], 0
        for part in parts:
            waiting.append(part)
            count += len(part)
            if count < self.length:
                continue
            kept, begin = np.concatenate(waiting), 0  # once a window, not once a part
            while len(kept) - begin >= self.length:
                yield kept[begin : begin + self.length]
                begin += self.hop
            waiting, count = [kept[begin:]], len(kept) - begin

    def _by_time(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        waiting, start = [np.empty(0, EVENT)], None
        for part in parts:
            if not len(part):
                continue
            start = int(part["t"][0]) if start is None else start
            waiting.append(part)
            latest = int(part["t"][-1])
            if latest < start + self.length:
                continue
            kept = np.concatenate(waiting)
            while latest >= start + self.length:
                first, last = np.searchsorted(kept["t"], [start, start + self.length])
                yield kept[first:last]
                start += self.hop
                kept = kept[np.searchsorted(kept["t"], start) :]
            waiting = [kept]


def window_of(window: str, hop: str | None = None) -> EventWindow:
    """Return the window that `100ms`, `0.1s` or `5000` (events) names; raise ChoiceError for anything else."""
    length, timed = _amount("window", window)
    if hop is None:
        return EventWindow(length, length, timed)
    step, same = _amount("hop", hop)
    if same != timed or step > length:
        raise ChoiceError("hop", f"cannot be {hop}: choose at most the window {window}, in the same unit")
    return EventWindow(length, step, timed)


def _amount(setting: str, text: str) -> tuple[int, bool]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s)?", text.strip())
    amount = round(float(match[1]) * _UNITS.get(match[2] or "", 1)) if match else 0
    if match is None or amount < 1 or (match[2] is None and "." in match[1]):
        raise ChoiceError(
            setting, f"cannot be {text!r}: choose a time such as 100ms, or a number of events such as 5000"
        )
    return amount, match[2] is not None
