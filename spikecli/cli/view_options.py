"""The options of `spikecli view`, in groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from spikecli.cli import options

_NETWORK = "What a network makes of it"
_RUNS = "Training runs"

Out = Annotated[
    Path | None, typer.Option("--out", help="A .png, .gif, .mp4 or .html file to write; without it, a window.")
]
Points = Annotated[
    int | None, typer.Option("--points", min=2, help="Points to draw.", show_default="all; 4096 of a mesh")
]
Theme = Annotated[Literal["light", "dark"], typer.Option("--theme", help="Color of the paper.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", help="A run folder or weights: show what that network sees.", rich_help_panel=_NETWORK
    ),
]
Show = Annotated[
    Literal["points", "spikes", "membranes"],
    typer.Option(
        "--show",
        help="The points that decided, who fires when, or membrane potentials against the threshold.",
        rich_help_panel=_NETWORK,
    ),
]
Against = Annotated[
    Path | None,
    typer.Option("--against", help="A second network, with --show membranes.", rich_help_panel=_NETWORK),
]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps T.", rich_help_panel=_NETWORK)]
Split = Annotated[
    Literal["test", "train", "held-out"], typer.Option(help="The clouds to evaluate on.", rich_help_panel=_RUNS)
]
Runs = Annotated[int, typer.Option(min=1, help="Seeds of the perturbation to evaluate with.", rich_help_panel=_RUNS)]


@dataclass(frozen=True)
class Drawing:
    """Where the picture goes and how it looks."""

    out: Out = None
    points: Points = None
    theme: Theme = "light"


@dataclass(frozen=True)
class Asked:
    """Which network is asked, and for what."""

    checkpoint: Checkpoint = None
    show: Show = "points"
    against: Against = None
    timesteps: Timesteps = 4


@dataclass(frozen=True)
class Scoring:
    """How training runs are evaluated, and where the data are."""

    split: Split = "test"
    runs: Runs = 3
    data_dir: options.DataDir = options.DATA_DIR
    seed: options.Seed = 0
