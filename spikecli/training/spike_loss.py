"""Losses on the membranes and spikes of each layer, read through hooks: IM-Loss and an activity loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons import layers
from spikecli.neurons.answers import steps_of


class SpikeLoss:
    """The mean over layers of IM-Loss, (mean u − θ)², and of the activity, mean s²/2, each with its weight.

    IM-Loss (NeurIPS 2022): a layer whose mean membrane is at its threshold fires half of the time, which is the most
    information that spikes of 0 and 1 can carry. Activity: (1/2TK)·Σ s² over steps and neurons (2011.06846).
    """

    def __init__(self, model: nn.Module, information: float, activity: float) -> None:
        self.weights = information, activity
        self._terms: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}
        self._reading = False
        found = layers(model) if information or activity else {}
        self._handles: list[Any] = [neuron.fire.register_forward_hook(self._on_fire) for neuron in found.values()]
        self._handles += [model.register_forward_pre_hook(self._begin), model.register_forward_hook(self._end)]

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._terms.clear()
        self._reading = True

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._reading = False

    def _on_fire(self, module: nn.Module, inputs: tuple[Tensor], spikes: Tensor) -> None:
        # A checkpointed layer fires once more in the backward pass, which must compute what the first has.
        if torch.is_grad_enabled():
            kind = torch.promote_types(spikes.dtype, torch.float32)
            terms = inputs[0].mean(dtype=kind), spikes.to(kind).square().mean()
            if self._reading:
                self._terms.setdefault(module, []).append(terms)

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

    def close(self) -> None:
        """Remove the hooks from the network."""
        for handle in self._handles:
            handle.remove()
