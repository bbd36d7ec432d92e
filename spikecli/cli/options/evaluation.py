"""Options of `spikecli eval` that change its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.errors import SpikeError

_DIAL = "Early stopping"
_DAMAGE = "Damaged samples"

Confidence = Annotated[
    float, typer.Option(min=0, max=1, help="With auto: the probability at which a sample stops.", rich_help_panel=_DIAL)
]
Most = Annotated[int, typer.Option(min=1, help="With auto: steps at most.", rich_help_panel=_DIAL)]
Figure = Annotated[
    Path | None,
    typer.Option(
        help="A .png, .svg or .pdf of accuracy, confidence, energy and milliseconds against T.", rich_help_panel=_DIAL
    ),
]
ReliabilityFigure = Annotated[
    Path | None,
    typer.Option(help="A reliability diagram: accuracy against confidence, at each T.", rich_help_panel=_DIAL),
]
Theme = Annotated[Literal["light", "dark"], typer.Option(help="Color of the figure's paper.", rich_help_panel=_DIAL)]
Corrupt = Annotated[
    str | None,
    typer.Option(
        help="Score damaged samples too: all, or kinds by name, such as jitter,rotation or noise,dead-pixels or blur.",
        rich_help_panel=_DAMAGE,
    ),
]
Severities = Annotated[str, typer.Option(help="Severities of damage, 1 to 5.", rich_help_panel=_DAMAGE)]
Beside = Annotated[
    Path | None,
    typer.Option(help="A second run, for comparison.", rich_help_panel=_DAMAGE, autocompletion=complete.runs),
]
ByClass = Annotated[bool, typer.Option("--by-class", help="Show each class's accuracy too.")]


@dataclass(frozen=True)
class DialOptions:
    """Options of early stopping and of its picture."""

    confidence: Confidence = 0.9
    most: Most = 8
    figure: Figure = None
    reliability: ReliabilityFigure = None
    theme: Theme = "light"


@dataclass(frozen=True)
class RecordingDamage:
    """Options of damage to recordings."""

    corrupt: Corrupt = None
    severities: Severities = "1,2,3,4,5"
    seed: options.Seed = 0


@dataclass(frozen=True)
class DamageOptions:
    """Options of damage to the samples, and of a second network to compare with."""

    corrupt: Corrupt = None
    severities: Severities = "1,2,3,4,5"
    beside: Beside = None


_ENERGY = "Energy"
EnergyPrecision = Annotated[
    Literal["fp32", "fp16", "int8"] | None,
    typer.Option(
        help="pJ of a multiply-add and an addition at 45 nm: fp32 (4.6, 0.9), fp16 (1.5, 0.4) or int8 (0.23, 0.03).",
        show_default="fp32",
        rich_help_panel=_ENERGY,
    ),
]
Updates = Annotated[
    bool, typer.Option("--membrane-updates", help="Count changes of membranes too.", rich_help_panel=_ENERGY)
]
Traffic = Annotated[
    bool,
    typer.Option(
        "--memory-traffic",
        help="Bytes of weights and membranes moved, none kept near, at 24.96 pJ each.",
        rich_help_panel=_ENERGY,
    ),
]


@dataclass(frozen=True)
class EnergyOptions:
    """Options of the energy: its prices, and what else is counted."""

    energy_precision: EnergyPrecision = None
    membrane_updates: Updates = False
    memory_traffic: Traffic = False

    @property
    def given(self) -> dict[str, str | bool]:
        """The options that are given, by name."""
        found = {
            "--energy-precision": self.energy_precision,
            "--membrane-updates": self.membrane_updates,
            "--memory-traffic": self.memory_traffic,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def asked(self) -> bool:
        """True if one of them is given: then the table of costs is shown."""
        return bool(self.given)


Votes = Annotated[
    int,
    typer.Option(min=1, help="Each answer is the mean of so many passes, each with its own start noise: an ensemble."),
]


@dataclass(frozen=True)
class EvalOptions:
    """Options that all tables share: network, data, and settings of the evaluation."""

    checkpoint: Path | None
    data: str | None
    split: str
    runs: int
    precision: str
    data_dir: Path
    seed: int
    device: str
    out: Path | None
    by_class: bool = False
    votes: int = 1

    @property
    def voting(self) -> dict[str, int]:
        """The number of votes, if there are several."""
        return {"votes": self.votes} if self.votes > 1 else {}


def parse_steps(text: str) -> list[int]:
    """Return the sorted numbers of time steps in "1,2,4"; raise SpikeError unless all are whole and at least 1."""
    try:
        steps = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise SpikeError(f"found --timesteps {text!r}; wanted whole numbers such as 1,2,4, or auto") from None
    if steps[0] < 1:
        raise SpikeError(f"found --timesteps {text!r}; a network needs at least 1 time step")
    return steps


def parse_dial(text: str) -> tuple[list[int], bool]:
    """Return the fixed numbers of time steps in "1,2,auto", and whether it has auto; raise SpikeError as above."""
    parts = [part.strip() for part in text.split(",")]
    fixed = [part for part in parts if part != "auto"]
    return parse_steps(",".join(fixed)) if fixed else [], "auto" in parts


_RUNS = "Training runs"


Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option(help="What to evaluate on; val: the part of train held out in training.", rich_help_panel=_RUNS),
]


Runs = Annotated[
    int, typer.Option(min=1, help="Seeds of the start noise, of one and the same training.", rich_help_panel=_RUNS)
]


@dataclass(frozen=True)
class RunEvalOptions:
    """Options for evaluating a training run."""

    split: Split = "test"
    runs: Runs = 3
