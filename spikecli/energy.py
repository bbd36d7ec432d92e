"""Operations and firing of a network, counted on real inputs, and the energy they would take on 45 nm hardware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.models.layers import FireThenMax, LinearNorm, MaxThenNorm, PointLinearNorm
from spikecli.models.pointnet import Transform
from spikecli.neurons import Neuron

MAC_PJ = 4.6  # a 32-bit multiply and add, Horowitz, ISSCC 2014
AC_PJ = 0.9  # a 32-bit add


@dataclass
class Operations:
    """Sums over the samples seen, step by step: row t is what step t alone took."""

    timesteps: int
    spikes: Tensor = field(init=False)  # emitted values that are not 0
    neurons: Tensor = field(init=False)  # values that could have been emitted
    accumulates: Tensor = field(init=False)  # additions of a weight, one for each spike and each of its consumers
    multiplies: Tensor = field(init=False)  # multiply-adds of real-valued inputs

    def __post_init__(self) -> None:
        for name in ("spikes", "neurons", "accumulates", "multiplies"):
            setattr(self, name, torch.zeros(self.timesteps, dtype=torch.float64))

    def firing_rate(self, timesteps: int) -> float:
        """Return the share of neurons that fire, over the first `timesteps` steps."""
        return (self.spikes[:timesteps].sum() / self.neurons[:timesteps].sum().clamp(min=1)).item()

    def synaptic_operations(self, timesteps: int) -> float:
        """Return the additions that spikes cause in the first `timesteps` steps."""
        return self.accumulates[:timesteps].sum().item()

    def energy_uj(self, timesteps: int) -> float:
        """Return the energy of the first `timesteps` steps in µJ."""
        picojoules = AC_PJ * self.accumulates[:timesteps].sum() + MAC_PJ * self.multiplies[:timesteps].sum()
        return picojoules.item() / 1e6


@contextmanager
def counted(model: nn.Module, timesteps: int) -> Iterator[Operations]:
    """Yield the counts of the forward passes made in the block; the hooks are gone after it.

    A layer's inputs decide: spikes (all values −1, 0 or 1) cost an addition for each that is not 0, real values a
    multiply-add each. What is the same at every step is computed once, and counted once, in the first.
    """
    counts = Operations(timesteps)
    handles = []

    def by_step(x: Tensor) -> Tensor:  # (T or 1, ...) → (T or 1, values)
        return x.detach().reshape(x.shape[0], -1)

    def on_neuron(module: nn.Module, inputs: Any, output: Tensor) -> None:
        values = by_step(output)
        counts.spikes[: len(values)] += (values != 0).sum(1).double().cpu()
        counts.neurons[: len(values)] += values.shape[1]

    def on_products(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        x = inputs[0]
        values, fan_out = by_step(x), fan_out_of(module, x)
        spikes = bool(((values == 0) | (values.abs() == 1)).all())
        if spikes:
            counts.accumulates[: len(values)] += (values != 0).sum(1).double().cpu() * fan_out
        else:
            # A cloud that does not change is transformed anew at each step if its transform changes.
            steps = max(len(values), output.shape[0])
            counts.multiplies[:steps] += values.shape[1] * fan_out

    for module in model.modules():
        if isinstance(module, Neuron):
            handles.append(module.register_forward_hook(on_neuron))
        elif isinstance(module, LinearNorm | PointLinearNorm | MaxThenNorm | FireThenMax | nn.Linear | Transform):
            handles.append(module.register_forward_hook(on_products))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def fan_out_of(module: nn.Module, x: Tensor) -> int:
    """Return how many products each input value of a layer enters."""
    if isinstance(module, Transform):
        return x.shape[-1]
    # FireThenMax multiplies by its point layer's weights without calling that layer, which would count nothing.
    weight = module.point.weight if isinstance(module, FireThenMax) else module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]
