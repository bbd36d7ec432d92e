"""Options made from the fields of settings; a field's description is the option's help."""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from spikecli.cli.options import complete
from spikecli.errors import option_name
from spikecli.settings import choices
from spikecli.settings.config import TrainConfig
from spikecli.settings.document import DECIDED, full_description, known
from spikecli.settings.networks import NETWORKS, with_field
from spikecli.settings.neuron import NeuronConfig

# Fields of TrainConfig that are each command's own options.
OWN = ("dataset", "paper", "model", "timesteps", "val_fraction", "precision", "seed", "start_from", "freeze")


def neuron_fields() -> dict[str, FieldInfo]:
    """Return the fields of a neuron that are options."""
    return dict(NeuronConfig.model_fields)


def network_fields() -> dict[str, FieldInfo]:
    """Return the fields that are options of at least one network."""
    found = {name: field for kind in NETWORKS.values() for name, field in kind.model_fields.items()}
    return {name: field for name, field in found.items() if name not in DECIDED}


def training_fields() -> dict[str, FieldInfo]:
    """Return the fields of a training that are options and that `train` and `ablate` share."""
    return {name: field for name, field in TrainConfig.model_fields.items() if name not in OWN}


def help_of(name: str, field: FieldInfo) -> str:
    """Return a field's description, with the values to choose from and the networks that have it."""
    having = with_field(name)
    some = name in network_fields() and len(having) < len(NETWORKS)
    return full_description(name, field) + (f" For {', '.join(having)}." if some else "")


NAMED = {
    "model": "Network: pointnet or dela for clouds; resnet18, resnet19, resnet20, resnet34 or vgg16 for recordings "
    "and images",
    "paper": f"A neuron and what it trains with: {', '.join(choices.BUILT_IN['paper'])}; several joined by +",
    "recipe": "Schedule preset. Clouds: short (30 epochs), paper (the authors' 200) or dela (60). "
    "Recordings: events (30). Images: cifar (the authors' 400); your own: pictures (60)",
}  # options whose help names what is built in


def named(name: str) -> str:
    """Return the help of such an option, with what came from outside."""
    added = [f"{each} ({text})" if text else each for each, text in choices.added(name).items()]
    return NAMED[name] + (f"; from outside: {', '.join(added)}." if added else ".")


def plain_type(annotation: Any) -> type:
    """Return the type of a field's value on the command line: str, int, float or bool."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return plain_type(get_args(annotation)[0])
    return type(get_args(annotation)[0]) if origin is Literal else annotation


def option(name: str, field: FieldInfo, panel: str) -> Any:
    """Return the annotation of an option for a field; its default is None."""
    kind = plain_type(field.annotation)
    dashed = option_name(name)
    names = (f"--{dashed}/--no-{dashed}",) if kind is bool else (f"--{dashed}",)
    slots = [each.slot for each in field.metadata if isinstance(each, choices.Choice)]
    values = complete.listed(slots[0]) if slots else complete.among(known(field)) if known(field) else None
    return Annotated[
        kind | None, typer.Option(*names, help=help_of(name, field), rich_help_panel=panel, autocompletion=values)
    ]


def refreshed(name: str) -> str | None:
    """Return the current help of an option, including plug-ins; None if no field of settings belongs to it."""
    if name in NAMED:
        return named(name)
    found = _all_fields(tuple(NETWORKS.values()))
    return help_of(name, found[name]) if name in found else None


@cache
def _all_fields(networks: tuple[type, ...]) -> dict[str, FieldInfo]:
    """Return all fields that are options, with those of `networks`, which are all that there are now."""
    return {**network_fields(), **training_fields(), **neuron_fields()}
