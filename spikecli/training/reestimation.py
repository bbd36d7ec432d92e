"""Batch statistics from clean batches: what evaluation meets, which training with augmented batches does not see."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spikecli.machine.device import autocast
from spikecli.models.layers import BatchNorm
from spikecli.settings.config import TrainConfig

REESTIMATION_CLOUDS = 2048
REESTIMATION_STEPS = 4  # membranes carry over: later steps have statistics of their own, and evaluation meets them


def reestimate(model: nn.Module, batches: Iterator[Tensor], config: TrainConfig, device: torch.device) -> None:
    """Replace the running statistics of every batch norm by their mean over clean batches, dropout off."""
    norms = [module for module in model.modules() if isinstance(module, BatchNorm | nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    torch.manual_seed(config.seed)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout) or getattr(module, "random_in_training", False):
            module.eval()
    with torch.no_grad(), autocast(device, config.precision):
        for number, inputs in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / number  # the running mean over batches
            model(inputs, max(config.timesteps, REESTIMATION_STEPS))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
