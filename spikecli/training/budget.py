"""`train --time 2h`: the pace is measured over a few steps, and the schedule is fitted to the epochs that fit."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikecli.errors import ChoiceError, SettingError
from spikecli.training.reestimation import REESTIMATION_CLOUDS
from spikecli.training.runs import Epoch

if TYPE_CHECKING:
    from spikecli.training.train import Trainer

WARM, MEASURED = 3, 10  # steps before the pace is measured, and steps that it is measured over
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


@dataclass(frozen=True)
class Pace:
    """Seconds of one epoch with its validation and what it writes, and of what follows the last."""

    epoch: float
    end: float

    def fitting(self, left: float, most: int | None = None) -> int:
        """Return the number of epochs that end within `left` seconds, `most` at most; 0 if none does."""
        count = max(0, int((left - self.end) / self.epoch))
        return count if most is None else min(count, most)


def measure(trainer: Trainer) -> Pace:
    """Return the pace of a trainer, whose weights change: it is thrown away afterwards."""
    steps = trainer.batches.steps
    warm = min(WARM, steps - 1)
    trainer.model.train()
    if warm:
        trainer.make_steps(0, 0, warm)
    count = min(MEASURED, steps - warm)
    begun = time.perf_counter()
    trainer.make_steps(0, warm, count)
    step = (time.perf_counter() - begun) / count
    # A step is slower than a pass without gradients over as many samples, so these are at most:
    validation = step * len(trainer.held_out.labels) / trainer.config.batch_size
    again = min(REESTIMATION_CLOUDS, len(trainer.batches.labels)) if trainer.config.reestimate else 0
    end = step * again / trainer.config.batch_size
    first, saving = _saving(trainer), _saving(trainer)
    return Pace(step * steps + validation + saving, end + max(0.0, first - saving))


def _saving(trainer: Trainer) -> float:
    """Return the seconds that the files of an epoch take; of small data they are most of its time."""
    begun = time.perf_counter()
    trainer.run.end_epoch(trainer.model, trainer.optimizer, Epoch(1, 0.0, 0.0, None, 0.0, 1.0, 1.0))
    return time.perf_counter() - begun


def epochs_within(budget: Budget, pace: Pace) -> int:
    """Return the number of epochs to train; raise SettingError if not one fits."""
    count = pace.fitting(budget.left, budget.most)
    if count:
        return count
    needed = (pace.epoch + pace.end) / (1 - RESERVE) + time.monotonic() - budget.begun
    raise SettingError(
        "time",
        f"is too short: an epoch takes about {in_words(pace.epoch)} here; give at least {in_words(1.1 * needed)}, or "
        "train on less: fewer points, or a smaller network",
    )


def is_over(budget: Budget | None, epoch_seconds: float) -> bool:
    """Return whether one more epoch would end too late."""
    return budget is not None and budget.left < epoch_seconds
