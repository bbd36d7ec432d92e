"""Observe the input and output of every fire function through forward hooks; the network is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from spikecli.neurons import layers

OnFire = Callable[[str, int, Tensor, Tensor], None]  # layer, time step from 0, u and spikes (B, ..., C)


@contextmanager
def watched(model: nn.Module, on_fire: OnFire) -> Iterator[None]:
    """Call `on_fire` for each step of each layer in the block's forward passes; the hooks are removed afterwards."""
    steps: dict[str, int] = {}
    handles = []

    def begin(name: str, module: nn.Module, inputs: Any) -> None:
        steps[name] = 0

    def fire(name: str, module: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> None:
        on_fire(name, steps[name], inputs[0].detach(), spikes.detach())
        steps[name] += 1

    for name, neuron in layers(model).items():
        handles.append(neuron.register_forward_pre_hook(partial(begin, name)))
        handles.append(neuron.fire.register_forward_hook(partial(fire, name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
