"""The runs in a folder, a line each: settings, progress, scores, size and state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError
from spikecli.files.atomic import is_held
from spikecli.weights.run_folder import CURVE, LAST, SCORES, STATE, is_run
from spikecli.weights.run_record import RunRecord, read_run

DEPTH = 2  # folders below the one that is listed: an ablation's runs lie one deeper


@dataclass(frozen=True)
class RunLine:
    """One run: accuracies in 0…1, `bytes` of its folder, `changed` in local time; `scores` are those of `ablate`.

    `state` is finished, stopped, running or damaged; of a damaged run `problem` says what is wrong.
    """

    run: str
    state: str
    dataset: str | None = None
    model: str | None = None
    paper: str | None = None
    seed: int | None = None
    timesteps: int | None = None
    epochs: int = 0
    epochs_asked: int | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    best_val_accuracy: float | None = None
    scores: tuple[dict[str, Any], ...] = ()
    bytes: int = 0
    changed: str = ""
    problem: str = ""


def list_runs(folder: Path) -> list[RunLine]:
    """Return a line for each run in a folder, the newest first; raise SpikeError if there is no such folder."""
    if not folder.is_dir():
        raise SpikeError(f"found no folder {folder}; train a network first, or name the folder that holds your runs")
    places = [folder] if is_run(folder) else list(_runs_in(folder, DEPTH))
    return sorted((_line(place) for place in places), key=lambda line: line.changed, reverse=True)


def _runs_in(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if is_run(path):
            yield path
        elif depth > 1 and path.is_dir():
            yield from _runs_in(path, depth - 1)


def _line(folder: Path) -> RunLine:
    times = [(folder / name).stat().st_mtime for name in (STATE, LAST, CURVE) if (folder / name).is_file()]
    about: dict[str, Any] = {
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "changed": datetime.fromtimestamp(max(times)).isoformat(" ", "seconds"),
    }
    try:
        return _line_of(read_run(folder), about)
    except SpikeError as problem:  # one damaged run must not hide the others
        return RunLine(str(folder), "damaged", problem=str(problem), **about)


def _line_of(record: RunRecord, about: dict[str, Any]) -> RunLine:
    config, epochs = record.config, record.epochs
    held_out = [epoch["val_accuracy"] for epoch in epochs if epoch["val_accuracy"] is not None]
    last = epochs[-1] if epochs else {}
    return RunLine(
        str(record.folder),
        _state(record),
        config.dataset,
        config.model.name,
        config.paper,
        config.seed,
        config.timesteps,
        len(epochs),
        config.epochs,
        last.get("train_accuracy"),
        last.get("val_accuracy"),
        max(held_out, default=None),
        tuple(read_scores(record.folder)),
        **about,
    )


def _state(record: RunRecord) -> str:
    if is_held(record.folder):
        return "running"
    return "finished" if record.weights is not None and len(record.epochs) >= record.config.epochs else "stopped"


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """Return the scores that `ablate` noted beside a run, a dictionary each T; empty if there are none.

    Raise SpikeError if they cannot be read.
    """
    path = folder / SCORES
    if not path.is_file():
        return []
    try:
        return [dict(row) for row in json.loads(path.read_text(encoding="utf-8")).get("scores", [])]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SpikeError(
            f"cannot read {path} ({error}); remove it, and `spikecli ablate` scores the run again"
        ) from None
