"""Options of the commands that use CLIP on event recordings, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options

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
class ClipOptions:
    """Options of CLIP: the model, the style of pictures, and the device."""

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
class Prompts:
    """Options of the question to CLIP: class names and templates."""

    classes: Classes = None
    templates: Templates = None
