"""`spikecli eval --corrupt`: scores on damaged samples, of one run or two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.cli.options.evaluation import DamageOptions, EvalOptions
from spikecli.cli.shown.newest import opened
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.evaluation.robustness import DamageReport


def show_damage(console: Console, asked: EvalOptions, timesteps: Sequence[int], damage: DamageOptions) -> None:
    """Show a row for each kind of damage and severity, a column for each run and number of time steps."""
    from spikecli.datasets.corrupt import chosen_kinds, chosen_severities
    from spikecli.evaluation import robustness as flow
    from spikecli.evaluation.evaluate import samples_for, shared_passes
    from spikecli.evaluation.how import How
    from spikecli.evaluation.stopping import distinct_steps
    from spikecli.machine.precision import settled
    from spikecli.weights.trained import Trained

    severities, trained = chosen_severities(damage.severities), opened(console, asked.checkpoint, asked.device)
    samples = samples_for(trained, asked.data_dir, asked.data, asked.split)
    runs = [(trained, samples)]
    battery = flow.Battery(chosen_kinds(str(damage.corrupt), flow.corruptions_of(samples)), severities)
    if damage.beside is not None:
        other = Trained.open(damage.beside, asked.device)
        runs.append((other, samples_for(other, asked.data_dir, samples.dataset, asked.split)))
    through = sum(len(shared_passes(split, distinct_steps(each.network, timesteps))) for each, split in runs)
    total = through * asked.runs * len(battery.cases) * len(samples.labels)
    reports = []
    with console.progress("evaluating damaged samples", total=total, unit=samples.unit_name) as advance:
        how = How(asked.runs, asked.seed, trained.device, settled(asked.precision, trained.device), advance)
        for each, split in runs:
            cells = flow.robustness(each.network, split, battery, timesteps, how)
            reports.append(flow.DamageReport(str(each.path), cells, flow.means(cells)))
    facts: dict[str, Any] = {"checkpoint": str(trained.path), "dataset": samples.dataset, "split": asked.split}
    facts |= {"samples": len(samples.labels), "runs": asked.runs, "seed": asked.seed}
    show_reports(console, reports, facts, samples.unit_name, asked.out)


def show_reports(
    console: Console, reports: Sequence[DamageReport], facts: dict[str, Any], unit_name: str, out: Path | None
) -> None:
    """Show one network's rows, with another's beside them if there are two; `out` gets the table."""
    from spikecli.files.tables import ResultTable

    records = [{"name": report.name, **asdict(cell)} for report in reports for cell in report.cells]
    first, *others = [_document(report) for report in reports]
    console.document({**facts, **first, **({"beside": {"checkpoint": reports[1].name, **others[0]}} if others else {})})
    rows: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for cell in report.cells:
            deviation = cell.instance_accuracy_std
            spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
            key = (cell.corruption, str(cell.severity or "–"))
            rows.setdefault(key, []).append(f"{cell.instance_accuracy:.1%}{spread}")
        for mean in report.means:
            rows.setdefault(("mean", str(mean.severity or "all")), []).append(f"{mean.instance_accuracy:.1%}")
    columns = [f"{_name(report)}, T = {t}" for report in reports for t in sorted({c.timesteps for c in report.cells})]
    drawn = f"{facts['runs']} seeds of damage and perturbation from {facts['seed']}"
    table = ResultTable(
        f"{facts['dataset']}, {facts['split']} split, {facts['samples']} {unit_name}: instance accuracy",
        ("damage", "severity", *columns),
        [(*key, *cells) for key, cells in rows.items()],
        f"mean: over the kinds of damage; {drawn if facts['runs'] > 1 else 'seed ' + str(facts['seed'])}",
        records,
    )
    show_table(console, table, out)


def _document(report: DamageReport) -> dict[str, Any]:
    return {
        "results": [asdict(cell) for cell in report.cells],
        "means": [asdict(mean) for mean in report.means],
    }


def _name(report: DamageReport) -> str:
    path = Path(report.name)
    return path.parent.name if path.name == "model.safetensors" else path.name
