"""Norm: from the membrane potential v to u, the input of the fire function. The reset still acts on v."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.neurons.answers import GoesInto, Step
from spikecli.neurons.fire import Binary
from spikecli.neurons.folded import NEVER, moved
from spikecli.settings.config import NeuronConfig


class MembraneBatchNorm(nn.Module):
    """u = γ·(v − μ)/√(σ² + ε) + β per channel, statistics of each step by itself in training (2308.08359).

    With the size of the map, each of its neurons has its own μ, σ, γ and β: the element-wise form.
    """

    goes_into = GoesInto("membrane batch norm", "thresholds")

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

    def into(self, fire: nn.Module) -> nn.Module:
        """Return the fire function of v with the same output as `fire` of u.

        θ̃ = (θ − β)·√(σ² + ε)/γ + μ (2308.08359); for γ < 0 the inequality turns, for γ = 0 the neuron is constant.
        """
        gamma, beta, mean, deviation = self.running()
        direction = torch.where(gamma < 0, -torch.ones_like(gamma), torch.ones_like(gamma))
        constant = fire(beta)  # what it always emits where γ = 0

        def reach(step: Step, below: float) -> Tensor:
            potential = direction * ((step.at - beta) * deviation / gamma + mean)
            always = torch.where(constant > below, -NEVER, NEVER).to(potential)
            return torch.where(gamma == 0, always, potential)

        return moved(fire, direction, reach)


class MembraneRectifier(nn.Module):
    """φ(v) of 2307.04356: monotone with φ(½) = ½, so it moves no spike and acts through the gradient alone.

    φ(v) = 1 − (1 − v)^⅓ for v < 0, ½·tanh(3(v − ½))/tanh(1.5) + ½ on [0, 1], v^⅓ for v > 1.
    """

    goes_into = GoesInto("membrane rectifier", "thresholds")

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

    def into(self, fire: nn.Module) -> nn.Module:
        """Return the fire function of v with the same output as `fire` of u.

        φ rises, so it reaches θ at φ⁻¹(θ); φ(½) = ½ leaves the papers' own threshold where it is (2307.04356).
        """
        if isinstance(fire, Binary) and not fire.signed:
            return Binary(self.inverse(fire.threshold), fire.surrogate)
        one = torch.ones((), dtype=torch.float64)
        return moved(fire, one, lambda step, below: self.inverse(step.at) * one)


NORMS: dict[str, Callable[[NeuronConfig, int, tuple[int, int] | None], nn.Module]] = {
    "none": lambda config, channels, positions: nn.Identity(),
    "mpbn": lambda config, channels, positions: MembraneBatchNorm(channels),
    "mpbn-element": lambda config, channels, positions: MembraneBatchNorm(channels, positions or (1, 1)),
    "rectifier": lambda config, channels, positions: MembraneRectifier(),
}


def build(config: NeuronConfig, channels: int, positions: tuple[int, int] | None = None) -> nn.Module:
    """Return the norm that `config` names, for `channels` channels in the last axis of maps of size `positions`."""
    return NORMS[config.norm](config, channels, positions)
