"""An ablation's runs with their seeds pooled: learning curves and accuracies as bands, mean ± std."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError
from spikecli.view.drawing.chart import (
    blank,
    color_of,
    dress,
    in_percent,
    legend,
    mark_of,
    place,
    plainly,
    whole_steps,
)
from spikecli.view.drawing.report import REPORTS, picture
from spikecli.view.drawing.sections import Report, Section, Table
from spikecli.view.drawing.theme import THEMES, Theme
from spikecli.view.drawing.window import show_picture
from spikecli.view.look import Look, check_out, refuse_unused
from spikecli.view.runs.curves import DASHES
from spikecli.weights.run_folder import is_run
from spikecli.weights.run_list import read_scores
from spikecli.weights.run_record import RunRecord, read_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("runs", "seeds", "T", "accuracy", "± std", "energy of one")
BAND = 0.2  # opacity
OfEpoch = Callable[[dict[str, Any]], float | None]


@dataclass(frozen=True)
class SeedPool:
    """Runs that differ in their seed alone, with the scores that `ablate` noted."""

    name: str
    records: tuple[RunRecord, ...]
    scores: tuple[dict[str, Any], ...]

    def results(self) -> list[dict[str, Any]]:
        """Return the mean and standard deviation over the seeds at each T; std is None for one seed."""
        found = []
        for steps in sorted({row["timesteps"] for row in self.scores}):
            rows = [row for row in self.scores if row["timesteps"] == steps]
            shares = [row["instance_accuracy"] for row in rows]
            found.append(
                {
                    "timesteps": steps,
                    "seeds": len(rows),
                    "instance_accuracy": statistics.fmean(shares),
                    "instance_accuracy_std": statistics.stdev(shares) if len(shares) > 1 else None,
                    "energy_uj": statistics.fmean(row["energy_uj"] for row in rows),
                }
            )
        return found


def look_at_pools(look: Look, on_work: Callable[..., None]) -> dict[str, Any]:
    """Draw the runs of an ablation as `look` says and return their record; nothing is evaluated again.

    Raise SpikeError if the folder is not alone, or none of its runs has an epoch.
    """
    check_out(look, REPORTS)
    refuse_unused(look)
    if len(look.sources) > 1:
        raise SpikeError("found an ablation beside other sources; give its folder alone")
    folder = Path(look.sources[0])
    pools = pooled([read_run(path) for path in sorted(folder.iterdir()) if is_run(path)])
    if not any(record.epochs for pool in pools for record in pool.records):
        raise SpikeError(f"no run in {folder} has an epoch yet; train first")
    warnings = [f"{pool.name} is not scored yet: curves alone" for pool in pools if not pool.scores]
    report = _report(folder, pools, THEMES[look.theme])
    if look.out is None:
        show_picture(picture(report), report.title)
    else:
        REPORTS[look.suffix](report, look.out)
    on_work(1, total=1)
    groups = [
        {"name": pool.name, "runs": [str(one.folder) for one in pool.records], "results": pool.results()}
        for pool in pools
    ]
    return {"out": look.out, "ablation": str(folder), "groups": groups, "warnings": warnings}


def pooled(records: Sequence[RunRecord]) -> list[SeedPool]:
    """Return the runs in groups whose settings differ in the seed alone, by name."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.config.model_dump_json(exclude={"seed"}), []).append(record)
    pools = []
    for group in groups.values():
        scores = [row for record in group for row in read_scores(record.folder)]
        name = group[0].name.removesuffix(f"-seed{group[0].config.seed}")
        pools.append(SeedPool(name, tuple(group), tuple(scores)))
    return sorted(pools, key=lambda pool: pool.name)


def _report(folder: Path, pools: Sequence[SeedPool], theme: Theme) -> Report:
    seeds = max(len(pool.records) for pool in pools)
    band = f"band: mean ± std of up to {seeds} seeds" if seeds > 1 else "one seed"
    sections = [Section("Learning curves", f"{band}; dashed: training, full: held out", _curves(pools, theme))]
    scored = [pool for pool in pools if pool.scores]
    if scored:
        note = f"{scored[0].scores[0]['split']} split, last epoch · {band}"
        sections.append(Section("Accuracy", note, _accuracies(scored, theme), _table(scored), headed=True))
    datasets = ", ".join(sorted({record.config.dataset for pool in pools for record in pool.records}))
    count = sum(len(pool.records) for pool in pools)
    return Report(folder.resolve().name, f"{datasets} · {len(pools)} settings, {count} runs", theme, tuple(sections))


