"""Start a network from the weights of another: the same layers, with a new head where the classes differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from spikecli.errors import SettingError, named
from spikecli.machine.device import autocast
from spikecli.models.batch_norm import BatchNorm
from spikecli.neurons import Amplitude
from spikecli.neurons.answers import Unfoldable
from spikecli.weights.trained import Trained

LAST = "out"  # the last layer of every network


def take_weights(model: nn.Module, source: Trained, classnames: Sequence[str]) -> bool:
    """Give `model` the weights of `source`; return whether its last layer stays fresh, because the classes differ.

    A folded network has no norms. Each norm takes what folding left of it, so that `model` equals `source` in
    evaluation; `measure_norms` then gives it statistics. Raise SettingError if the weights are of another network.
    """
    fresh = tuple(classnames) != source.classnames
    own = {name: value for name, value in model.state_dict().items() if not (fresh and name.startswith(f"{LAST}."))}
    with torch.no_grad():
        if source.config.model.folded:
            _unfold(model, source, own)
        else:
            _copy(own, source.network.state_dict(), own, source)
    return fresh


def _copy(
    names: Sequence[str] | dict[str, Tensor], found: dict[str, Tensor], own: dict[str, Tensor], of: Trained
) -> None:
    """Copy the named tensors from `found` to `own`; raise SettingError for one that is not there or does not fit."""
    for name in names:
        if name not in found or found[name].shape != own[name].shape:
            has = f"of shape {tuple(found[name].shape)}" if name in found else "missing"
            raise SettingError(
                "start_from",
                f"cannot be {of.given}: its {name} is {has}, and the network to train has one of shape "
                f"{tuple(own[name].shape)}; take the same network and neuron, or train without {named('start_from')}",
            )
        own[name].copy_(found[name])


def _unfold(model: nn.Module, source: Trained, own: dict[str, Tensor]) -> None:
    """Give `model` the weights of a folded network; raise SettingError for what cannot be unfolded."""
    plain, found = source.network, source.network.state_dict()
    done: set[str] = set()
    for name, layer in model.named_modules():
        if not isinstance(layer, Unfoldable) or not _has(plain, name):
            continue
        layer.unfold(plain.get_submodule(name))
        done.add(f"{name}.")
    rest = [name for name in own if not name.startswith(tuple(done))]
    gains = {f"{name}.value" for name, part in model.named_modules() if isinstance(part, Amplitude)}  # of 1 at first
    missing = {name for name in rest if not _has(plain, name.split(".")[0])}  # of modules that only training uses
    _copy([name for name in rest if name not in gains | missing], found, own, source)
    unknown = [name for name in found if name not in rest and not name.startswith((*done, f"{LAST}."))]
    if unknown:
        raise SettingError(
            "start_from",
            f"cannot be {source.given}: it is folded, and {unknown[0]} holds a norm or an amplitude that cannot be "
            "taken out again; give the run that it was folded from",
        )


def _has(model: nn.Module, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True


def measure_norms(
    model: nn.Module, batches: Iterator[Tensor], timesteps: int, device: torch.device, precision: str
) -> None:
    """Give each norm the statistics of these batches (b, ...); in evaluation the network computes what it did before.

    In training it then computes nearly the same, since a batch's statistics are near those of all.
    """
    was, norms = model.training, [module for module in model.modules() if isinstance(module, BatchNorm)]
    model.eval()
    for module in model.modules():
        parts = [module, *module.children()]
        module.training = any(isinstance(part, BatchNorm) for part in parts)
    for norm in norms:
        norm.hold()
    with torch.no_grad(), autocast(device, precision):
        for inputs in batches:
            model(inputs, timesteps)
    for norm in norms:
        norm.release()
    model.train(was)
