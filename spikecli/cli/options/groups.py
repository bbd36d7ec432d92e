"""Options grouped in dataclasses and added to a command's signature."""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer

from spikecli.cli.options.training import NETWORK, NEURON_PARTS, TRAINING
from spikecli.errors import option_name


def _on_panel(group: Any, kind: Any) -> Any:
    """Return the option under the group's `panel` of the help, if the group has one."""
    panel = getattr(group, "panel", None)
    if panel is None:
        return kind
    base, option = get_args(kind)
    option = copy.copy(option)
    option.rich_help_panel = panel
    return Annotated[base, option]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of the dataclasses among its parameters.

    The class attribute `panel` of such a dataclass is the heading of its options in the help. A number that is infinite
    or none is a usage error.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        group = groups.get(parameter.name)
        singles = [(parameter.name, hints[parameter.name], parameter.default)]
        if group is not None:
            inner = get_type_hints(group, include_extras=True)
            singles = [(field.name, _on_panel(group, inner[field.name]), field.default) for field in fields(group)]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, kind, default in singles
        ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"found {value}; wanted a finite number", param_hint=f"--{option_name(name)}")
        filled = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        command(**filled, **values)

    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options of the three tables above, which it receives as `parts`, `training` and
    `network`; what is not given is None."""

    @functools.wraps(command)
    def wrapper(*args: Any, **values: Any) -> None:
        for name, table in tables.items():
            values[name] = {option: values.pop(option) for option in table}
        command(*args, **values)

    tables = {"network": NETWORK, "training": TRAINING, "parts": NEURON_PARTS}
    own = [p for p in inspect.signature(command).parameters.values() if p.name not in tables]
    hints = get_type_hints(command, include_extras=True)
    added = {**NETWORK, **TRAINING, **NEURON_PARTS}
    parameters = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in added.items()
    ]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper
