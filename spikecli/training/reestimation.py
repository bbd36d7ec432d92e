"""Estimate batch statistics from clean batches, which evaluation sees and augmented training does not."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spikecli.machine.device import autocast, seed_draws
from spikecli.models.layers import BatchNorm
from spikecli.settings.config import TrainConfig
from spikecli.training.frozen import begin_training

REESTIMATION_CLOUDS = 2048
REESTIMATION_STEPS = 4  # membranes carry over: later steps have statistics of their own, and evaluation meets them


def reestimate(model: nn.Module, batches: Iterator[Tensor], config: TrainConfig, device: torch.device) -> None:
    """Replace the running statistics of every batch norm by their mean over clean batches, dropout off.

    A membrane's norm is called at each of the T steps of a batch, and takes the mean over all those calls: torch's
    cumulative mean (momentum None), since one momentum a batch would let the last batches and steps outweigh all.
    """
    begin_training(model)
    norms = [each for each in model.modules() if isinstance(each, BatchNorm | nn.BatchNorm1d) and each.training]
    momenta = [norm.momentum for norm in norms]
    own = [norm for norm in norms if isinstance(norm, BatchNorm)]  # called once a batch
    calls = {norm: _begin_mean(norm) for norm in norms if isinstance(norm, nn.BatchNorm1d)}
    seed_draws(device, config.seed)
    for module in model.modules():
        if isinstance(module, nn.Dropout) or getattr(module, "random_in_training", False):
            module.eval()
    with torch.no_grad(), autocast(device, config.precision):
        for number, inputs in enumerate(batches, start=1):
            for each in own:
                each.momentum = 1 / number  # the running mean over batches
            model(inputs, max(config.timesteps, REESTIMATION_STEPS))
    for norm, momentum in zip(norms, momenta, strict=True):
        setattr(norm, "momentum", momentum)  # noqa: B010 (of two types)
    for counted, count in calls.items():
        assert counted.num_batches_tracked is not None
        counted.num_batches_tracked.copy_(count)
    model.eval()


def _begin_mean(norm: nn.BatchNorm1d) -> Tensor:
    """Make a norm average over all its calls from now on; return its number of calls so far."""
    assert norm.num_batches_tracked is not None
    before = norm.num_batches_tracked.clone()
    norm.momentum = None
    norm.num_batches_tracked.zero_()
    return before
