"""The time that `train --time 2h` gives a training."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from spikecli.errors import ChoiceError

RESERVE = 0.05  # share of the time that is kept back: a machine is not always as fast as in its first steps
_UNITS = {"h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)\s*(h|min|m|s)"


def parse_time(text: str) -> float:
    """Return the seconds in "2h", "90m" or "1h30m"; raise ChoiceError for anything else."""
    if not re.fullmatch(rf"\s*(?:{_PART}\s*)+", text):
        raise ChoiceError("time", f"cannot be {text!r}: write hours, minutes or seconds, such as 2h, 90m or 1h30m")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in re.findall(_PART, text))
    if not seconds:
        raise ChoiceError("time", f"cannot be {text!r}: a training takes some time")
    return seconds


def in_words(seconds: float) -> str:
    """Return a duration for people: "2 h 5 min", "12 min", "40 s"."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True)
class Budget:
    """A training's time: `seconds` from `begun`, by the monotonic clock; `most` epochs, if that many were asked for."""

    seconds: float
    begun: float
    most: int | None = None

    @property
    def left(self) -> float:
        """Seconds that are left, less the reserve."""
        return self.begun + self.seconds * (1 - RESERVE) - time.monotonic()


def is_over(budget: Budget | None, epoch_seconds: float) -> bool:
    """Return whether one more epoch would end too late."""
    return budget is not None and budget.left < epoch_seconds
