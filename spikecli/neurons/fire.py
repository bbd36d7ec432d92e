"""Fire: from u to spikes, with a surrogate for the derivative. A forward hook here sees every u and every spike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons import surrogate as surrogates
from spikecli.settings.config import NeuronConfig


class _Step(torch.autograd.Function):
    """The step function; keeps u alone for the backward pass."""

    @staticmethod
    def forward(u: Tensor, threshold: float, signed: bool, surrogate: Any) -> Tensor:
        return signed_step(u, threshold) if signed else step(u, threshold)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, bool, Any], output: Tensor) -> None:
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
    return torch.ge(u, threshold, out=torch.empty_like(u)).sub_(torch.le(u, -threshold, out=torch.empty_like(u)))


class Binary(nn.Module):
    """s = 1[u > θ]."""

    signed = False

    def __init__(self, threshold: float, surrogate: surrogates.Rectangle | surrogates.Tanh) -> None:
        super().__init__()
        self.threshold = threshold
        self.surrogate = surrogate

    def forward(self, u: Tensor) -> Tensor:
        return _Step.apply(u, self.threshold, self.signed, self.surrogate)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, surrogate={self.surrogate}"


class Ternary(Binary):
    """s = 1[u ≥ θ] − 1[u ≤ −θ]: a ternary spike carries log₂ 3 bits (2312.06372, eqs 7–14)."""

    signed = True


FIRES = {"binary": Binary, "ternary": Ternary}


def build(config: NeuronConfig) -> nn.Module:
    """Return the fire function that `config` names."""
    return FIRES[config.fire](config.threshold, surrogates.build(config))
