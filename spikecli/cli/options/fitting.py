"""Options of fitting NeuroCLIP's adapter."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeVar

import typer

from spikecli.settings.fewshot import Norms, Smoothed, TextLength

_FITTING = "How the adapter is fitted"
Group = TypeVar("Group")

Adapter = Annotated[
    str, typer.Option(help="spiking (the paper's), relu in its place, or none.", rich_help_panel=_FITTING)
]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs of fitting.", rich_help_panel=_FITTING)]
Blend = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the adapter's answer in the features.", rich_help_panel=_FITTING)
]
Views = Annotated[
    int, typer.Option(min=0, help="Turned and sheared views of each shot, beside itself.", rich_help_panel=_FITTING)
]
Select = Annotated[
    bool, typer.Option("--select", help="Choose epochs and blend on held-out shots.", rich_help_panel=_FITTING)
]
Text = Annotated[
    TextLength,
    typer.Option(help="Of length 1: each step's text feature, or all T (whole, released).", rich_help_panel=_FITTING),
]
NormsOf = Annotated[
    Norms,
    typer.Option(help="Batch statistics of all steps, or of each alone (step, released).", rich_help_panel=_FITTING),
]
SmoothedOver = Annotated[
    Smoothed,
    typer.Option(help="Classes that share label smoothing: all, or the others (released).", rich_help_panel=_FITTING),
]


@dataclass(frozen=True)
class Fitted:
    """Options of fitting the adapter."""

    adapter: Adapter = "spiking"
    epochs: Epochs = 150
    blend: Blend = 0.6
    views: Views = 4
    select: Select = False
    text_length: Text = "each"
    norms: NormsOf = "pooled"
    smoothed: SmoothedOver = "all"

    def settings(self) -> dict[str, Any]:
        """Return the fields of a `Fitting` that these options set."""
        return {name: value for name, value in vars(self).items() if name not in ("views", "select")}


def as_released(context: typer.Context, group: Group) -> Group:
    """Return a group of options with NeuroCLIP's released values for those that the user has not given."""
    from spikecli.settings.releases import RELEASES

    released: dict[str, Any] = RELEASES["neuroclip"].fewshot
    ours = {field.name for field in fields(group)}  # type: ignore[arg-type]
    free = {name for name in ours & set(released) if not given(context, name)}
    return replace(group, **{name: released[name] for name in free})  # type: ignore[type-var]


def given(context: typer.Context, name: str) -> bool:
    """Return whether an option stands on the command line, in the environment or in a file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
