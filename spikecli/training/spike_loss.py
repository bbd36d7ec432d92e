"""Losses on the membranes and spikes of each layer, read through hooks: IM-Loss and an activity loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons.answers import steps_of
from spikecli.training.fire_loss import FireLoss


class SpikeLoss(FireLoss):
    """The mean over layers of IM-Loss, (mean u − θ)², and of the activity, mean s²/2, each with its weight.

    IM-Loss (NeurIPS 2022, pages 156–166; not on arXiv): a layer whose mean membrane is at its threshold fires half of
    the time, which is the most information that spikes of 0 and 1 can carry. Activity: (1/2TK)·Σ s² over steps and
    neurons (2011.06846).
    """

    def __init__(self, model: nn.Module, information: float, activity: float) -> None:
        super().__init__(model, reads=bool(information or activity))
        self.weights = information, activity

    def terms(self, u: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of u and of s²."""
        kind = torch.promote_types(spikes.dtype, torch.float32)
        return u.mean(dtype=kind), spikes.to(kind).square().mean()

    def take(self) -> Tensor | float:
        """Return the weighted penalty of the forward pass just made, and let go of it; 0 if nothing is asked for."""
        information, activity = self.weights
        if not self._terms:
            return 0.0
        total: Tensor | float = 0.0
        for fire, seen in self._terms.items():
            mean = torch.stack([u for u, _ in seen]).mean()
            threshold: Any = fire.theta if hasattr(fire, "theta") else steps_of(fire)[0].at
            total = total + information * (mean - threshold) ** 2
            total = total + activity * torch.stack([square for _, square in seen]).mean() / 2
        count = len(self._terms)
        self._terms.clear()
        return total / count
