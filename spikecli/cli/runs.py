"""`spikecli runs`: the training runs of a folder in one table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.weights.run_list import RunLine

Folder = Annotated[
    Path | None,
    typer.Argument(readable=False, help="A folder with runs, or with ablations.", show_default="checkpoints"),
]
COLUMNS = ("run", "data", "model", "paper", "seed", "epochs", "held out", "best", "scores", "MB", "changed", "state")


def runs(
    folder: Folder = None,
    out: options.TableOut = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Show every run in a folder, the newest first: settings, epochs, accuracy, size, and whether it is finished.

    Example: spikecli runs checkpoints
    """
    from spikecli.files.tables import ResultTable
    from spikecli.weights.run_folder import RUNS
    from spikecli.weights.run_list import list_runs

    console, place = Console(as_json, quiet), folder or RUNS
    lines = list_runs(place)
    console.document([asdict(line) for line in lines])
    caption = (
        "held out: accuracy after the last epoch, and in the best; scores: of `spikecli ablate`, at its longest T"
        if lines
        else "none yet: spikecli train shapes --epochs 5"
    )
    records = [_record(line) for line in lines]
    table = ResultTable(f"Runs in {place}", COLUMNS, [cells(line, place) for line in lines], caption, records)
    show_table(console, table, out)
    for line in lines:
        if line.problem:
            console.warn(f"{line.run}: {line.problem}")


def cells(line: RunLine, place: Path) -> tuple[str, ...]:
    """Return a run's row of the table; a dash for what is not known."""
    path = Path(line.run)
    name = str(path.relative_to(place)) if path != place and path.is_relative_to(place) else line.run
    score = line.scores[-1] if line.scores else None
    return (
        name,
        line.dataset or "–",
        line.model or "–",
        line.paper or "–",
        "–" if line.seed is None else str(line.seed),
        f"{line.epochs}/{line.epochs_asked or '?'}",
        _share(line.val_accuracy),
        _share(line.best_val_accuracy),
        "–" if score is None else f"{score['instance_accuracy']:.1%} ({score['split']}, T = {score['timesteps']})",
        f"{line.bytes / 1e6:.1f}",
        line.changed,
        line.state,
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _record(line: RunLine) -> dict[str, object]:
    """Return the row of the CSV: the line without its list of scores, of which each T is a column."""
    scores = {f"{row['split']} accuracy at T = {row['timesteps']}": row["instance_accuracy"] for row in line.scores}
    return {name: value for name, value in asdict(line).items() if name != "scores"} | scores
