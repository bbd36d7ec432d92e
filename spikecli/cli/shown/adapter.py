"""Predictions of `predict` through a saved few-shot adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.cli.shown.guesses import end_with_bad, show_guesses
from spikecli.cli.shown.notes import FileNotes
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.evaluation.own_files import PredictOptions
    from spikecli.weights.checkpoint import WeightsFile


@dataclass(frozen=True)
class AnswerOptions:
    """Options of the answers: the number of classes, a table in a file, notes on reading, and what to reject."""

    top: int
    out: Path | None
    heard: FileNotes
    reject: str | None = None  # below which calibrated probability the answer is "none of these"


def through_adapter(
    console: Console, file: WeightsFile, files: list[str], asked: PredictOptions, shown: AnswerOptions, device: str
) -> None:
    """Show the answers of the adapter in `file` for recordings; raise SpikeError for options that it cannot take."""
    from spikecli.datasets.events.formats import DECODERS
    from spikecli.files.sources import expand
    from spikecli.neuroclip.adapted import classify, open_adapter
    from spikecli.neuroclip.features import readable

    path = file.path
    if not isinstance(asked.when, int):
        raise SpikeError(f"{path} is an adapter, which sees all the slices it was fitted on; remove auto")
    if shown.reject is not None:
        raise SpikeError(f"{path} is an adapter, which holds no calibration; remove --reject")
    sources = expand(files, tuple(DECODERS))
    recordings, bad = readable([Path(one) for one in sources], 1, asked.reading, asked.skip_bad)
    adapted = open_adapter(file, device, asked.data_dir)
    guesses = classify(adapted, recordings, asked.reading)
    shown.heard.say_rest()
    show_guesses(
        console, str(path), adapted.classnames, guesses, shown.top, notes=shown.heard.of, bad=bad, out=shown.out
    )
    end_with_bad(console, bad, len(sources))
