"""What a loss reads at the fire functions of a network in training, through hooks: a pair of terms a call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons import layers


class FireLoss:
    """Pairs of terms of each forward pass, by fire function in the order of their calls; a loss says which terms."""

    def __init__(self, model: nn.Module, reads: bool = True) -> None:
        self._terms: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}
        self._reading = False
        self._handles: list[Any] = []
        if reads:
            fires = [neuron.fire for neuron in layers(model).values()]
            self._handles += [fire.register_forward_hook(self._on_fire) for fire in fires]
            self._handles += [model.register_forward_pre_hook(self._begin), model.register_forward_hook(self._end)]

    def terms(self, u: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two terms of one call: its input u and its spikes."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove the hooks from the network."""
        for handle in self._handles:
            handle.remove()

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._terms.clear()
        self._reading = True

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._reading = False

    def _on_fire(self, module: nn.Module, inputs: tuple[Tensor], spikes: Tensor) -> None:
        if torch.is_grad_enabled():
            terms = self.terms(inputs[0], spikes)
            # A checkpointed layer fires once more in the backward pass: computed as before, but not counted again.
            if self._reading:
                self._terms.setdefault(module, []).append(terms)
