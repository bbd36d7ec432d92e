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

    def derivative(self, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return dφ/du, of u's shape and type."""
        inside = u.abs() < threshold + 0.5 if signed else (u - threshold).abs() < 0.5
        return inside.to(u.dtype)


@dataclass(frozen=True)
class Tanh:
    """k(1 − tanh²(k(u − θ)))/(2 tanh(k/2)) within ½ of the threshold, else 0; area 1 (2308.08359 and 2310.06232)."""

    slope: float

    def derivative(self, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return dφ/du, of u's shape and type; signed: the same window about −θ as about θ."""
        distance = (u.abs() if signed else u) - threshold
        height = self.slope / (2 * math.tanh(self.slope / 2))
        bell = torch.tanh(distance * self.slope).square_().mul_(-height).add_(height)
        # Beyond the window nothing; for signed firing |u| ≥ 0 bounds it from below.
        return bell.mul_(distance.abs_() < 0.5) if not signed else bell.mul_(distance < 0.5)


SURROGATES: dict[str, Callable[[NeuronConfig], Rectangle | Tanh]] = {
    "rectangle": lambda config: Rectangle(),
    "tanh": lambda config: Tanh(config.slope),
}


def build(config: NeuronConfig) -> Rectangle | Tanh:
    """Return the surrogate that `config` names."""
    return SURROGATES[config.surrogate](config)
