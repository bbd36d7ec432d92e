"""The table of an ablation, its layers and its JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.cli.shown.tables import show_table, write_out
from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.files.tables import ResultTable
    from spikecli.training.ablate import Outcome, Trial
    from spikecli.training.scoring import Layer, PaperScores, Score, Scoring

# Spikes are counted where they fall: the figures of the two are not of one kind.
DENSE = "; the ANN's energy is dense, zeros and all: eval --json has it without them, to compare"
LAYERS = ("layer", "firing", "additions", "multiply-adds", "energy", "quantization")
NOT_MADE = "every run that is left is under way in another process; give the command again when they have ended"


@dataclass(frozen=True)
class Finished:
    """The trials of an ablation, the outcomes of those that are done, and where its files are."""

    trials: Sequence[Trial]
    outcomes: Sequence[Outcome]
    folder: Path
    out: Path | None

    @property
    def missing(self) -> list[str]:
        """The names of the trials that other processes work on."""
        done = {outcome.trial.folder for outcome in self.outcomes}
        return [one.name for one in self.trials if one.folder not in done]


def show_ablation(done: Finished, scoring: Scoring, layers: bool, console: Console) -> None:
    """Print the table, with `layers` also the layers, and the JSON document; write the tables."""
    from spikecli.cli.shown.tests import paper_records, paper_table
    from spikecli.training.paired_papers import paper_tests
    from spikecli.training.scoring import summarized

    if not done.outcomes:
        console.document({"out": str(done.folder), "missing": done.missing})
        console.say(NOT_MADE)
        return
    scores = scores_of(done.outcomes)
    cells = summarized(scores)
    chosen = {_row_name(outcome): outcome for outcome in reversed(done.outcomes)} if layers else {}
    chosen = {name: chosen[name] for name in cells if name in chosen}
    document = _document(done, scoring, cells)
    if layers:
        document["layers"] = {name: [asdict(row) for row in one.layers] for name, one in chosen.items()}
    table = table_of(done.outcomes, scoring, cells)
    show_table(console, table)
    tables = {"": table}
    if tests := paper_tests(done.outcomes, scoring.timesteps, scoring.split):
        show_table(console, paired := paper_table(tests, scoring.split))
        tables["paired"] = paired
    console.document({**document, "paired": paper_records(tests)})
    if chosen:
        tables["layers"] = _layer_tables(console, chosen)
    _write(console, done, tables)
    if done.missing:
        console.warn(f"under way in other processes: {'; '.join(done.missing)}")
    console.say(f"a row for each paper, seed and T: {done.folder / 'table.csv'}")


def _layer_tables(console: Console, chosen: Mapping[str, Outcome]) -> ResultTable:
    """Print a table of each paper's layers; return one of all."""
    from spikecli.files.tables import ResultTable

    rows, records = [], []
    for name, one in chosen.items():
        at = one.scores[-1].timesteps
        cells = [layer_cells(row) for row in one.layers]
        title = f"{name}, seed {one.trial.config.seed}, one sample at T = {at}"
        show_table(console, ResultTable(title, LAYERS, cells))
        rows += [(name, *row) for row in cells]
        about = {"paper": name, "seed": one.trial.config.seed, "timesteps": at}
        records += [{**about, **asdict(row)} for row in one.layers]
    return ResultTable("layers, one sample of each paper's first seed", ("paper", *LAYERS), rows, records=records)


def _write(console: Console, done: Finished, tables: Mapping[str, ResultTable]) -> None:
    """Write the tables in the folder of the runs in every format, and where --out says."""
    from spikecli.files.tables import WRITERS, write_table

    for name, table in tables.items():
        for ending in WRITERS:
            if name or ending != ".csv":  # table.csv has grown with the runs
                write_table(done.folder / f"table{name and f'-{name}'}{ending}", table)
        if done.out is not None:
            write_out(console, table, done.out, name)


def scores_of(outcomes: Sequence[Outcome]) -> list[Score]:
    """Return the scores of all outcomes, in order."""
    return [row for outcome in outcomes for row in outcome.scores]


