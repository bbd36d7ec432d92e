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
from spikecli.models.unshared import UnsharedConvolution
from spikecli.neurons import Neuron

PRODUCTS = (
    LinearNorm | PointLinearNorm | MaxThenNorm | FireThenMax | nn.Linear | nn.Conv2d | UnsharedConvolution | Transform
)
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
        spikes = bool(((x == 0) | (x.abs() == 1)).all())
        if spikes:
            counts.accumulates[: len(x)] += products_of(module, x != 0)
        else:
            # A cloud that does not change is transformed anew at each step if its transform changes.
            steps = max(len(x), output.shape[0])
            counts.multiplies[:steps] += products_of(module, torch.ones_like(x[:1], dtype=torch.bool))

    for module in model.modules():
        if isinstance(module, Neuron):
            handles.append(module.register_forward_hook(on_neuron))
        elif isinstance(module, PRODUCTS):
            handles.append(module.register_forward_hook(on_products))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def products_of(module: nn.Module, taking_part: Tensor) -> Tensor:
    """Return how many products (T,) the inputs of a layer enter that are marked in `taking_part` (T, ...)."""
    if isinstance(module, nn.Conv2d):
        places = taking_part.movedim((-3, -2), (1, 2)).flatten(3).sum(3).double()  # (T, H, W)
        return (places * _windows(module, places)).sum((1, 2)).cpu() * module.out_channels
    if isinstance(module, UnsharedConvolution):
        return module.patches(taking_part.double().sum(1)).flatten(1).sum(1).cpu() * len(module.bias)
    return taking_part.flatten(1).sum(1).double().cpu() * _fan_out(module, taking_part)


def _fan_out(module: nn.Module, x: Tensor) -> int:
    if isinstance(module, Transform):
        return x.shape[-1]
    # FireThenMax multiplies by its point layer's weights without calling that layer, which would count nothing.
    weight = module.point.weight if isinstance(module, FireThenMax) else module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]


def _windows(module: nn.Conv2d, places: Tensor) -> Tensor:
    """Return in how many windows of a convolution each place of a map lies, (H, W), for places (T, H, W)."""
    kernel = places.new_ones(1, 1, *module.kernel_size)
    seen = nn.functional.conv2d(places[:1, None], kernel, None, module.stride, module.padding)
    back = nn.grad.conv2d_input(places[:1, None].shape, kernel, torch.ones_like(seen), module.stride, module.padding)
    return back[0, 0]
