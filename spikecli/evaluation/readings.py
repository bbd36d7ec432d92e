"""The input of a layer for each sample: spikes, counts of events, or real values. It decides the products' cost.

The rule, for each sample by itself, so that no sample changes the cost of another:

- Spikes cost an addition for each that is not 0. A spike of whole size m, as a fire function of levels 0, 1, 2 emits,
  costs |m| additions: neuromorphic hardware expands it into m unit spikes (integer LIF, arXiv 2407.20708). A level that
  is no whole number costs a multiply-add. An amplitude costs nothing: it folds into the weights of the next layer.
- The mean of such spikes over places, which a pool takes before a layer, costs as many additions as the spikes that it
  is of: the factor folds into the weights, and each spike adds them.
- A sum of two trains of spikes (SEW, 2102.04159) costs as many additions as the two together.
- Event frames are the input of the first layer of a spiking network. Whole counts cost as many additions as there are
  events; frames that were resized to values between cost a multiply-add for each that is not 0.
- All else is real values: a multiply-add for every one, zeros too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.models.work import Adds, Sums
from spikecli.neurons import Amplitude, ReLU, layers
from spikecli.neurons.answers import levels_of

POOLS_KEPT = 3  # means and sums at a time: a block's shortcut may pool what another pool, or a sum, gave
ROUNDING = 2**-8  # amplitudes in bfloat16 differ from themselves by this share


@dataclass(frozen=True)
class LayerInput:
    """The input of a layer: amounts (T, S, ...) of additions and of multiply-adds, and samples read densely.

    `active` marks what is not 0 in the samples that are read densely.
    """

    additions: Tensor | None
    effective: Tensor | None
    dense: int
    active: Tensor | None = None


class Readings:
    """Classifies the inputs of one network's layers. Raise SpikeError if a fire function cannot say its levels."""

    def __init__(self, model: nn.Module) -> None:
        found = {name: levels_of(neuron.fire, f"{name}.fire") for name, neuron in layers(model).items()}
        spiking = bool(found) or not any(isinstance(module, ReLU) for module in model.modules())
        sizes = {abs(float(level)) for levels in found.values() for level in levels if level} or {1.0}
        self._sizes = sorted(sizes) if spiking else []
        self._has_neurons = bool(found)
        self._amplitudes = [part.value.detach().abs() for part in model.modules() if isinstance(part, Amplitude)]
        self._frames_wait = False
        self._pools: deque[tuple[Tensor, LayerInput]] = deque(maxlen=POOLS_KEPT)

    def begin(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Note the network's input: of event frames (T, B, 2, H, W) the first layer reads counts."""
        self._frames_wait = self._has_neurons and inputs[0].dim() == 5
        self._pools.clear()

    def of(self, x: Tensor) -> LayerInput:
        """Return the reading of x (T, B, ...); x (T, ...) with fewer axes counts as a single sample."""
        for mean, found in self._pools:
            if mean is x:
                return found
        x = x.detach()
        x = x if x.dim() > 2 else x.unsqueeze(1)
        frames, self._frames_wait = self._frames_wait, False
        if frames:
            return _of_counts(x)
        known, units = spikes_in(x, self._sizes, self._amplitudes)
        whole = all(size.is_integer() for size in self._sizes)
        spikes = units if known.all() else units[:, known]
        dense = int((~known).sum())
        active = x[:, ~known] != 0 if dense else None
        if dense == len(known):
            return LayerInput(None, None, dense, active)
        if whole:
            return LayerInput(spikes, None, dense, active)
        broken = spikes != spikes.round()
        return LayerInput(spikes * ~broken, broken, dense, active)

    def pooled(self, module: Sums, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Note a mean of spikes (T, B, ...): who reads `output` adds the weights once for each of them."""
        if self._frames_wait:
            return
        found = self.of(inputs[0])
        if found.additions is not None and found.effective is None and not found.dense:
            self._pools.append((output, LayerInput(module.sums(found.additions), None, 0)))

    def added(self, module: Adds, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Note a sum of spikes (T, B, ...): who reads `output` adds the weights once for each spike of either."""
        found = [self.of(each) for each in inputs]
        counts = [each.additions for each in found if each.effective is None and not each.dense]
        if all(each is not None for each in counts) and len(counts) == 2:
            self._pools.append((output, LayerInput(module.sum_of(*counts), None, 0)))  # type: ignore[arg-type]


def _of_counts(x: Tensor) -> LayerInput:
    whole = _of_each_sample(x == x.round())
    additions = x.abs() if whole.all() else x[:, whole].abs()
    return LayerInput(additions, None if whole.all() else x[:, ~whole] != 0, 0)


def spikes_in(x: Tensor, sizes: Sequence[float], amplitudes: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
    """Return which samples of x (T, B, ...) are spikes (B,), and their sizes as levels (T, B, ...).

    Spikes are 0 or one of `sizes`, of either sign, or that times one amplitude (1,), (C,) or (H, W, C).
    """
    size, known = x.abs(), torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    units = torch.zeros_like(size)
    fitting = [a.abs().to(x.dtype) for a in amplitudes if a.numel() == 1 or x.shape[-a.dim() :] == a.shape]
    for gain in [None, *fitting] if sizes else []:
        levels = torch.zeros_like(size)
        for one in sizes:
            hit = size == one if gain is None else torch.isclose(size, one * gain, rtol=ROUNDING, atol=0) & (size != 0)
            levels.masked_fill_(hit, one)
        new = _of_each_sample((size == 0) | (levels != 0)) & ~known
        if new.all():
            return new, levels
        units[:, new] = levels[:, new]
        known |= new
    return known, units


def _of_each_sample(marks: Tensor) -> Tensor:
    """Return for which samples all of marks (T, B, ...) are true (B,)."""
    return marks.movedim(1, 0).flatten(1).all(1)
