"""One call of `spikecli train`: a trainer with the logs that follow it and the time that it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from spikecli.errors import SettingError, named
from spikecli.machine import processes
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig
from spikecli.training.budget import Budget, in_words
from spikecli.training.logs import logging_to
from spikecli.training.pace import epochs_within, measure
from spikecli.training.train import Trainer, opened


@dataclass(frozen=True)
class TrainCall:
    """How a training is called: where it logs to, how long it may take, and where notes go."""

    logs: tuple[str, ...] = ()
    budget: Budget | None = None
    note: Callable[[str], None] = lambda text: None


@contextmanager
def session(
    config: TrainConfig,
    data_dir: Path,
    out: Path | None,
    resume: bool,
    device: str,
    how: TrainCall,
    progress: Progress = Progress(),
    accept_changed: bool = False,
) -> Iterator[Trainer]:
    """Yield a trainer as `opened` does, with logs and a budget; raise SpikeError as it does, or if no epoch fits.

    With a budget a new run gets as many epochs as fit, which its settings record: resuming keeps them.
    """
    if how.budget is not None and not resume:
        config = fitted_to_time(config, data_dir, device, how.budget, how.note)
    with opened(config, data_dir, out, resume, device, progress=progress, accept_changed=accept_changed) as trainer:
        trainer.budget = how.budget
        logs = how.logs if processes.rank() == 0 else ()
        with logging_to(logs, trainer.run.folder, trainer.config) as trainer.run.logs:
            yield trainer


def fitted_to_time(
    config: TrainConfig, data_dir: Path, device: str, budget: Budget, note: Callable[[str], None]
) -> TrainConfig:
    """Return the settings with the epochs that fit into the budget, by the pace of the first steps.

    The steps are made in a trainer of their own: the run is that of `--epochs` with the number that was found. Raise
    SettingError in several processes, or if not one epoch fits.
    """
    if processes.started_by_torchrun():
        raise SettingError("time", f"is measured in one process; with several give {named('epochs')}")
    with TemporaryDirectory() as scratch, opened(config, data_dir, Path(scratch) / "run", False, device) as trainer:
        pace = measure(trainer)
    count = epochs_within(budget, pace)
    note(f"{in_words(budget.seconds)} hold {count} epoch{'s' * (count != 1)}, of about {in_words(pace.epoch)} each")
    return config.model_copy(update={"epochs": count})
