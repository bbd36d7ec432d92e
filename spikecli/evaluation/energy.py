"""Operations and firing of a network, counted on real inputs, and the energy they would take on 45 nm hardware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from spikecli.models.layers import FireThenMax, LinearNorm, MaxThenNorm, PointLinearNorm
from spikecli.models.pointnet import Transform
from spikecli.models.unshared import UnsharedConvolution
from spikecli.neurons import Amplitude, Neuron

PRODUCTS = (
    LinearNorm | PointLinearNorm | MaxThenNorm | FireThenMax | nn.Linear | nn.Conv2d | UnsharedConvolution | Transform
)
MAC_PJ = 4.6  # a 32-bit multiply and add, Horowitz, ISSCC 2014
AC_PJ = 0.9  # a 32-bit add


SPIKES, NEURONS, ACCUMULATES, MULTIPLIES = range(4)


@dataclass
class Operations:
    """Sums over the samples seen, by layer and by step: column t is what step t alone took."""

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
    """Yield the counts of the forward passes made in the block; the hooks are gone after it.

    A layer's inputs decide: spikes (all values −1, 0 or 1, or amplitudes times that) cost an addition for each that is
    not 0, real values a multiply-add each. An amplitude costs nothing: it folds into the weights of whoever consumes
    the spikes. What is the same at every step is computed once, and counted once, in the first.
    """
    counts = Operations(timesteps)
    handles = []
    amplitudes = [part.value.detach() for part in model.modules() if isinstance(part, Amplitude)]

    def by_step(x: Tensor) -> Tensor:  # (T or 1, ...) → (T or 1, values)
        return x.detach().reshape(x.shape[0], -1)

    def on_neuron(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        values, sums = by_step(output), counts.of(name)
        sums[SPIKES, : len(values)] += (values != 0).sum(1).double().cpu()
        sums[NEURONS, : len(values)] += values.shape[1]

    def on_products(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, sums = inputs[0].detach(), counts.of(name)
        if are_spikes(x, amplitudes):
            sums[ACCUMULATES, : len(x)] += products_of(module, x != 0)
        else:
            # A cloud that does not change is transformed anew at each step if its transform changes.
            steps = max(len(x), output.shape[0])
            sums[MULTIPLIES, :steps] += products_of(module, torch.ones_like(x[:1], dtype=torch.bool))

    for name, module in model.named_modules():
        if isinstance(module, Neuron):
            handles.append(module.register_forward_hook(partial(on_neuron, name)))
        elif isinstance(module, PRODUCTS):
            handles.append(module.register_forward_hook(partial(on_products, name)))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def are_spikes(x: Tensor, amplitudes: Sequence[Tensor]) -> bool:
    """Return whether all values of x (..., C) are −1, 0 or 1, or that times an amplitude (1,), (C,) or (H, W, C)."""
    silent, size = x == 0, x.abs()
    if (silent | (size == 1)).all():
        return True
    fitting = [a.abs().to(x.dtype) for a in amplitudes if a.numel() == 1 or x.shape[-a.dim() :] == a.shape]
    # Amplitudes in bfloat16 differ from themselves by its rounding.
    return any(bool((silent | torch.isclose(size, a, rtol=2**-8, atol=0)).all()) for a in fitting)


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
    back = conv2d_input(places[:1, None].shape, kernel, torch.ones_like(seen), module.stride, module.padding)
    return back[0, 0]
