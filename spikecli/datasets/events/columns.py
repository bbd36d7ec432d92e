"""What every decoder of event files returns, and the words its errors share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from spikecli.errors import SpikeError

Size = tuple[int, int]  # width, height

# No event takes less than two bits of a file, however it is packed: a header that claims more is broken.
_EVENTS_PER_BYTE = 4
_FREE_EVENTS = 1 << 20


class Columns(NamedTuple):
    """The events of one file as the file has them: four columns of equal length, and the sensor if it is named."""

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray  # int64, µs
    p: np.ndarray  # 0 or 1
    size: Size | None = None

    def between(self, start: int, end: int) -> Columns:
        """Return the events with start ≤ t < end, µs."""
        inside = (self.t >= start) & (self.t < end)
        return Columns(self.x[inside], self.y[inside], self.t[inside], self.p[inside], self.size)


def broken(path: Path, found: str, wanted: str) -> NoReturn:
    """Raise the SpikeError for a file whose bytes are not what its format says."""
    raise SpikeError(f"{path} is broken: found {found}; wanted {wanted}; fetch the file again")


def claimed(path: Path, count: int) -> int:
    """Return `count`, the number of events a header claims; SpikeError when a file of this size cannot hold so many."""
    if not 0 <= count <= most_events(path):
        broken(path, f"a header that claims {count} events", f"at most {most_events(path)} in a file of this size")
    return count


def most_events(path: Path) -> int:
    """Return how many events a file of this size can hold."""
    return max(_FREE_EVENTS, _EVENTS_PER_BYTE * path.stat().st_size)


def unwrapped(t: np.ndarray, bits: int) -> np.ndarray:
    """Return counter values t as int64 that go on where the counter of `bits` bits fell back to zero."""
    t = t.astype(np.int64)
    wraps = np.diff(t) < -(1 << (bits - 1))
    if wraps.any():
        t[1:] += np.cumsum(wraps) << bits
    return t
