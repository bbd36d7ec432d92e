"""The options of the commands that look at event recordings through CLIP, each defined once."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from spikecli.cli import options

_PICTURES = "How recordings become pictures"

Clip = Annotated[
    str | None, typer.Option(help="A model of open_clip, such as RN50 or ViT-B-32.", show_default="mini, built in")
]
Weights = Annotated[str | None, typer.Option(help="A tag of open_clip, such as openai, or a file or folder.")]
QuickGelu = Annotated[
    bool | None,
    typer.Option(
        "--quick-gelu/--no-quick-gelu",
        help="Activation of the weights' training.",
        show_default="as the weights say or OpenAI's are recognized",
    ),
]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Slices of a recording.")]
Classes = Annotated[
    str | None, typer.Option(help="Class names a,b,c or a file of one a line.", show_default="the data set's")
]
Templates = Annotated[
    Path | None,
    typer.Option(
        readable=False, help="File of prompts, one a line, with {} for the class name.", show_default="the data set's"
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Test recordings at most, evenly over the classes.")]
ImagePreset = Annotated[
    str, typer.Option(help="gray (the paper's), white, redblue or histogram.", rich_help_panel=_PICTURES)
]
Slicing = Annotated[str, typer.Option(help="Slices of equal count or time.", rich_help_panel=_PICTURES)]
Normalization = Annotated[
    str, typer.Option(help="clip (the model's own) or paper (value − ½).", rich_help_panel=_PICTURES)
]


@dataclass(frozen=True)
class Look:
    """Which CLIP looks at the recordings, at what pictures of them, and on which machine."""

    clip: Clip = None
    weights: Weights = None
    timesteps: Timesteps = 10
    image_preset: ImagePreset = "gray"
    slicing: Slicing = "count"
    normalization: Normalization = "clip"
    quick_gelu: QuickGelu = None
    data_dir: options.DataDir = options.DATA_DIR
    device: options.Device = "auto"


@dataclass(frozen=True)
class Words:
    """What CLIP is asked."""

    classes: Classes = None
    templates: Templates = None


@dataclass(frozen=True)
class Speech:
    """How the command talks."""

    as_json: options.AsJson = False
    quiet: options.Quiet = False
    config: options.ConfigFile = None


def _on_panel(group: Any, kind: Any) -> Any:
    """Return the option with the group's `panel` as its place in the help, where the group has one."""
    panel = getattr(group, "panel", None)
    if panel is None:
        return kind
    base, option = get_args(kind)
    option = copy.copy(option)
    option.rich_help_panel = panel
    return Annotated[base, option]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of the dataclasses among its parameters, which get the value.

    The class attribute `panel` of such a dataclass is the heading of its options in the help.
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
        filled = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        command(**filled, **values)

    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper
