"""A network in, an equal network out: no norm, no amplitude, and nothing emitted but 0, 1 and −1."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.models.convolution import MapNorm, pool_before
from spikecli.models.layers import BatchNorm
from spikecli.models.plain import Foldable, Pool, Reader
from spikecli.models.unshared import unshared_numel
from spikecli.neurons import Amplitude, Neuron, folded
from spikecli.neurons.charge import LearnedLeak
from spikecli.neurons.norm import MembraneBatchNorm, MembraneRectifier

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
MOST_UNSHARED = 2e9  # bytes in float32 of kernels for each place of a map

# What no folded network holds, and what of a layer or a neuron takes it over.
PARTS: dict[type[nn.Module], tuple[str, str]] = {
    BatchNorm: ("batch norm", "weight and bias"),
    MapNorm: ("batch norm", "weight and bias"),
    MembraneBatchNorm: ("membrane batch norm", "thresholds"),
    MembraneRectifier: ("membrane rectifier", "thresholds"),
    LearnedLeak: ("learned leak", "leak"),
    Amplitude: ("amplitude", "weight"),
}


@dataclass(frozen=True)
class Fold:
    """One part that went: its name in the network, what it was, and the layers or neurons whose `place` took it."""

    name: str
    part: str
    into: tuple[str, ...]
    place: str


def reparameterize(model: nn.Module) -> nn.Module:
    """Return a network that emits the same spikes and logits in evaluation, its norms and amplitudes folded away.

    It computes in float64 and gives weights of the model's own type, which cannot be trained on. SpikeError names the
    layer through which a fold is impossible.
    """
    kind = next(model.parameters()).dtype
    network = copy.deepcopy(model).double().eval()
    wires = list(getattr(network, "wiring", tuple)())
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # new layers draw weights that are overwritten
        network = network.folded() if isinstance(network, Foldable) else network
        _fold_layers(network)
        _demand_room(network, wires)
        for name, readers in wires:
            _hand_on(network, name, readers)
    left = [name for name, module in network.named_modules() if isinstance(module, tuple(PARTS) + NORMS)]
    assert not left, f"{left} were not folded: a layer lacks folded(), or wiring() does not name a neuron"
    return network.to(kind).requires_grad_(False)


def folds(model: nn.Module) -> list[Fold]:
    """Return what `reparameterize` folds in a model, in the order of its layers."""
    readers = dict(getattr(model, "wiring", tuple)())
    return [
        Fold(name, kind, readers[parent] if isinstance(part, Amplitude) else (parent,), place)
        for name, part in _parts(model)
        for kind, place in [PARTS[type(part)]]
        for parent in [name.rpartition(".")[0]]
    ]


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in model.named_modules() if type(module) in PARTS)


def _fold_layers(module: nn.Module) -> None:
    """Put in the place of each layer and each neuron in `module` what it is without its norm."""
    for name, child in module.named_children():
        if isinstance(child, Neuron):
            child = folded.folded(child)
        elif isinstance(child, Foldable):
            child = child.folded()
        setattr(module, name, child)
        _fold_layers(child)


def _gain(network: nn.Module, name: str) -> Tensor | None:
    neuron = network.get_submodule(name)
    amplitude = neuron.amplitude if isinstance(neuron, Neuron) else None
    return amplitude.value if isinstance(amplitude, Amplitude) else None


def _demand_room(network: nn.Module, wires: list[tuple[str, tuple[str, ...]]]) -> None:
    """Raise SpikeError if amplitudes of single neurons would take too many kernels, before any is made."""
    sizes = {
        reader: 4 * unshared_numel(layer, gain.shape, getattr(pool_before(network, reader), "side", 1))
        for name, readers in wires
        if (gain := _gain(network, name)) is not None and gain.dim() > 1
        for reader in readers
        if isinstance(layer := network.get_submodule(reader), nn.Conv2d)
    }
    total = sum(sizes.values())
    if total > MOST_UNSHARED:
        largest = max(sizes, key=lambda reader: sizes[reader])
        raise SpikeError(
            f"amplitudes of single neurons take a kernel for each place of a map, found {total / 1e9:.1f} GB of them, "
            f"{sizes[largest] / 1e9:.1f} GB for {largest} alone; wanted {MOST_UNSHARED / 1e9:.0f} GB at most: "
            "train with --amplitude channel or a smaller --width"
        )


def _hand_on(network: nn.Module, name: str, readers: tuple[str, ...]) -> None:
    """Take the amplitude from the neuron called `name` and scale the inputs of all that read its spikes."""
    gain = _gain(network, name)
    if gain is None:
        return
    network.get_submodule(name).amplitude = nn.Identity()
    for reader in readers:
        place, _, last = reader.rpartition(".")
        parent, layer = network.get_submodule(place), network.get_submodule(reader)
        pool = pool_before(network, reader)
        try:
            if isinstance(pool, Pool) and gain.dim() > 1:
                parent.pool, layer = pool.joined(layer, gain)
            else:
                assert isinstance(layer, Reader), f"{reader} has no scale_inputs()"
                layer = layer.scale_inputs(gain)
        except SpikeError as problem:
            raise SpikeError(f"the amplitude of {name} cannot be folded into {reader}: {problem}") from None
        setattr(parent, last, layer)
