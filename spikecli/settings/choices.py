"""The names that may be chosen for each part of a network and its training, built in or added from outside.

A part from outside adds its name here; from then on settings, options, their help and papers accept it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

from pydantic import AfterValidator, GetCoreSchemaHandler

from spikecli.settings import outside

# Slot: name: what it is, in a few words.
BUILT_IN = MappingProxyType(
    {
        "start": {"zeros": "at rest", "perturbed": "drawn at random", "position": "from where a point lies"},
        "charge": {"leak": "v ← λ·v + x", "learned-leak": "λ is trained, one a layer", "gated": "GLIF: trained gates"},
        "norm": {
            "none": "no norm of the membrane",
            "mpbn": "a batch norm of the membrane per channel",
            "mpbn-element": "a batch norm of the membrane per pixel and channel",
            "rectifier": "the membrane potential rectifier",
        },
        "fire": {
            "binary": "spikes 0 and 1",
            "ternary": "spikes −1, 0 and 1",
            "integer": "spikes 0 to D",
            "learned": "spikes 0 and 1, θ is trained, one a layer",
        },
        "surrogate": {
            "rectangle": "1 in a window",
            "tanh": "tanh's derivative in a window",
            "arctan": "a bell",
            "evolving": "a bell that narrows in training",
        },
        "reset": {
            "hard": "to 0",
            "hard-detached": "to 0, without a gradient through the spike",
            "soft": "an amount is subtracted, θ unless given",
            "gated": "GLIF: a trained mixture of hard and soft",
        },
        "amplitude": {
            "none": "spikes of size 1",
            "scalar": "one trained size a layer",
            "channel": "one trained size a channel",
            "element": "one trained size a pixel and channel",
        },
        "model": {
            "pointnet": "for clouds",
            "dela": "for clouds, sees neighbors",
            "resnet18": "for recordings and images",
            "resnet19": "for recordings and images",
            "resnet20": "for recordings and images",
            "resnet34": "for recordings and images",
            "vgg16": "for recordings and images",
        },
        "paper": {
            "lif": "the plain leaky integrate-and-fire neuron",
            "spiking-pointnet": "membranes that start at random",
            "ternary": "spikes of −1, 0 and 1",
            "ternary-trainable": "spikes of −a, 0 and a, with a trained a",
            "integer": "spikes of 0 to D, run as D binary steps",
            "mpbn": "a batch norm of the membrane",
            "rmp-loss": "a loss that draws membranes to their spikes",
            "soft-reset-mpr": "soft reset and membrane potential rectifier",
            "real-spike": "a trained amplitude a channel",
            "joint": "an ANN trained beside the spiking network",
            "ann": "ReLUs in place of neurons",
        },
        "recipe": {
            "short": "clouds, 30 epochs",
            "paper": "clouds, the authors' 200 epochs",
            "dela": "clouds, 60 epochs of AdamW, for --model dela",
            "events": "recordings, 30 epochs",
            "pictures": "a user's own images, 60 epochs",
            "cifar": "images, the authors' 400 epochs",
        },
    }
)
_added: dict[str, dict[str, str]] = {}


class UnknownName(ValueError):
    """A name that its slot does not have; `known` holds the valid names."""

    def __init__(self, text: str, known: tuple[str, ...]) -> None:
        super().__init__(text)
        self.known = known


def add(slot: str, name: str, help: str = "") -> None:
    """Add a name to a slot, such as "fire"; adding it again changes its help. Raise ValueError for an unknown slot."""
    if slot not in BUILT_IN:
        raise ValueError(f"found no slot {slot!r}; wanted one of {', '.join(BUILT_IN)}")
    _added.setdefault(slot, {})[name] = help
    outside.note(slot, name)


def remove(slot: str, name: str) -> None:
    """Remove a name that was added to a slot; built-in and unknown names are ignored."""
    if _added.get(slot, {}).pop(name, None) is not None:
        outside.forget(slot, name)


def added(slot: str) -> dict[str, str]:
    """Return the names of a slot that came from outside, each with what it is."""
    return dict(_added.get(slot, {}))


def described(slot: str) -> dict[str, str]:
    """Return the names of a slot, each with its description."""
    return {**BUILT_IN[slot], **_added.get(slot, {})}


def names(slot: str) -> tuple[str, ...]:
    """Return the names of a slot: those built in, then those added."""
    return tuple(described(slot))


BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}  # as people write them


def advice(value: object, known: Iterable[object]) -> str:
    """Return advice on a wrong value: the nearest valid name, if one is near, and all valid names."""
    listed = [str(name) for name in known]
    near = get_close_matches(str(value).casefold(), listed, 1)
    return f"{f'did you mean {near[0]}? ' if near else ''}choose one of {', '.join(listed)}"


def known_name(slot: str, value: str) -> str:
    """Return a name of a slot unchanged; raise UnknownName if the slot does not have it."""
    if value not in (known := names(slot)):
        raise UnknownName(advice(value, known), known)
    return value


@dataclass(frozen=True)
class Choice:
    """Marks a settings field whose value must be a name of a slot when the settings are validated."""

    slot: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(partial(known_name, self.slot)).__get_pydantic_core_schema__(source, handler)
