"""Integer spikes as binary ones: the same network with D steps of binary neurons for each step (2407.20708)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.neurons.fire import Binary, Integer
from spikecli.neurons.neuron import Neuron
from spikecli.neurons.reset import SoftReset
from spikecli.neurons.surrogate import Rectangle


class Unrolled(nn.Module):
    """A layer of integer neurons, each step of which is D steps of an integrate-and-fire neuron with soft reset.

    Step t: v ← λ·v + x_t, then D times s ← 1[v > θ], v ← v − s. As s ≤ 1, the k-th spike needs v > k − 1 + θ: together
    there are as many as `Integer` emits at once, and what the membrane keeps is the same. Subtracting 1 from a float
    above θ ≥ ½ rounds nothing. The layers that read the spikes add them up: Σₖ W·sₖ = W·Σₖ sₖ.
    """

    separable = True

    def __init__(self, neuron: Neuron, highest: int, threshold: float) -> None:
        super().__init__()
        self.neuron = neuron
        self.highest = highest
        self.fire = Binary(threshold, Rectangle())  # a hook here sees D binary spikes a step

    def forward(self, x: Tensor, timesteps: int | None = None, points: Tensor | None = None) -> Tensor:
        """Return amplitude · (the sum of the D binary spikes) of each step (T, ...), for x (T or 1, ...)."""
        timesteps = timesteps or x.shape[0]
        v = self.neuron.begin(x[0], points)
        counts = []
        for t in range(timesteps):
            v = self.neuron.charge(v, x[min(t, len(x) - 1)])
            count = torch.zeros_like(v)
            for _ in range(self.highest):
                s = self.fire(v)
                v = v - s
                count = count + s
            counts.append(count)
        return self.neuron.amplitude(torch.stack(counts))


def unrolled(model: nn.Module) -> nn.Module:
    """Return a copy of a network with integer neurons that computes the same with binary ones.

    Raise SpikeError for other neurons, for a reset amount other than 1, and for a norm, which must be folded first.
    """
    model = copy.deepcopy(model)
    for name, neuron in list(model.named_modules()):
        if isinstance(neuron, Neuron):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, _of_neuron(name, neuron))
    return model


def _of_neuron(name: str, neuron: Neuron) -> Unrolled:
    fire, reset = neuron.fire, neuron.reset
    if not isinstance(fire, Integer) or not isinstance(neuron.norm, nn.Identity):
        raise SpikeError(f"{name} cannot be unrolled: wanted {named('fire')} integer without a norm of the membrane")
    if not isinstance(reset, SoftReset) or reset.amount != 1 or fire.threshold < 0.5:
        raise SpikeError(f"{name} cannot be unrolled: wanted a soft reset by 1 and a threshold of ½ or more")
    return Unrolled(neuron, fire.highest, fire.threshold)
