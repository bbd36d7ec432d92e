"""Start: the membrane potential before the first time step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.settings.config import NeuronConfig


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
    middle = x.new_tensor(high * (0.5 + 0.5 / levels))
    return torch.add(middle, grid, alpha=high / levels)


STARTS: dict[str, Callable[[NeuronConfig], nn.Module]] = {
    "zeros": lambda config: Zeros(),
    "perturbed": lambda config: Perturbed(config.perturbation),
}


def build(config: NeuronConfig) -> nn.Module:
    """Return the start that `config` names."""
    return STARTS[config.start](config)
