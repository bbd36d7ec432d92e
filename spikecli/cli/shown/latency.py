"""The table and the figure of `bench RUN`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.speed.latency import LatencyRow

FEWEST = 20  # runs of which a 95th percentile says something


def show_latency(
    console: Console,
    run: Path,
    steps: tuple[tuple[int, ...], bool],
    amounts: tuple[int, int],
    place: tuple[int | None, str],
    data_dir: Path,
    figure: Path | None,
    out: Path | None,
) -> None:
    """Measure a network at `steps` (fixed numbers, auto), with `amounts` (runs, samples), at `place` (threads, device).

    Raise SpikeError if the figure is asked for and no accuracy is known.
    """
    from spikecli.evaluation.stopping import StopRule
    from spikecli.files.tables import ResultTable
    from spikecli.speed.bench import limited_to
    from spikecli.speed.latency import LatencyPlan, measure
    from spikecli.weights.trained import Trained

    trained = Trained.open(run, place[1])
    stop = StopRule() if steps[1] else None
    repeats, scored = max(amounts[0], FEWEST), figure is not None
    plan = LatencyPlan(steps[0], stop, repeats=repeats, samples=amounts[1], scored=scored, data_dir=data_dir)
    with limited_to(place[0]) as used, console.progress("measuring", unit="rows") as advance:
        source, rows = measure(trained, plan, lambda what: advance(1, what))
    settings = {"network": trained.name, "device": str(trained.device), "threads": used, "samples": source}
    console.document({**settings, "repeats": plan.repeats, "results": [asdict(row) for row in rows]})
    table = ResultTable(
        f"{trained.name} on {trained.device}, {used} threads",
        ("engine", "T", "batch", "p50 ms", "p95 ms", "CPU ms", "peak MB", "file MB", "µJ", "accuracy"),
        [latency_cells(row) for row in rows],
        f"milliseconds a sample, {plan.repeats} runs ({plan.runs_of(32)} at batch 32); CPU: the processor's time in "
        f"all threads; floor: the matrix products alone; accuracy and energy: {source}",
        [asdict(row) for row in rows],
    )
    show_table(console, table, out)
    if figure is not None:
        draw_latency(figure, trained.name, rows)
        console.note(f"wrote {figure}")


def latency_cells(row: LatencyRow) -> tuple[str, ...]:
    """Return a row of the table; an unknown value is a dash."""
    steps = row.timesteps if row.timesteps != "auto" else f"auto ({row.mean_timesteps:.2f})"
    known = (row.peak_memory_mb, row.file_bytes / 1e6 or None, row.energy_uj)
    numbers = ["–" if each is None else f"{each:.1f}" for each in known]
    accuracy = "–" if row.instance_accuracy is None else f"{row.instance_accuracy:.2%}"
    times = [f"{each:.2f}" for each in (row.p50_ms, row.p95_ms, row.processor_ms)]
    return row.engine, steps, str(row.batch), *times, *numbers, accuracy


def draw_latency(path: Path, name: str, rows: Sequence[LatencyRow]) -> None:
    """Write the picture of accuracy against milliseconds at batch 1; raise SpikeError if no accuracy is known."""
    from spikecli.view.drawing.theme import THEMES
    from spikecli.view.runs.latency import save_latency

    points = [
        (row.engine, row.timesteps, row.p50_ms, row.instance_accuracy)
        for row in rows
        if row.batch == 1 and row.instance_accuracy is not None
    ]
    if not points:
        raise SpikeError("the figure needs accuracies, and no test split is prepared; run spikecli data prepare first")
    save_latency(path, f"{name}: accuracy against time", points, THEMES["light"])
