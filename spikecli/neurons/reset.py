"""Reset: what the membrane keeps after it fired. The gradient flows through it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikecli.settings.config import NeuronConfig


class HardReset(nn.Module):
    """v ← v·(1 − s), and v·(1 − |s|) for ternary spikes: the same values on {0, 1}, another gradient."""

    def __init__(self, signed: bool) -> None:
        super().__init__()
        self.signed = signed

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        return torch.addcmul(v, v, spikes.abs() if self.signed else spikes, value=-1)  # v − v·|s|: one pass


class SoftReset(nn.Module):
    """v ← v − amount·s: what is carried on is the quantization residual (2307.04356)."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        return v.sub(spikes, alpha=self.amount)

    def extra_repr(self) -> str:
        return f"amount={self.amount}"


RESETS = {
    "hard": lambda config: HardReset(signed=config.fire == "ternary"),
    "soft": lambda config: SoftReset(config.reset_amount or config.threshold),
}


def build(config: NeuronConfig) -> nn.Module:
    """Return the reset that `config` names."""
    return RESETS[config.reset](config)
