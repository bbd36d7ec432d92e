"""The options of looking at training runs, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

_RUNS = "Training runs"

Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option(help="What to evaluate on; val: the part of train held out in training.", rich_help_panel=_RUNS),
]
Runs = Annotated[int, typer.Option(min=1, help="Seeds of the perturbation to evaluate with.", rich_help_panel=_RUNS)]


@dataclass(frozen=True)
class Evaluation:
    """How a training run is evaluated."""

    split: Split = "test"
    runs: Runs = 3
