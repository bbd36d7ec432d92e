"""Batch norms of convolutional networks: what their scale begins with, and over what they take statistics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from spikecli.machine import processes
from spikecli.models.layers import BatchNorm
from spikecli.settings.networks import MapConfig

MEETING = 0.5**0.5  # α where two branches meet (2307.04356)

# What a batch norm's scale begins with: 1, or α·θ as in tdBN, so that what two branches bring adds up to one variance.
NORM_SCALES: dict[str, Callable[[float, float], float]] = {
    "plain": lambda alpha, threshold: 1.0,
    "tdbn": lambda alpha, threshold: alpha * threshold,
    "step": lambda alpha, threshold: 1.0,
    "tebn": lambda alpha, threshold: 1.0,
    "bntt": lambda alpha, threshold: 1.0,
}
BY_STEP = {"step"}  # batch norms whose statistics in training are those of each time step by itself


def norm_scale(config: MapConfig, alpha: float = 1.0) -> float:
    """Return the initial scale of batch norms in the network of `config`."""
    return NORM_SCALES[config.batch_norm](alpha, config.neuron.threshold if config.neuron else 1.0)


class MapNorm(BatchNorm):
    """BatchNorm on maps (T, B, H, W, C); a single process trains with torch's own, which takes half the time or less.

    With `by_itself` each time step is normalized with its own batch statistics in training, one after the other; all
    steps share the running ones, which evaluation uses.
    """

    by_itself = False

    def forward(self, y: Tensor) -> Tensor:
        if self.training and self.by_itself and len(y) > 1:
            return torch.stack([self._normed(step) for step in y])
        return self._normed(y)

    def _normed(self, y: Tensor) -> Tensor:
        if not self.training or self.measuring or processes.world() > 1:
            return super().forward(y)
        running = self.running_mean, self.running_var
        rows = y.reshape(-1, y.shape[-1])
        return functional.batch_norm(rows, *running, self.weight, self.bias, True, self.momentum, self.eps).view(
            y.shape
        )
