"""A fire function that emits 0, 1 or 2."""

from __future__ import annotations

from torch import Tensor, nn

from spikecli.neurons import surrogate
from spikecli.neurons.answers import Step
from spikecli.neurons.fire import Binary
from spikecli.settings.neuron import NeuronConfig


class ThreeLevel(nn.Module):
    """s = 1[u > θ] + 1[u > 2θ].

    `levels` and `steps` are its answers: with them energy, folding and pictures know what it emits.
    """

    levels = (0, 1, 2)

    def __init__(self, config: NeuronConfig) -> None:
        super().__init__()
        self.first = Binary(config.threshold, surrogate.build(config))
        self.second = Binary(2 * config.threshold, surrogate.build(config))
        self.steps = (Step(config.threshold), Step(2 * config.threshold))

    def forward(self, u: Tensor) -> Tensor:
        spikes: Tensor = self.first(u) + self.second(u)
        return spikes


def three_level(config: NeuronConfig) -> nn.Module:
    """Return the fire function for a neuron of these settings."""
    return ThreeLevel(config)
