"""Fire: from u to spikes, with a surrogate for the derivative. A forward hook here sees every u and every spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons import kernel_gate
from spikecli.neurons import surrogate as surrogates
from spikecli.neurons.answers import Step
from spikecli.settings.config import NeuronConfig

_KERNELS = "neurons.fire_kernels"


class _Step(torch.autograd.Function):
    """The step function; keeps only u for the backward pass."""

    @staticmethod
    def forward(u: Tensor, threshold: float, signed: bool, surrogate: surrogates.Surrogate) -> Tensor:
        return signed_step(u, threshold) if signed else step(u, threshold)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, float, bool, surrogates.Surrogate], output: tuple[Tensor]
    ) -> None:
        u, *ctx.how = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (u,) = ctx.saved_tensors
        threshold, signed, surrogate = ctx.how
        return surrogate.backward(gradient, u, threshold, signed), None, None, None


def step(u: Tensor, threshold: float | Tensor) -> Tensor:
    """Return 1[u > θ] in u's type; strict, as in 2308.08359 and 2310.06232."""
    return torch.gt(u, threshold, out=torch.empty_like(u))  # one pass: no boolean tensor, no cast


def signed_step(u: Tensor, threshold: float) -> Tensor:
    """Return 1 where u ≥ θ, −1 where u ≤ −θ, else 0, in u's type; inclusive, as in 2312.06372."""
    if _in_one_pass(u):
        return kernel_gate.kernels(_KERNELS).staircase(u, threshold, 1, True)
    return torch.ge(u, threshold, out=torch.empty_like(u)).sub_(torch.le(u, -threshold, out=torch.empty_like(u)))


def staircase(u: Tensor, threshold: float, rises: int) -> Tensor:
    """Return Σₖ 1[u > k − 1 + θ] for k = 1 … `rises`, in u's type."""
    if _in_one_pass(u):
        return kernel_gate.kernels(_KERNELS).staircase(u, threshold, rises, False)
    spikes = step(u, threshold)
    for level in range(1, rises):
        spikes += step(u, level + threshold)
    return spikes


def _in_one_pass(u: Tensor) -> bool:
    """Return whether a kernel of ours compares u with all thresholds at once: of what a GPU does, reading and writing u
    is all that takes time."""
    return kernel_gate.usable(u) and u.is_contiguous()


class Binary(nn.Module):
    """s = 1[u > θ]."""

    signed = False
    levels: tuple[float, ...] = (0, 1)

    def __init__(self, threshold: float, surrogate: surrogates.Surrogate) -> None:
        super().__init__()
        self.threshold = threshold
        self.surrogate = surrogate

    def forward(self, u: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return _Step.apply(u, self.threshold, self.signed, self.surrogate)
        return signed_step(u, self.threshold) if self.signed else step(u, self.threshold)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the rise from 0 to 1: strict."""
        return (Step(self.threshold),)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, surrogate={self.surrogate}"


class Ternary(Binary):
    """s = 1[u ≥ θ] − 1[u ≤ −θ]: a ternary spike carries log₂ 3 bits (2312.06372, eqs 7–14)."""

    signed = True
    levels = (-1, 0, 1)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the rises: −1 ends where u > −θ, 1 begins where u ≥ θ."""
        return Step(-self.threshold), Step(self.threshold, inclusive=True)


class LearnedThreshold(nn.Module):
    """s = 1[u > θ] with one trainable θ a layer (2008.03658): the gradient to θ is the negative of that to u."""

    signed = False
    levels: tuple[float, ...] = (0, 1)

    def __init__(self, threshold: float, surrogate: surrogates.Surrogate) -> None:
        super().__init__()
        self.begun = threshold  # what surrogates lie about
        self.theta = nn.Parameter(torch.tensor(threshold))
        self.surrogate = surrogate

    def forward(self, u: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return step(u, self.theta.to(u.dtype))
        # u − θ > 0 is u + (θ₀ − θ) > θ₀: the same surrogate, about the threshold where it is now.
        return _Step.apply(u + (self.begun - self.theta.to(u.dtype)), self.begun, False, self.surrogate)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the rise from 0 to 1, where θ is now: strict."""
        return (Step(self.theta.item()),)

    def extra_repr(self) -> str:
        return f"surrogate={self.surrogate}"


class _Staircase(torch.autograd.Function):
    """D equal rises; the gradient passes as it is where 0 ≤ u ≤ D."""

    @staticmethod
    def forward(u: Tensor, threshold: float, highest: int) -> Tensor:
        return staircase(u, threshold, highest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, int], output: Tensor) -> None:
        u, _, ctx.highest = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (u,) = ctx.saved_tensors
        return surrogates.within(gradient, u, 0.0, float(ctx.highest)), None, None


class Integer(nn.Module):
    """s = Σₖ 1[u > k − 1 + θ] for k = 1 … D: with θ = ½, round(clamp(u, 0, D)), halves down (2407.20708).

    The surrogate is the identity where 0 ≤ u ≤ D, whatever `--surrogate` says. At inference a spike of size s is s
    binary ones: `neurons.unrolled` runs the same network in D binary steps.
    """

    signed = False

    def __init__(self, threshold: float, highest: int) -> None:
        super().__init__()
        self.threshold = threshold
        self.highest = highest
        self.levels: tuple[float, ...] = tuple(range(highest + 1))

    def forward(self, u: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return staircase(u, self.threshold, self.highest)
        return _Staircase.apply(u, self.threshold, self.highest)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the rises from 0 to 1, 1 to 2, …, D − 1 to D: strict."""
        return tuple(Step(level + self.threshold) for level in range(self.highest))

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, highest={self.highest}"


FIRES: dict[str, Callable[[NeuronConfig], nn.Module]] = {
    "binary": lambda config: Binary(config.threshold, surrogates.build(config)),
    "learned": lambda config: LearnedThreshold(config.threshold, surrogates.build(config)),
    "ternary": lambda config: Ternary(config.threshold, surrogates.build(config)),
    "integer": lambda config: Integer(config.threshold, config.highest),
}


def build(config: NeuronConfig) -> nn.Module:
    """Return the fire function that `config` names."""
    return FIRES[config.fire](config)
