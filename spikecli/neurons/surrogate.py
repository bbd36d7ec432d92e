"""Surrogates: the derivative that stands for the step function's in the backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from spikecli.settings.config import NeuronConfig


class Surrogate(Protocol):
    """A derivative dφ/du for a step at the threshold, or for one at each of ±threshold if the spikes are signed."""

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape."""


def within(gradient: Tensor, u: Tensor, low: float, high: float) -> Tensor:
    """Return the gradient where low ≤ u ≤ high, else 0: both ends pass it, as in the releases.

    A silent layer of zeros lies exactly on the end of a window about θ = ½, and would learn nothing otherwise.
    """
    return torch.ops.aten.hardtanh_backward(gradient, u, *_just_outside(low, high, u.dtype))


@lru_cache(maxsize=256)
def _just_outside(low: float, high: float, kind: torch.dtype) -> tuple[float, float]:
    """Return the numbers of u's type next to the two ends: torch's own kernel passes what lies strictly between."""
    tiny = torch.finfo(kind).tiny  # about 0 the next number would be one that hardware may flush to 0
    ends = torch.tensor([low, high], dtype=kind)
    beyond = torch.nextafter(ends, torch.tensor([-math.inf, math.inf], dtype=kind)).tolist()
    return min(beyond[0], low - tiny), max(beyond[1], high + tiny)


@dataclass(frozen=True)
class Rectangle:
    """1 within ½ of the threshold, else 0 (papers' θ = ½: on (0, 1); signed: on (−1, 1), the derivative of a clamp)."""

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape."""
        low = -threshold - 0.5 if signed else threshold - 0.5
        return within(gradient, u, low, threshold + 0.5)


@dataclass(frozen=True)
class Tanh:
    """k(1 − tanh²(k(u − θ)))/(2 tanh(k/2)) within ½ of the threshold, else 0; area 1 (2308.08359 and 2310.06232)."""

    slope: float

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape; signed: the same window about −θ as about θ."""
        # 1 − tanh²(z) = 4σ(2z)(1 − σ(2z)): torch's sigmoid takes a fifth of the time of its tanh. Torch's own backward
        # passes of a sigmoid and of a clamp do in one pass each what takes ten written out.
        distance = u.abs() if signed else u
        # `full` writes the constant where u is; `new_tensor` would copy it there, for which a GPU's host waits.
        middle = torch.full((), -2 * self.slope * threshold, dtype=u.dtype, device=u.device)
        bent = torch.add(middle, distance, alpha=2 * self.slope).sigmoid_()
        low = threshold - 0.5
        low = low if low > 0 or not signed else -1.0  # |u| ≥ 0 is bound enough from below
        inside = within(gradient, distance, low, threshold + 0.5)
        return torch.ops.aten.sigmoid_backward(inside, bent).mul_(2 * self.slope / math.tanh(self.slope / 2))


@dataclass(frozen=True)
class Arctan:
    """(α/2)/(1 + (πα(u − θ)/2)²), α = 2: no window. The default of the neuron that Real Spike was released with."""

    alpha: float = 2.0

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape; signed: the same bell about −θ as about θ."""
        distance = (u.abs() if signed else u) - threshold
        bell = (math.pi / 2 * self.alpha * distance).square_().add_(1).reciprocal_()
        return bell.mul_(self.alpha / 2).mul_(gradient)


class Evolving:
    """(K/2)·(1 − tanh²(K(u − θ))), K growing from 1 to `steepest` in training: IM-Loss's surrogate (NeurIPS 2022).

    K(p) = ((10^p − 1)·K_max + (10 − 10^p)·K_min)/9 after the share p of all epochs.
    """

    def __init__(self, steepest: float) -> None:
        self.steepest = steepest
        self.steepness = torch.ones(())

    def after(self, share: float) -> None:
        """Set K for the share 0 … 1 of all epochs that are done, in place: a captured step reads it again."""
        power = 10.0**share
        self.steepness.fill_(((power - 1) * self.steepest + (10 - power) * 1.0) / 9)

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        """Return gradient · dφ/du, of u's shape; signed: the same bell about −θ as about θ."""
        if self.steepness.device != u.device:
            self.steepness = self.steepness.to(u.device)
        steepness = self.steepness.to(u.dtype)
        distance = (u.abs() if signed else u) - threshold
        return gradient * (steepness / 2) * (1 - torch.tanh(steepness * distance).square_())

    def __repr__(self) -> str:
        return f"Evolving(steepest={self.steepest})"


SURROGATES: dict[str, Callable[[NeuronConfig], Surrogate]] = {
    "rectangle": lambda config: Rectangle(),
    "tanh": lambda config: Tanh(config.slope),
    "arctan": lambda config: Arctan(),
    "evolving": lambda config: Evolving(config.slope),
}


def build(config: NeuronConfig) -> Surrogate:
    """Return the surrogate that `config` names."""
    return SURROGATES[config.surrogate](config)
