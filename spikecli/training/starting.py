"""The first weights of a run: fresh, of another network, or as a stopped run has left them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from spikecli.errors import named
from spikecli.files.gate import file_hash
from spikecli.machine import processes
from spikecli.training.reestimation import REESTIMATION_CLOUDS
from spikecli.weights.trained import Trained
from spikecli.weights.transfer import measure_norms, take_weights

if TYPE_CHECKING:
    from spikecli.training.train import Trainer


def resume_run(trainer: Trainer, accept_changed: bool) -> None:
    """Load the state of a stopped run; raise SpikeError if settings differ, or data unless `accept_changed`."""
    trainer.run.accept_changed = accept_changed
    trainer.run.load_state(trainer.model, trainer.optimizer)
    if trainer.run.data_changed:
        trainer.run.restart_epoch(trainer.batches.steps)
    if processes.rank() == 0:
        trainer.run.republish(trainer.model)


def begin_run(trainer: Trainer) -> None:
    """Give a new run the weights that it is to start from, if any; raise SpikeError if they do not fit.

    Norms of a folded network get the statistics of clean training samples.
    """
    config, batches = trainer.config, trainer.batches
    if config.start_from is None:
        return
    source = Trained.open(config.start_from, "cpu")
    _compare_steps(source, config.timesteps)
    fresh = take_weights(trainer.model, source, trainer.run.classnames)
    if source.config.model.folded:
        clean = batches.clean(0, REESTIMATION_CLOUDS)
        measure_norms(trainer.model, clean, config.timesteps, trainer.device, config.precision)
    trainer.run.origin = {"weights": source.name, "sha256": file_hash(source.path), "new_head": fresh}


def _compare_steps(source: Trained, timesteps: int) -> None:
    """Warn if the weights were trained with another number of time steps than the run that starts from them."""
    before = source.config.timesteps
    if before != timesteps:
        warnings.warn(
            f"{source.name}: trained with {before} time step{'s' * (before != 1)}, this run takes {timesteps}; "
            f"{named('timesteps')} {before} takes as many",
            stacklevel=2,
        )
