"""Norm: from the membrane potential v to what the fire function sees, u. The reset still acts on v."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.settings.config import NeuronConfig


class MembraneBatchNorm(nn.Module):
    """u = γ·(v − μ)/√(σ² + ε) + β per channel, statistics of each step by itself in training (2308.08359).

    With the size of the map, each of its neurons has its own μ, σ, γ and β: the element-wise form.
    """

    def __init__(self, channels: int, positions: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(positions[0] * positions[1] * channels)
        self.shape = (channels,) if positions == (1, 1) else (*positions, channels)

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C); (B, H, W, C) for the element-wise form
        return self.norm(v.reshape(-1, self.norm.num_features)).view(v.shape)

    def running(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return γ, β, μ and √(σ² + ε) of evaluation, each (C,), or (H, W, C) in the element-wise form."""
        norm, shape = self.norm, self.shape
        assert norm.running_mean is not None and norm.running_var is not None
        deviation = (norm.running_var + norm.eps).sqrt()
        return norm.weight.view(shape), norm.bias.view(shape), norm.running_mean.view(shape), deviation.view(shape)


class MembraneRectifier(nn.Module):
    """φ(v) of 2307.04356: monotone with φ(½) = ½, so it moves no spike and acts through the gradient alone.

    φ(v) = 1 − (1 − v)^⅓ for v < 0, ½·tanh(3(v − ½))/tanh(1.5) + ½ on [0, 1], v^⅓ for v > 1.
    """

    def forward(self, v: Tensor) -> Tensor:
        # Each branch is fed only values that it is meant for: a root's gradient at the wrong place would be NaN.
        below = 1 - (1 - v.clamp(max=0)).pow(1 / 3)
        middle = torch.tanh(3 * (v.clamp(0, 1) - 0.5)) / (2 * math.tanh(1.5)) + 0.5
        above = v.clamp(min=1).pow(1 / 3)
        return torch.where(v < 0, below, torch.where(v > 1, above, middle))

    @staticmethod
    def inverse(u: float) -> float:
        """Return the v with φ(v) = u."""
        if u < 0:
            return 1 - (1 - u) ** 3
        return u**3 if u > 1 else 0.5 + math.atanh((2 * u - 1) * math.tanh(1.5)) / 3


NORMS: dict[str, Callable[[int, tuple[int, int] | None], nn.Module]] = {
    "none": lambda channels, positions: nn.Identity(),
    "mpbn": lambda channels, positions: MembraneBatchNorm(channels),
    "mpbn-element": lambda channels, positions: MembraneBatchNorm(channels, positions or (1, 1)),
    "rectifier": lambda channels, positions: MembraneRectifier(),
}


def build(config: NeuronConfig, channels: int, positions: tuple[int, int] | None = None) -> nn.Module:
    """Return the norm that `config` names, for `channels` channels in the last axis of maps of size `positions`."""
    return NORMS[config.norm](channels, positions)
