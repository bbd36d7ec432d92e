"""Operations and firing of a network, counted on real inputs, and their energy on 45 nm hardware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.evaluation.prices import FP32, Prices
from spikecli.evaluation.readings import Readings
from spikecli.models.work import Adds, Sums, multiplying, nonzero_products, products_of
from spikecli.neurons import ReLU, layers
from spikecli.neurons.answers import levels_of
from spikecli.neurons.neuron import Neuron

MAC_PJ, AC_PJ = FP32.mac_pj, FP32.ac_pj


# Rows of a layer's sums: four of our own, the multiply-adds without those of a 0, and NeuroBench's: effective
# operations on inputs of −1, 0 and 1 and on others, all operations, what neurons and ReLUs emit and what of it is not
# 0, updates of membranes.
ROWS = 11
SPIKES, NEURONS, ACCUMULATES, MULTIPLIES, EFFECTIVE, SPIKING, VALUED, DENSE, EMITTED, ACTIVE, UPDATES = range(ROWS)


@dataclass
class Operations:
    """Sums over the samples seen, by layer and by step: column t counts step t alone."""

    timesteps: int
    layers: dict[str, Tensor] = field(default_factory=dict)  # name: (ROWS, T), as above
    levels: dict[str, Tensor] = field(default_factory=dict)  # name of a neuron: (levels, T), how often it emitted each

    def of(self, name: str) -> Tensor:
        """Return the sums of a layer (ROWS, T), zeros at first, to be added to."""
        return self.layers.setdefault(name, torch.zeros(ROWS, self.timesteps, dtype=torch.float64))

    @property
    def spikes(self) -> Tensor:
        """Emitted values that are not 0."""
        return self.row(SPIKES)

    @property
    def neurons(self) -> Tensor:
        """Values that could have been emitted."""
        return self.row(NEURONS)

    @property
    def accumulates(self) -> Tensor:
        """Additions of a weight, one for each spike and each of its consumers; of −1 it is an addition too."""
        return self.row(ACCUMULATES)

    @property
    def multiplies(self) -> Tensor:
        """Multiply-adds of real-valued inputs."""
        return self.row(MULTIPLIES)

    def row(self, row: int) -> Tensor:
        """Return the sums of a row over all layers, by step (T,)."""
        return sum((sums[row] for sums in self.layers.values()), torch.zeros(self.timesteps, dtype=torch.float64))

    def total(self, row: int, timesteps: int) -> float:
        """Return the sum of a row over all layers and the first `timesteps` steps."""
        return self.row(row)[:timesteps].sum().item()

    def firing_rate(self, timesteps: int) -> float:
        """Return the share of neurons that fire, over the first `timesteps` steps."""
        return (self.spikes[:timesteps].sum() / self.neurons[:timesteps].sum().clamp(min=1)).item()

    def synaptic_operations(self, timesteps: int) -> float:
        """Return the additions that spikes cause in the first `timesteps` steps."""
        return self.accumulates[:timesteps].sum().item()

    def energy_uj(self, timesteps: int, prices: Prices = FP32) -> float:
        """Return the energy of the first `timesteps` steps in µJ."""
        return prices.energy_uj(self.total(ACCUMULATES, timesteps), self.total(MULTIPLIES, timesteps))


def energy_uj(accumulates: float, multiplies: float) -> float:
    """Return the energy of so many additions and multiply-adds in µJ, in fp32."""
    return FP32.energy_uj(accumulates, multiplies)


@contextmanager
def counted(model: nn.Module, timesteps: int, updates: bool = False) -> Iterator[Operations]:
    """Yield the counts of the block's forward passes; the hooks are removed afterwards.

    The input of a layer decides, for each sample by itself; `readings` has the rule. Work that is the same at every
    step is computed once, and counted once, in the first. With `updates` the changes of membranes are counted too.
    Raise SpikeError before anything is counted for a layer that does not say its products, and for a fire function that
    does not say its levels.
    """
    counts, readings = Operations(timesteps), Readings(model)
    handles = [model.register_forward_pre_hook(readings.begin)]
    activations = {name: one for name, one in model.named_modules() if isinstance(one, ReLU)} | layers(model)
    handles += [one.register_forward_hook(partial(_emitted, counts, name)) for name, one in activations.items()]
    for name, layer in multiplying(model).items():
        handles.append(layer.register_forward_hook(partial(_multiplied, counts, readings, name)))
    pools: list[Any] = [module for module in model.modules() if isinstance(module, Sums)]
    handles += [pool.register_forward_hook(readings.pooled) for pool in pools]
    sums: list[Any] = [module for module in model.modules() if isinstance(module, Adds)]
    handles += [each.register_forward_hook(readings.added) for each in sums]
    for name, neuron in layers(model).items():
        handles += _watched_levels(counts, name, neuron)
        handles += _watched_membrane(counts, name, neuron) if updates else []
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _emitted(counts: Operations, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    """Count what a layer of neurons, or of ReLUs, emits."""
    values, sums = output.detach().reshape(output.shape[0], -1), counts.of(name)  # (T or 1, values)
    active, steps = (values != 0).sum(1).double().cpu(), slice(len(values))
    sums[ACTIVE, steps] += active
    sums[EMITTED, steps] += values.shape[1]
    if isinstance(module, Neuron):
        sums[SPIKES, steps] += active
        sums[NEURONS, steps] += values.shape[1]


def _multiplied(
    counts: Operations, readings: Readings, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor
) -> None:
    """Count the products of a layer."""
    x, sums = inputs[0].detach(), counts.of(name)
    found, samples = readings.of(inputs[0]), x if x.dim() > 2 else x.unsqueeze(1)
    if found.additions is not None:
        sums[ACCUMULATES, : len(x)] += products_of(module, found.additions)
    if found.effective is not None:
        sums[[MULTIPLIES, EFFECTIVE], : len(x)] += products_of(module, found.effective)
    # A cloud that does not change is transformed again at each step if its transform changes.
    steps = max(len(x), output.shape[0])
    one = products_of(module, samples.new_ones((1, 1, *samples.shape[2:]), dtype=torch.bool))  # of a sample, at a step
    sums[MULTIPLIES, :steps] += one * found.dense
    if found.active is not None:
        sums[EFFECTIVE, :steps] += products_of(module, found.active)  # one row stands for all steps
    sums[DENSE, :steps] += one * samples.shape[1]
    active = samples != 0
    spiking = (~active | (samples.abs() == 1)).movedim(1, 0).flatten(1).all(1)  # (B,)
    for row, kept in ((SPIKING, spiking), (VALUED, ~spiking)):
        if kept.any():
            chosen = active if kept.all() else active[:, kept]
            sums[row, :steps] += nonzero_products(module, chosen)


def _watched_levels(counts: Operations, name: str, neuron: Neuron) -> list[Any]:
    """Return hooks that count how often each level of a fire function is emitted, by step."""
    levels = levels_of(neuron.fire, f"{name}.fire")
    sums, step = torch.zeros(len(levels), counts.timesteps, dtype=torch.float64), [0]
    counts.levels[name] = sums

    def begin(module: nn.Module, inputs: Any) -> None:
        step[0] = 0

    def fired(module: nn.Module, inputs: Any, spikes: Tensor) -> None:
        others = torch.stack([(spikes == level).sum() for level in levels[1:]]).double().cpu()
        sums[1:, step[0]] += others
        sums[0, step[0]] += spikes.numel() - others.sum()
        step[0] += 1

    return [neuron.register_forward_pre_hook(begin), neuron.fire.register_forward_hook(fired)]


def _watched_membrane(counts: Operations, name: str, neuron: Neuron) -> list[Any]:
    """Return hooks that count the neurons whose potential after a step differs from the one before; all in the first.

    So NeuroBench counts membrane updates: what is before a step is v after the last reset, and what is after it is v
    after its own.
    """
    state: dict[str, Any] = {"step": 0}

    def begin(module: nn.Module, inputs: Any) -> None:
        state.update(step=0)

    def charged(module: nn.Module, inputs: tuple[Any, ...], v: Tensor) -> None:
        state.update(before=inputs[0], v=v)

    def fired(module: nn.Module, inputs: tuple[Any, ...], spikes: Tensor) -> None:
        step, before, v = state["step"], state["before"], state["v"]
        state["step"] = step + 1
        changed = v.numel() if step == 0 else int((neuron.reset(v, spikes) != before).sum())
        counts.of(name)[UPDATES, step] += changed

    return [
        neuron.register_forward_pre_hook(begin),
        neuron.charge.register_forward_hook(charged),
        neuron.fire.register_forward_hook(fired),
    ]
