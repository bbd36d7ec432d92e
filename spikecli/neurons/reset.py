"""Reset: the membrane potential after a spike. The gradient flows through it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.neurons.fire import LearnedThreshold
from spikecli.settings.config import NeuronConfig


class HardReset(nn.Module):
    """v ← v·(1 − s): a membrane that fired is at 0. |s| for signed spikes: the same values, another gradient.

    For `levels` beyond −1, 0 and 1 the factor is 1 − min(|s|/l, 1) with l the smallest level beside 0; levels that are
    not known (None) are taken for whole numbers. `detached`: no gradient flows through the spikes, as Real Spike was
    released (2210.06686).
    """

    def __init__(self, levels: tuple[float, ...] | None = (0, 1), detached: bool = False) -> None:
        super().__init__()
        levels = levels or (-2, -1, 0, 1, 2)
        self.signed = min(levels) < 0
        self.least = min(abs(level) for level in levels if level)
        self.unit = all(abs(level) == 1 for level in levels if level)
        self.detached = detached

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        fired = spikes.detach() if self.detached else spikes
        fired = fired.abs() if self.signed else fired
        if not self.unit:
            fired = (fired / self.least).clamp(max=1)
        return torch.addcmul(v, v, fired, value=-1)  # v − v·|s|: one pass


class SoftReset(nn.Module):
    """v ← v − amount·s: the quantization residual is carried on (2307.04356)."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        return v.sub(spikes, alpha=self.amount)

    def extra_repr(self) -> str:
        return f"amount={self.amount}"


class ThresholdReset(nn.Module):
    """v ← v − θ·s with the trained threshold θ of the fire function (2008.03658): its gradient comes from both.

    Folding keeps the value of θ, since it turns the fire function into one whose thresholds are of another scale.
    """

    def __init__(self, fire: nn.Module) -> None:
        super().__init__()
        self._fire = (fire,)  # in a tuple: θ stays a parameter of the fire function alone

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        return v - self._theta.to(v.dtype) * spikes

    @property
    def _theta(self) -> Tensor:
        return self._fire[0].get_parameter("theta")

    def folded(self) -> nn.Module:
        """Return the reset by the trained threshold, fixed."""
        return FixedReset(self._theta.detach().clone())


class FixedReset(nn.Module):
    """v ← v − amount·s with an amount () that is kept with the weights."""

    amount: Tensor

    def __init__(self, amount: Tensor) -> None:
        super().__init__()
        self.register_buffer("amount", amount)

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        return v - self.amount.to(v.dtype) * spikes


class GatedReset(nn.Module):
    """v ← v − s·(γ·v + (1 − γ)·r), a gate γ and an amount r trained, one a layer: GLIF's reset (2210.13768).

    γ = σ(w) mixes a hard reset with a soft one; the paper subtracts before the leak that follows, which its own trained
    amount takes up. They begin at the middle, and at the amount of the soft reset.
    """

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(0.0))
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, v: Tensor, spikes: Tensor) -> Tensor:
        gate = self.gate.sigmoid().to(v.dtype)
        # |s| for what is hard: a spike of −1 leads to 0 as well.
        return v - gate * v * spikes.abs() - (1 - gate) * self.amount.to(v.dtype) * spikes


def _soft(config: NeuronConfig, fire: nn.Module) -> nn.Module:
    """Return the reset by the amount that is set, else by the threshold, which may be trained."""
    if config.reset_amount is None and isinstance(fire, LearnedThreshold):
        return ThresholdReset(fire)
    return SoftReset(config.reset_amount or config.threshold)


RESETS: dict[str, Callable[[NeuronConfig, nn.Module], nn.Module]] = {
    "hard": lambda config, fire: HardReset(getattr(fire, "levels", None)),
    "hard-detached": lambda config, fire: HardReset(getattr(fire, "levels", None), detached=True),
    "soft": lambda config, fire: _soft(config, fire),
    "gated": lambda config, fire: GatedReset(config.reset_amount or config.threshold),
}


def build(config: NeuronConfig, fire: nn.Module) -> nn.Module:
    """Return the reset that `config` names, for the spikes of `fire`."""
    return RESETS[config.reset](config, fire)
