"""`train --time 2h`: the pace is measured over a few steps, and the schedule is fitted to the epochs that fit."""

from __future__ import annotations

import time
from dataclasses import dataclass

from spikecli.errors import SettingError
from spikecli.training.budget import RESERVE, Budget, in_words
from spikecli.training.reestimation import REESTIMATION_CLOUDS
from spikecli.training.runs import Epoch
from spikecli.training.train import Trainer

WARM, MEASURED = 3, 10  # steps before the pace is measured, and steps that it is measured over


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