def _row_name(outcome: Outcome) -> str:
    return outcome.trial.row_name


def _document(done: Finished, scoring: Scoring, cells: dict[str, list[PaperScores]]) -> dict[str, Any]:
    from spikecli.training.scoring import as_records

    first, scores = done.outcomes[0].trial.config, scores_of(done.outcomes)
    about = {row.row_name: row for row in reversed(scores)}
    swept = any(row.settings for row in scores)
    rows = [
        {
            "paper": about[name].paper,
            **({"settings": about[name].settings} if swept else {}),
            "results": [asdict(cell) for cell in each],
        }
        for name, each in cells.items()
    ]
    return {
        "dataset": first.dataset, "split": scoring.split, "samples": scores[0].samples,
        "runs": len({row.seed for row in scores}), "seed": min(row.seed for row in scores),
        "train_timesteps": first.timesteps, "out": str(done.folder), "csv": str(done.folder / "table.csv"),
        "table": rows, "rows": as_records(scores),
        **({"missing": done.missing} if done.missing else {}),
    }  # fmt: skip


def table_of(outcomes: Sequence[Outcome], scoring: Scoring, cells: dict[str, list[PaperScores]]) -> ResultTable:
    """Return the table, a row each paper (and settings of a sweep), with the seeds behind each row as records."""
    from spikecli.files.tables import ResultTable, with_spread
    from spikecli.training.scoring import MEASURED, as_records

    first, scores = outcomes[0].trial.config, scores_of(outcomes)
    seeds = len({row.seed for row in scores})
    epochs = ", ".join(str(count) for count in sorted({one.trial.config.epochs for one in outcomes}))
    trained = f"trained {epochs} epoch{'' if epochs == '1' else 's'}"
    return ResultTable(
        f"{first.dataset}, {scoring.split} split, {scores[0].samples} samples, {trained}",
        ("paper", *(f"T = {t}, %" for t in scoring.timesteps), "firing", "µJ", "|u − s|"),
        [row_of(name, each, scoring.timesteps) for name, each in cells.items()],
        f"instance accuracy, {'one training seed' if seeds == 1 else f'mean ± std of {seeds} training seeds'}, last "
        f"epoch; at T = {scoring.timesteps[0]}: share of "
        "neurons that fire, energy of one sample (an addition 0.9 pJ, a multiply-add of real values 4.6 pJ), mean "
        f"distance of membranes to their spikes; at every T in the CSV{DENSE * _has_ann(scores)}",
        with_spread(as_records(scores), "seed", MEASURED),
    )


def _has_ann(scores: Sequence[Score]) -> bool:
    return any(row.firing_rate is None for row in scores)


def row_of(paper: str, cells: list[PaperScores], steps: tuple[int, ...]) -> tuple[str, ...]:
    """Return a paper's row of the table; a dash for a missing score."""
    at = {cell.timesteps: cell for cell in cells}

    def accuracy(cell: PaperScores | None) -> str:
        if cell is None:
            return "–"
        spread = "" if cell.instance_accuracy_std is None else f" ± {100 * cell.instance_accuracy_std:.1f}"
        return f"{100 * cell.instance_accuracy:.1f}{spread}"

    first = at.get(steps[0], cells[0])
    rate, error = first.firing_rate, first.quantization_error
    return (
        paper,
        *(accuracy(at.get(t)) for t in steps),
        "–" if rate is None else f"{rate:.1%}",
        f"{first.energy_uj:.1f}",
        "–" if error is None else f"{error:.3f}",
    )


def layer_cells(row: Layer) -> tuple[str, ...]:
    """Return a layer's row: counts in millions, energy in µJ; a dash for a value that it does not have."""

    def shown(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    products = row.synaptic_operations or row.multiplies
    return (
        row.layer,
        shown(row.firing_rate, ".1%"),
        f"{row.synaptic_operations / 1e6:.3f} M" if products else "–",
        f"{row.multiplies / 1e6:.3f} M" if products else "–",
        f"{row.energy_uj:.2f} µJ" if products else "–",
        shown(row.quantization_error, ".3f"),
    )
