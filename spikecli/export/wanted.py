"""The order for an export, and what comes of it: a refusal, or a written file with its check."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """What is to be exported, and what it is checked on.

    `raw`: without preprocessing. `step`: one time step, its membranes as inputs and outputs. `noise`: a random start is
    an input; without it, membranes begin at 0. `files` are samples to check on, before `samples` of the test split.
    """

    timesteps: int = 4
    raw: bool = False
    step: bool = False
    noise: bool = False
    samples: int = 8
    files: tuple[Path, ...] = ()
    sensor: tuple[int, int] | None = None  # width, height, of the recordings; None: the training data's
    seed: int = 0
    data_dir: Path = Path("data")


@dataclass(frozen=True)
class Refusal:
    """A part of the network that a format cannot say, and the reason."""

    node: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """The comparison of an exported file with the network: on how many samples of what, and how far they differ.

    `close` samples differ by at most 1e-5 from the network in float32 or in float64. `spikes_flipped` is None where the
    other program shows no spikes.
    """

    program: str
    samples: int
    source: str
    max_logit_difference: float
    answers_changed: int
    close: int
    spikes_flipped: int | None = None
    spikes: int | None = None


@dataclass(frozen=True)
class Exported:
    """A written file: its format's version, inputs and outputs in words, and how it was checked."""

    path: Path
    format: str
    version: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    checked: Checked
    notes: dict[str, Any] = field(default_factory=dict)
