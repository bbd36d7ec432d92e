"""A neuron without a norm: what a membrane's norm did to the potential is done to the thresholds, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons.charge import LearnedLeak
from spikecli.neurons.fire import Binary, step
from spikecli.neurons.neuron import Neuron
from spikecli.neurons.norm import MembraneBatchNorm, MembraneRectifier

NEVER = torch.finfo(torch.float32).max  # a threshold out of reach that a checkpoint can still hold


class Upper(nn.Module):
    """s = 1[d·v > θ̃], strict: a direction d = ±1 and a threshold θ̃ for each channel or each neuron."""

    signed = False
    direction: Tensor
    upper: Tensor

    def __init__(self, direction: Tensor, upper: Tensor) -> None:
        super().__init__()
        self.register_buffer("direction", direction)
        self.register_buffer("upper", upper.clamp(-NEVER, NEVER))

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C)
        return step(v * self.direction.to(v.dtype), self.upper)


class Window(Upper):
    """s = 1[d·v ≥ θ̃₊] − 1[d·v ≤ θ̃₋], inclusive: the thresholds need not lie about 0."""

    signed = True
    lower: Tensor

    def __init__(self, direction: Tensor, upper: Tensor, lower: Tensor) -> None:
        super().__init__(direction, upper)
        self.register_buffer("lower", lower.clamp(-NEVER, NEVER))

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C)
        v = v * self.direction.to(v.dtype)
        return torch.ge(v, self.upper, out=torch.empty_like(v)).sub_(torch.le(v, self.lower, out=torch.empty_like(v)))


def _through_batch_norm(norm: MembraneBatchNorm, fire: Binary) -> nn.Module:
    """θ̃ = (θ − β)·√(σ² + ε)/γ + μ (2308.08359); for γ < 0 the inequality turns, for γ = 0 the neuron is constant."""
    gamma, beta, mean, deviation = norm.running()
    direction = torch.where(gamma < 0, -torch.ones_like(gamma), torch.ones_like(gamma))
    constant = fire(beta)  # what it always emits where γ = 0

    def turned(level: float, always: Tensor, beyond: float) -> Tensor:
        potential = direction * ((level - beta) * deviation / gamma + mean)
        return torch.where(gamma == 0, torch.where(always, -beyond, beyond), potential)

    upper = turned(fire.threshold, constant > 0, NEVER)
    if not fire.signed:
        return Upper(direction, upper)
    return Window(direction, upper, turned(-fire.threshold, constant < 0, -NEVER))


def _through_rectifier(norm: MembraneRectifier, fire: Binary) -> nn.Module:
    """φ rises, so it reaches ±θ at φ⁻¹(±θ); φ(½) = ½ leaves the papers' own threshold where it is (2307.04356)."""
    upper, lower = norm.inverse(fire.threshold), norm.inverse(-fire.threshold)
    if not fire.signed:
        return Binary(upper, fire.surrogate)
    one = torch.ones((), dtype=torch.float64)
    return Window(one, upper * one, lower * one)


THROUGH: dict[type[nn.Module], Callable[[Any, Any], nn.Module]] = {
    nn.Identity: lambda norm, fire: fire,
    MembraneBatchNorm: _through_batch_norm,
    MembraneRectifier: _through_rectifier,
}


def folded(neuron: Neuron) -> Neuron:
    """Return the neuron without a norm that fires when this one does in evaluation; its amplitude is still its own.

    The reset goes on acting on the raw potential, with the same spikes.
    """
    charge = neuron.charge.folded() if isinstance(neuron.charge, LearnedLeak) else neuron.charge
    fire = THROUGH[type(neuron.norm)](neuron.norm, neuron.fire)
    return Neuron(neuron.start, charge, nn.Identity(), fire, neuron.reset, neuron.amplitude)
