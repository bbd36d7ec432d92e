"""Windows over a stream: so many events or so much time each, one after the other or overlapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import ChoiceError

MOST_EMPTY = 1_000  # windows of no event, one after the other; a longer gap is passed over
_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True)
class EventWindow:
    """A window of `length` events, or µs if `timed`; the next begins `hop` later.

    Windows of time begin again at events that are older than the newest one by more than a window, as after a camera's
    clock was set; and after a gap of more than 1,000 windows. Events a little late are put in order.
    """

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
        waiting, start, latest = list[np.ndarray](), None, 0
        for part in self._by_clock(parts):
            first = int(part["t"].min())
            if start is None or first < latest - self.length:
                waiting, start, latest = [], first, first  # a clock that was set: what waits is of another time
            waiting.append(part)
            latest = max(latest, int(part["t"].max()))
            if latest < start + self.length:
                continue
            kept = _in_time_order(np.concatenate(waiting))
            while latest >= start + self.length:
                if int(kept["t"][0]) - start > MOST_EMPTY * self.hop:
                    start = int(kept["t"][0])
                first, last = np.searchsorted(kept["t"], [start, start + self.length])
                yield kept[first:last]
                start += self.hop
                kept = kept[np.searchsorted(kept["t"], start) :]
            waiting = [kept]

    def _by_clock(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the parts, those cut in which the time goes back by more than a window."""
        for part in parts:
            cuts = np.flatnonzero(np.diff(part["t"]) < -self.length) + 1
            yield from (each for each in np.split(part, cuts) if len(each))


def _in_time_order(events: np.ndarray) -> np.ndarray:
    """Return events in order of time: as they are, or a sorted copy."""
    return events if (np.diff(events["t"]) >= 0).all() else events[np.argsort(events["t"], kind="stable")]


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
