"""Start: the membrane potential before the first time step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.settings.config import NeuronConfig

OCTAVES = 4  # of the waves whose values at a point begin its membranes


class Zeros(nn.Module):
    """v₀ = 0, given as None so that the first charge has nothing to add."""

    def forward(self, x: Tensor) -> Tensor | None:  # x: one step's input (B, ..., C)
        return None


class Perturbed(nn.Module):
    """v₀ ~ U(0, high), per element and per forward pass: membrane potential perturbation (2310.06232)."""

    def __init__(self, high: float) -> None:
        super().__init__()
        self.high = high

    def forward(self, x: Tensor) -> Tensor | None:
        return uniform_like(x, self.high)

    def extra_repr(self) -> str:
        return f"high={self.high}"


class Position(nn.Module):
    """v₀ of a point from trigonometric functions of its coordinates p.

    v₀[c] = high · f(2ʲπ·p_a): channel c takes axis a = c mod 3, f sine and cosine in turn, and j = 0 … 3, over and
    over.
    Where neurons are not of single points, as in a head or of pairs of points, v₀ = 0.
    """

    sees_points = True

    def __init__(self, high: float) -> None:
        super().__init__()
        self.high = high

    def forward(self, x: Tensor, points: Tensor | None = None) -> Tensor | None:  # (B, N, C), (B, N, 3)
        if points is None:
            return None
        angles = [math.pi * 2**octave * points.float() for octave in range(OCTAVES)]
        waves = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], -1)  # (B, N, 24)
        channels = x.shape[-1]
        v = waves.repeat(1, 1, -(-channels // waves.shape[-1]))[..., :channels]
        return (self.high * v).to(x.dtype)

    def extra_repr(self) -> str:
        return f"high={self.high}"


def uniform_like(x: Tensor, high: float) -> Tensor:
    """Return U(0, high) noise of x's shape, type and device from torch's own generator, on a grid of high/2¹⁶, or of
    high/2⁸ in bfloat16.

    On a CPU one 64-bit draw serves four elements, or eight, which is many times faster than `rand`; the grid is finer
    than what bfloat16 can tell apart at the threshold, and 0 and `high` themselves are not drawn.
    """
    if x.device.type != "cpu":
        return torch.rand_like(x, dtype=torch.float32).mul_(high).to(x.dtype)
    lane = torch.int8 if x.dtype == torch.bfloat16 else torch.int16
    count, levels = x.numel(), 2 ** (8 * lane.itemsize)
    draws = torch.empty(-(-count * lane.itemsize // 8), dtype=torch.int64).random_(-(2**63), None)
    grid = draws.view(lane)[:count].view(x.shape)
    # The levels lie about the middle, n + levels/2 = 0 … levels − 1; the half level makes the mean high/2 exactly.
    middle = torch.full((), high * (0.5 + 0.5 / levels), dtype=x.dtype)
    return torch.add(middle, grid, alpha=high / levels)


STARTS: dict[str, Callable[[NeuronConfig], nn.Module]] = {
    "zeros": lambda config: Zeros(),
    "perturbed": lambda config: Perturbed(config.perturbation),
    "position": lambda config: Position(config.perturbation),
}


def build(config: NeuronConfig) -> nn.Module:
    """Return the start that `config` names."""
    return STARTS[config.start](config)
