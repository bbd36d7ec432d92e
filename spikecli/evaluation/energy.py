"""Operations and firing of a network, counted on real inputs, and their energy on 45 nm hardware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.evaluation.readings import Readings
from spikecli.models.work import multiplying, products_of
from spikecli.neurons import layers

MAC_PJ = 4.6  # a 32-bit multiply and add, Horowitz, ISSCC 2014
AC_PJ = 0.9  # a 32-bit add


SPIKES, NEURONS, ACCUMULATES, MULTIPLIES = range(4)


@dataclass
class Operations:
    """Sums over the samples seen, by layer and by step: column t counts step t alone."""

    timesteps: int
    layers: dict[str, Tensor] = field(default_factory=dict)  # name: (4, T), its rows the four properties below

    def of(self, name: str) -> Tensor:
        """Return the sums of a layer (4, T), zeros at first, to be added to."""
        return self.layers.setdefault(name, torch.zeros(4, self.timesteps, dtype=torch.float64))

    @property
    def spikes(self) -> Tensor:
        """Emitted values that are not 0."""
        return self._total(SPIKES)

    @property
    def neurons(self) -> Tensor:
        """Values that could have been emitted."""
        return self._total(NEURONS)

    @property
    def accumulates(self) -> Tensor:
        """Additions of a weight, one for each spike and each of its consumers; of −1 it is an addition too."""
        return self._total(ACCUMULATES)

    @property
    def multiplies(self) -> Tensor:
        """Multiply-adds of real-valued inputs."""
        return self._total(MULTIPLIES)

    def _total(self, row: int) -> Tensor:
        return sum((sums[row] for sums in self.layers.values()), torch.zeros(self.timesteps, dtype=torch.float64))

    def firing_rate(self, timesteps: int) -> float:
        """Return the share of neurons that fire, over the first `timesteps` steps."""
        return (self.spikes[:timesteps].sum() / self.neurons[:timesteps].sum().clamp(min=1)).item()

    def synaptic_operations(self, timesteps: int) -> float:
        """Return the additions that spikes cause in the first `timesteps` steps."""
        return self.accumulates[:timesteps].sum().item()

    def energy_uj(self, timesteps: int) -> float:
        """Return the energy of the first `timesteps` steps in µJ."""
        return energy_uj(self.accumulates[:timesteps].sum().item(), self.multiplies[:timesteps].sum().item())


def energy_uj(accumulates: float, multiplies: float) -> float:
    """Return the energy of so many additions and multiply-adds in µJ."""
    return (AC_PJ * accumulates + MAC_PJ * multiplies) / 1e6


@contextmanager
def counted(model: nn.Module, timesteps: int) -> Iterator[Operations]:
    """Yield the counts of the block's forward passes; the hooks are removed afterwards.

    The input of a layer decides, for each sample by itself; `readings` has the rule. Work that is the same at every
    step is computed once, and counted once, in the first. Raise SpikeError before anything is counted for a layer that
    does not say its products, and for a fire function that does not say its levels.
    """
    counts, readings = Operations(timesteps), Readings(model)
    handles = [model.register_forward_pre_hook(readings.begin)]

    def by_step(x: Tensor) -> Tensor:  # (T or 1, ...) → (T or 1, values)
        return x.detach().reshape(x.shape[0], -1)

    def on_neuron(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        values, sums = by_step(output), counts.of(name)
        sums[SPIKES, : len(values)] += (values != 0).sum(1).double().cpu()
        sums[NEURONS, : len(values)] += values.shape[1]

    def on_products(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, sums = inputs[0].detach(), counts.of(name)
        found = readings.of(x)
        if found.additions is not None:
            sums[ACCUMULATES, : len(x)] += products_of(module, found.additions)
        if found.effective is not None:
            sums[MULTIPLIES, : len(x)] += products_of(module, found.effective)
        if found.dense:
            # A cloud that does not change is transformed again at each step if its transform changes.
            steps = max(len(x), output.shape[0])
            one = x.new_ones((1, 1, *x.shape[2 if x.dim() > 2 else 1 :]), dtype=torch.bool)  # of a sample, at a step
            sums[MULTIPLIES, :steps] += products_of(module, one) * found.dense

    handles += [neuron.register_forward_hook(partial(on_neuron, name)) for name, neuron in layers(model).items()]
    handles += [layer.register_forward_hook(partial(on_products, name)) for name, layer in multiplying(model).items()]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
