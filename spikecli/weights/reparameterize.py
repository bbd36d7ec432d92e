"""Fold norms and amplitudes: the result is an equal network that emits only 0, 1 and −1."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.models.convolution import pool_before
from spikecli.models.plain import Pool, Reader
from spikecli.models.unshared import unshared_numel
from spikecli.neurons import Amplitude, Neuron, answers, folded

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
MOST_UNSHARED = 2e9  # bytes in float32 of kernels for each place of a map


@dataclass(frozen=True)
class Fold:
    """One folded part: its name in the network, its type, and the layers or neurons whose `place` took it over."""

    name: str
    part: str
    into: tuple[str, ...]
    place: str


def reparameterize(model: nn.Module) -> nn.Module:
    """Return a network that emits the same spikes and logits in evaluation, its norms and amplitudes folded away.

    It computes in float64 and gives weights of the model's own type, which cannot be trained on. Raise
    SpikeError, with its name, for a part that cannot be folded and a layer through which no fold passes.
    """
    kind = next(model.parameters()).dtype
    network = copy.deepcopy(model).double().eval()
    wires = list(getattr(network, "wiring", tuple)())
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # new layers draw weights that are overwritten
        network = answers.folded(network)
        _fold_layers(network)
        _demand_room(network, wires)
        for name, readers in wires:
            _hand_on(network, name, readers)
    for name, module in network.named_modules():
        if hasattr(module, "goes_into") or isinstance(module, NORMS):
            raise SpikeError(
                f"{answers.called(module, name)} was not folded: its layer has no folded(), or the network's wiring() "
                "does not name its neuron; use the network as it was trained"
            )
    return network.to(kind).requires_grad_(False)


def folds(model: nn.Module) -> list[Fold]:
    """Return the parts that `reparameterize` folds in a model, in the order of its layers."""
    readers = dict(getattr(model, "wiring", tuple)())
    return [
        Fold(
            name,
            part.goes_into.part,
            readers[parent] if isinstance(part, Amplitude) else (parent,),
            part.goes_into.place,
        )
        for name, part in model.named_modules()
        if isinstance(part, answers.Leaves)
        for parent in [name.rpartition(".")[0]]
    ]


def _fold_layers(module: nn.Module, place: str = "") -> None:
    """Replace each layer and neuron in `module`, which is at `place`, by its form without a norm."""
    for name, child in module.named_children():
        if isinstance(child, Neuron):
            child = folded.folded_neuron(child, place + name)
        else:
            child = answers.folded(child)
        setattr(module, name, child)
        _fold_layers(child, f"{place}{name}.")


def _gain(network: nn.Module, name: str) -> Tensor | None:
    neuron = network.get_submodule(name)
    amplitude = neuron.amplitude if isinstance(neuron, Neuron) else None
    return amplitude.value if isinstance(amplitude, Amplitude) else None


def _demand_room(network: nn.Module, wires: list[tuple[str, tuple[str, ...]]]) -> None:
    """Raise SpikeError, before any work, if amplitudes of single neurons would need too many kernels."""
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
            f"train with {named('amplitude')} channel or a smaller {named('width')}"
        )


def _hand_on(network: nn.Module, name: str, readers: tuple[str, ...]) -> None:
    """Remove the amplitude of the neuron called `name` and scale the inputs of all layers that read its spikes."""
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
