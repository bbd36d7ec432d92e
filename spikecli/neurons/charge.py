"""Charge: add a step's input to the membrane potential."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.neurons.answers import GoesInto
from spikecli.settings.config import NeuronConfig


class Leak(nn.Module):
    """v ← λ·v + x (the papers' τ is this factor λ, not a time constant)."""

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        return x if v is None else torch.add(x, v, alpha=self.decay)

    def extra_repr(self) -> str:
        return f"decay={self.decay}"


class LearnedLeak(nn.Module):
    """v ← σ(w)·v + x with one trainable w per layer, σ(w) = λ at first (the parametric LIF's leak)."""

    goes_into = GoesInto("learned leak", "leak")

    def __init__(self, decay: float) -> None:
        super().__init__()
        bounded = min(max(decay, 1e-4), 1 - 1e-4)  # σ never reaches 1
        self.logit = nn.Parameter(torch.tensor(math.log(bounded / (1 - bounded))))

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        return x if v is None else x + self.logit.sigmoid().to(x.dtype) * v

    def folded(self) -> nn.Module:
        """Return the leak with the learned factor, fixed."""
        return FixedLeak(self.logit.sigmoid())


class FixedLeak(nn.Module):
    """v ← λ·v + x with a λ () that is kept with the weights."""

    decay: Tensor

    def __init__(self, decay: Tensor) -> None:
        super().__init__()
        self.register_buffer("decay", decay)

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        return x if v is None else x + self.decay.to(x.dtype) * v


class Gated(nn.Module):
    """v ← (1 − α(1 − τ))·v − (1 − α)·λ + (1 − β(1 − g))·x, all trained, one a layer: GLIF's leak and integration
    (2210.13768).

    The gates α and β are sigmoids, which mix an exponential leak with a linear one, and a current with a weighted one.
    They begin near the plain leak: α = 0.88, τ = the decay. One g serves all steps, where the paper has one a step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        bounded = min(max(decay, 1e-4), 1 - 1e-4)
        begin = {"alpha": 2.0, "tau": math.log(bounded / (1 - bounded)), "beta": -2.0, "gain": 0.0, "linear": -4.0}
        for name, value in begin.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(value)))

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        alpha, beta, tau, gain, linear = (
            getattr(self, name).sigmoid().to(x.dtype) for name in ("alpha", "beta", "tau", "gain", "linear")
        )
        charged = (1 - beta * (1 - gain)) * x - (1 - alpha) * linear
        return charged if v is None else charged + (1 - alpha * (1 - tau)) * v


CHARGES: dict[str, Callable[[NeuronConfig], nn.Module]] = {
    "leak": lambda config: Leak(config.decay),
    "learned-leak": lambda config: LearnedLeak(config.decay),
    "gated": lambda config: Gated(config.decay),
}


def build(config: NeuronConfig) -> nn.Module:
    """Return the charge that `config` names."""
    return CHARGES[config.charge](config)
