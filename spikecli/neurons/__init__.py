"""Spiking neurons: parts that know nothing of each other, put together by `build` alone."""

from __future__ import annotations

from torch import Tensor, nn

from spikecli.config import NeuronConfig
from spikecli.neurons import charge, fire, norm, reset, start
from spikecli.neurons.neuron import Amplitude, Neuron

AMPLITUDES = {
    "none": lambda channels: nn.Identity(),
    "scalar": lambda channels: Amplitude(1),
    "channel": Amplitude,
}


class ReLU(nn.ReLU):
    """The ANN's activation, called as a neuron is: one value stands for all time steps."""

    separable = True

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        return super().forward(x)


def build(config: NeuronConfig | None, channels: int) -> nn.Module:
    """Return a layer of neurons for (T, B, ..., channels) inputs; a ReLU for None."""
    if config is None:
        return ReLU()
    return Neuron(
        start.build(config),
        charge.build(config),
        norm.build(config, channels),
        fire.build(config),
        reset.build(config),
        AMPLITUDES[config.amplitude](channels),
    )
