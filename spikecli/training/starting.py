"""The first weights of a run: fresh, of another network, or as a stopped run has left them."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from spikecli.errors import named
from spikecli.files.gate import file_hash
from spikecli.machine import processes
from spikecli.training.batches import Batches
from spikecli.training.reestimation import REESTIMATION_CLOUDS
from spikecli.training.runs import Run
from spikecli.weights.trained import Trained
from spikecli.weights.transfer import measure_norms, take_weights


def resume_run(
    run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, accept_changed: bool
) -> None:
    """Load the state of a stopped run; raise SpikeError if settings differ, or data unless `accept_changed`.

    With changed data the epoch begins again.
    """
    run.accept_changed = accept_changed
    run.load_state(model, optimizer)
    if run.data_changed:
        run.restart_epoch(batches.steps)
    if processes.rank() == 0:
        run.republish(model)


def begin_run(run: Run, model: nn.Module, batches: Batches, device: torch.device) -> None:
    """Give a new run the weights that it is to start from, if any; raise SpikeError if they do not fit.

    Norms of a folded network get the statistics of clean training samples.
    """
    config = run.config
    if config.start_from is None:
        return
    source = Trained.open(config.start_from, "cpu")
    _compare_steps(source, config.timesteps)
    fresh = take_weights(model, source, run.classnames)
    if source.config.model.folded:
        clean = batches.clean(0, REESTIMATION_CLOUDS)
        measure_norms(model, clean, config.timesteps, device, config.precision)
    run.origin = {"weights": source.name, "sha256": file_hash(source.path), "new_head": fresh}


def _compare_steps(source: Trained, timesteps: int) -> None:
    """Warn if the weights were trained with another number of time steps than the run that starts from them."""
    before = source.config.timesteps
    if before != timesteps:
        warnings.warn(
            f"{source.name}: trained with {before} time step{'s' * (before != 1)}, this run takes {timesteps}; "
            f"{named('timesteps')} {before} takes as many",
            stacklevel=2,
        )
