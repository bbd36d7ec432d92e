"""Surrogates: the derivative that stands for the step function's in the backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spikecli.config import NeuronConfig


@dataclass(frozen=True)
class Rectangle:
    """1 within ½ of the threshold, else 0 (papers' θ = ½: on (0, 1); signed: on (−1, 1), the derivative of a clamp)."""

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape."""
        low = -threshold - 0.5 if signed else threshold - 0.5
        return torch.ops.aten.hardtanh_backward(gradient, u, low, threshold + 0.5)


@dataclass(frozen=True)
class Tanh:
    """k(1 − tanh²(k(u − θ)))/(2 tanh(k/2)) within ½ of the threshold, else 0; area 1 (2308.08359 and 2310.06232)."""

    slope: float

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape; signed: the same window about −θ as about θ."""
        # torch's own backward passes of tanh and of a clamp do in one pass each what takes ten written out.
        shift = u.new_tensor(-self.slope * threshold)
        bent = torch.add(shift, u.abs() if signed else u, alpha=self.slope).tanh_()
        edge = math.tanh(self.slope / 2)
        low = -2.0 if signed else -edge  # |u| ≥ 0 is bound enough from below
        inside = torch.ops.aten.hardtanh_backward(gradient, bent, low, edge)
        return torch.ops.aten.tanh_backward(inside, bent).mul_(self.slope / (2 * edge))


SURROGATES: dict[str, Callable[[NeuronConfig], Rectangle | Tanh]] = {
    "rectangle": lambda config: Rectangle(),
    "tanh": lambda config: Tanh(config.slope),
}


def build(config: NeuronConfig) -> Rectangle | Tanh:
    """Return the surrogate that `config` names."""
    return SURROGATES[config.surrogate](config)
