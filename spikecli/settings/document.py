"""The settings of a run as options: by the names that the command line and its TOML files use."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from spikecli.errors import option_name
from spikecli.settings import choices
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import BY_DATA, ModelConfig
from spikecli.settings.neuron import NeuronConfig

DECIDED = set(ModelConfig.model_fields) | set(BY_DATA) | {"joint"}  # of a network: by data, paper and folding


def known(field: FieldInfo) -> tuple[Any, ...]:
    """Return the names that a field may take; empty if it is not a choice of names."""
    slots = [each.slot for each in field.metadata if isinstance(each, choices.Choice)]
    if slots:
        return choices.names(slots[0])
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def full_description(name: str, field: FieldInfo) -> str:
    """Return a field's description, followed by its choices unless the description names them."""
    text = (field.description or name).rstrip(".")
    values = [str(value) for value in known(field)]
    return f"{text}." if all(value in text for value in values) else f"{text}: {listed(values)}."


def listed(values: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *first, last = values
    return f"{', '.join(first)} or {last}" if first else last


def fields_of(config: TrainConfig) -> dict[str, tuple[FieldInfo, Any]]:
    """Return field and value of each setting that is an option, by the field's name."""
    found: dict[str, tuple[FieldInfo, Any]] = {}
    for name, field in TrainConfig.model_fields.items():
        found[name] = (field, config.model.name if name == "model" else getattr(config, name))
    for name, field in type(config.model).model_fields.items():
        if name not in DECIDED:
            found[name] = (field, getattr(config.model, name))
    if config.model.neuron is not None:
        for name, field in NeuronConfig.model_fields.items():
            found[name] = (field, getattr(config.model.neuron, name))
    return found


def as_options(config: TrainConfig) -> dict[str, Any]:
    """Return the options, with values, that reproduce these settings; settings of None are left out."""
    return {option_name(name): value for name, (_, value) in fields_of(config).items() if value is not None}


def as_toml(config: TrainConfig, title: str) -> str:
    """Return the settings as TOML, each below its description; options that are not set are comments."""
    lines = [f"# {title}"]
    for name, (field, value) in fields_of(config).items():
        key = option_name(name)
        lines += ["", *textwrap.wrap(full_description(name, field), 100, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"# {key} =" if value is None else f"{key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Return a string, number or boolean in TOML syntax."""
    return json.dumps(value, ensure_ascii=False)
