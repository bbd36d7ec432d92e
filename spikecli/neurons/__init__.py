"""Spiking neurons: parts that know nothing of each other, put together by `build` alone."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from spikecli.neurons import charge, fire, norm, reset, start
from spikecli.neurons.neuron import Amplitude, Neuron
from spikecli.settings.config import NeuronConfig

Size = tuple[int, int]  # height and width of a map

AMPLITUDES: dict[str, Callable[[NeuronConfig, int, Size | None], nn.Module]] = {
    "none": lambda config, channels, positions: nn.Identity(),
    "scalar": lambda config, channels, positions: Amplitude(1),
    "channel": lambda config, channels, positions: Amplitude(channels),
    "element": lambda config, channels, positions: Amplitude(*(positions or ()), channels),
}


class ReLU(nn.ReLU):
    """The ANN's activation, called as a neuron is: one value stands for all time steps."""

    separable = True

    def forward(self, x: Tensor, timesteps: int | None = None, points: Tensor | None = None) -> Tensor:
        return super().forward(x)


def build(config: NeuronConfig | None, channels: int, positions: Size | None = None) -> nn.Module:
    """Return a layer of neurons for (T, B, ..., channels) inputs; a ReLU for None.

    `positions` is the size of a map (T, B, H, W, channels), for the forms that tell its places apart; without one, as
    in a head (T, B, channels), an element is a channel.
    """
    if config is None:
        return ReLU()
    firing = fire.build(config)
    return Neuron(
        start.build(config),
        charge.build(config),
        norm.build(config, channels, positions),
        firing,
        reset.build(config, firing),
        AMPLITUDES[config.amplitude](config, channels, positions),
    )


def layers(model: nn.Module) -> dict[str, Neuron]:
    """Return a network's layers of spiking neurons by their names, in the order in which they stand."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}