def _curves(pools: Sequence[SeedPool], theme: Theme) -> Figure:
    """Return loss, accuracy and learning rate over the epochs, a band for each pool."""
    top = 0.36 + 0.22 * -(-len(pools) // 4)
    figure = blank(top + 2.12, theme)
    loss, accuracy, rate = (place(figure, left, top, 2.15, 1.68) for left in (0.56, 3.42, 6.3))
    dress(loss, theme, "Loss in training", "epoch", "cross-entropy, nats")
    dress(accuracy, theme, "Accuracy", "epoch")
    dress(rate, theme, "Learning rate", "epoch")
    for index, pool in enumerate(pools):
        _band(loss, theme, index, pool, lambda epoch: epoch["loss"])
        _band(accuracy, theme, index, pool, lambda epoch: epoch["train_accuracy"], dashed=True)
        _band(accuracy, theme, index, pool, lambda epoch: epoch["val_accuracy"])
        _band(rate, theme, index, pool, lambda epoch: epoch["lr"])
    accuracy.yaxis.set_major_formatter(in_percent)
    rate.yaxis.set_major_formatter(plainly)
    for axes in (loss, rate):
        axes.set_ylim(bottom=0)
    epochs = [epoch["epoch"] for pool in pools for record in pool.records for epoch in record.epochs]
    for axes in (loss, accuracy, rate):
        whole_steps(axes, epochs)
    legend(figure, theme, handles=loss.get_lines(), loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=4)
    return figure


def _band(axes: Axes, theme: Theme, index: int, pool: SeedPool, value: OfEpoch, dashed: bool = False) -> None:
    numbers, means, spreads = band_of(pool, value)
    if not numbers:
        return
    color = color_of(theme, index)
    axes.plot(
        numbers, means, color=color, linestyle=DASHES if dashed else "-", linewidth=1.2 if dashed else 1.6,
        marker=mark_of(index), markersize=3.4, markevery=[len(numbers) - 1], label=pool.name,
    )  # fmt: skip
    if any(spreads):
        low, high = np.subtract(means, spreads), np.add(means, spreads)
        axes.fill_between(numbers, low, high, color=color, alpha=BAND, linewidth=0)


def band_of(pool: SeedPool, value: OfEpoch) -> tuple[list[int], list[float], list[float]]:
    """Return the epochs of a pool, with mean and standard deviation of a value over the seeds that reached each."""
    found: dict[int, list[float]] = {}
    for record in pool.records:
        for epoch in record.epochs:
            if (number := value(epoch)) is not None:
                found.setdefault(epoch["epoch"], []).append(number)
    numbers = sorted(found)
    spreads = [statistics.stdev(found[each]) if len(found[each]) > 1 else 0.0 for each in numbers]
    return numbers, [statistics.fmean(found[each]) for each in numbers], spreads


def _accuracies(pools: Sequence[SeedPool], theme: Theme) -> Figure:
    """Return accuracy against time steps and against energy, with bars of one standard deviation."""
    top = 0.4 + 0.22 * -(-len(pools) // 4)
    figure = blank(top + 2.3, theme)
    steps, energy = place(figure, 0.56, top, 3.5, 1.8), place(figure, 4.9, top, 3.5, 1.8)
    dress(steps, theme, "Accuracy against time", "time steps T")
    dress(energy, theme, "Accuracy against energy", "energy of one sample, µJ")
    for index, pool in enumerate(pools):
        rows = pool.results()
        means = [row["instance_accuracy"] for row in rows]
        spreads = [row["instance_accuracy_std"] or 0.0 for row in rows]
        style: dict[str, Any] = {
            "color": color_of(theme, index), "marker": mark_of(index), "markersize": 4.2, "linewidth": 1.5,
            "capsize": 2.6, "yerr": spreads if any(spreads) else None,
        }  # fmt: skip
        steps.errorbar([row["timesteps"] for row in rows], means, label=pool.name, **style)
        energy.errorbar([row["energy_uj"] for row in rows], means, **style)
    whole_steps(steps, [row["timesteps"] for pool in pools for row in pool.scores])
    for axes in (steps, energy):
        axes.yaxis.set_major_formatter(in_percent)
    handles = steps.get_legend_handles_labels()[0]
    legend(figure, theme, handles=handles, loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=4)
    return figure


def _table(pools: Sequence[SeedPool]) -> Table:
    rows = [
        (
            pool.name,
            str(row["seeds"]),
            str(row["timesteps"]),
            f"{row['instance_accuracy']:.2%}",
            "–" if row["instance_accuracy_std"] is None else f"{100 * row['instance_accuracy_std']:.2f}",
            f"{row['energy_uj']:.1f} µJ",
        )
        for pool in pools
        for row in pool.results()
    ]
    return Table(COLUMNS, rows)
