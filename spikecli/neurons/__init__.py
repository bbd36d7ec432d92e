"""Spiking neurons: independent parts; only `build` puts them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.neurons import charge, fire, norm, reset, start, surrogate
from spikecli.neurons.neuron import Amplitude, Neuron
from spikecli.settings import choices, outside
from spikecli.settings.config import NeuronConfig

Size = tuple[int, int]  # height and width of a map

AMPLITUDES: dict[str, Callable[[NeuronConfig, int, Size | None], nn.Module]] = {
    "none": lambda config, channels, positions: nn.Identity(),
    "scalar": lambda config, channels, positions: Amplitude(1),
    "channel": lambda config, channels, positions: Amplitude(channels),
    "element": lambda config, channels, positions: Amplitude(*(positions or ()), channels),
}


SLOTS: dict[str, dict[str, Any]] = {
    "start": start.STARTS,
    "charge": charge.CHARGES,
    "norm": norm.NORMS,
    "fire": fire.FIRES,
    "surrogate": surrogate.SURROGATES,
    "reset": reset.RESETS,
    "amplitude": AMPLITUDES,
}


def register(slot: str, name: str, build: Callable[..., Any], help: str = "") -> None:
    """Add a part under `name` to a slot of the neuron, so that settings and `--help` know it.

    `build` gets the NeuronConfig; for norm and amplitude also the number of channels and the size of a map or None; for
    reset also the fire function. What the part may answer is in `neurons/answers.py`. Raise SpikeError for a slot that
    is not one and for a name that is taken.
    """
    if slot not in SLOTS:
        raise SpikeError(f"a neuron has no slot {slot!r}; give one of {', '.join(SLOTS)}")
    if name in SLOTS[slot] or name in choices.names(slot):
        raise SpikeError(f"the {slot} {name!r} is there already; give the part another name")
    choices.add(slot, name, help)
    SLOTS[slot][name] = build


def remove(slot: str, name: str) -> None:
    """Remove a registered part from its slot."""
    choices.remove(slot, name)
    if name not in choices.names(slot):  # one that is built in stays
        SLOTS[slot].pop(name, None)


class ReLU(nn.ReLU):
    """The ANN's activation with a neuron's interface; one value holds for all time steps."""

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
    _fetch(config)
    firing = fire.build(config)
    return Neuron(
        start.build(config),
        charge.build(config),
        norm.build(config, channels, positions),
        firing,
        reset.build(config, firing),
        AMPLITUDES[config.amplitude](config, channels, positions),
    )


def _fetch(config: NeuronConfig) -> None:
    """Bring the parts of installed packages that this neuron names into their slots."""
    for slot, parts in SLOTS.items():
        if (name := getattr(config, slot)) not in parts:
            parts[name] = outside.fetched(slot, name)


def layers(model: nn.Module) -> dict[str, Neuron]:
    """Return a network's layers of spiking neurons by name, in the network's order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}
