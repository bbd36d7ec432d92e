"""Membranes of a network as tensors that come in and go out, for one step of a stream or a start that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.models.step_norm import demand_every_step
from spikecli.models.tracing import traced
from spikecli.neurons import Neuron, layers
from spikecli.neurons.start import Perturbed, Zeros

Shape = tuple[int, ...]


@dataclass
class Box:
    """The membranes of one pass: those given to it, and those that it leaves; outside of the modules."""

    given: dict[str, Tensor] = field(default_factory=dict)
    left: dict[str, Tensor] = field(default_factory=dict)


class GivenStart(nn.Module):
    """A start whose potentials are an input of the graph."""

    def __init__(self, box: Box, name: str) -> None:
        super().__init__()
        self.box, self.name = box, name

    def forward(self, x: Tensor) -> Tensor:
        return self.box.given[self.name]


class Carried(nn.Module):
    """One step of a layer of neurons that begins at the given membrane, and leaves one after its reset."""

    separable = True

    def __init__(self, neuron: Neuron, box: Box, name: str) -> None:
        super().__init__()
        self.neuron, self.box, self.name = neuron, box, name

    def forward(self, x: Tensor, timesteps: int | None = None, points: Tensor | None = None) -> Tensor:
        """Return spikes (1, B, ...) for the input x (1, B, ...) of the step."""
        v = self.neuron.charge(self.box.given[self.name], x.squeeze(0))
        spikes = self.neuron.fire(self.neuron.norm(v))
        self.box.left[self.name] = self.neuron.reset(v, spikes)
        return self.neuron.amplitude(spikes.unsqueeze(0))


def random_starts(network: nn.Module) -> list[str]:
    """Return the names of the neurons whose start draws noise."""
    return [name for name, neuron in layers(network).items() if isinstance(neuron.start, Perturbed)]


def quiet(network: nn.Module) -> None:
    """Replace in place each random start by 0."""
    for name in random_starts(network):
        network.get_submodule(name).start = Zeros()


def given(network: nn.Module, box: Box) -> list[str]:
    """Replace in place each random start by an input; return the neurons' names."""
    names = random_starts(network)
    for name in names:
        network.get_submodule(name).start = GivenStart(box, name)
    return names


def carried(network: nn.Module, box: Box) -> list[str]:
    """Replace in place each neuron by one that carries its membrane through the box; return their names.

    Raise SpikeError if a start needs more than the input of the step, or a layer the number of the step.
    """
    demand_every_step(network)
    found = layers(network)
    for name, neuron in found.items():
        if getattr(neuron.start, "sees_points", False):
            raise SpikeError(
                f"{name} starts at the position of its points, which a single step cannot say; "
                f"export without {named('step')}"
            )
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, Carried(neuron, box, name))
    return list(found)


@torch.no_grad()
def shapes(network: nn.Module, run: Callable[[nn.Module], Any]) -> dict[str, Shape]:
    """Return the shape (B, ...) of each neuron's membrane in the pass that `run` makes."""
    found: dict[str, Shape] = {}
    handles = [
        neuron.register_forward_pre_hook(
            lambda module, inputs, name=name: found.__setitem__(name, tuple(inputs[0].shape[1:]))
        )
        for name, neuron in layers(network).items()
    ]
    try:
        with traced():
            run(network)
    finally:
        for handle in handles:
            handle.remove()
    return found
