"""What every decoder of event files returns, and the words its errors share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from spikecli.errors import SpikeError

Size = tuple[int, int]  # width, height

# More than any recording in the field (a minute of a megapixel camera): a header that claims more is broken.
MOST_EVENTS = 1 << 28


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
    """Return `count`, the number of events a header claims; SpikeError when no recording has so many."""
    if not 0 <= count <= MOST_EVENTS:
        broken(path, f"a header that claims {count} events", f"at most {MOST_EVENTS}")
    return count


def unwrapped(t: np.ndarray, bits: int) -> np.ndarray:
    """Return counter values t as int64 that go on where the counter of `bits` bits fell back to zero."""
    t = t.astype(np.int64)
    wraps = np.diff(t) < -(1 << (bits - 1))
    if wraps.any():
        t[1:] += np.cumsum(wraps) << bits
    return t
