"""Scores of runs: accuracy against time steps and energy, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import (
    LABEL,
    TICK,
    blank,
    color_of,
    dress,
    in_percent,
    legend,
    mark_of,
    place,
    shades,
    whole_steps,
)
from spikecli.view.drawing.theme import Theme
from spikecli.weights.run_record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikecli.evaluation.predictions import Evaluation, Predictions

COUNTED = 20  # classes, at most, whose confusions are written out
SIDE = 3.95  # inches of the matrix


@dataclass(frozen=True)
class Scored:
    """A run with its evaluation and predictions; `index`, its place among the runs shown, selects its color."""

    index: int
    record: RunRecord
    evaluation: Evaluation
    predictions: Predictions

    @property
    def unit_name(self) -> str:
        """The word for one sample: cloud, recording or image."""
        return self.evaluation.samples.unit_name.removesuffix("s")


def scores_figure(scored: Sequence[Scored], theme: Theme) -> Figure:
    """Return accuracy against time steps and against energy for all runs, and the confusion matrix of the first."""
    top = 0.3 if len(scored) == 1 else 0.6  # room for the names of the runs
    figure = blank(SIDE + 0.96 + top, theme)
    steps, energy = place(figure, 0.56, top, 2.5, 1.85), place(figure, 0.56, top + 2.53, 2.5, 1.85)
    dress(steps, theme, "Accuracy against time", "time steps T")
    dress(energy, theme, "Accuracy against energy", f"energy of one {scored[0].unit_name}, µJ")
    for one in scored:
        mean, std = one.predictions.accuracies.mean(axis=0), one.predictions.accuracy_std
        aside = 0.05 * (one.index - (scored[-1].index + scored[0].index) / 2)  # bars beside, not on, one another
        numbers = np.arange(1, len(mean) + 1) + aside
        for axes, across in ((steps, numbers), (energy, np.array(one.predictions.energy_uj))):
            _points(axes, theme, one, across, mean, std)
    most = max(one.predictions.timesteps for one in scored)
    whole_steps(steps, range(1, most + 1))
    _same_scale(steps, energy, theme)
    if len(scored) == 1:
        _name_steps(energy, theme, scored[0])
    else:
        handles = steps.get_legend_handles_labels()[0]
        columns = min(len(scored), 4)
        legend(figure, theme, handles=handles, loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=columns)
    _confusion(place(figure, WIDTH - SIDE - 0.15, top, SIDE, SIDE), theme, scored[0])
    return figure


def _points(axes: Axes, theme: Theme, one: Scored, across: np.ndarray, mean: np.ndarray, std: np.ndarray) -> None:
    axes.errorbar(
        across,
        mean,
        yerr=std if std.any() else None,
        color=color_of(theme, one.index),
        marker=mark_of(one.index),
        markersize=4.2,
        linewidth=1.5,
        elinewidth=1.1,
        capsize=2.6,
        label=one.record.name,
    )


def _name_steps(axes: Axes, theme: Theme, one: Scored) -> None:
    """Write T beside each point of a curve, on the side away from its next segment."""
    mean = one.predictions.accuracies.mean(axis=0)
    falls = np.append(np.diff(mean) < 0, False)
    for step, energy in enumerate(one.predictions.energy_uj):
        offset, side = ((5, 3), "bottom") if falls[step] else ((5, -3), "top")
        style: dict[str, Any] = {"fontsize": TICK, "color": theme.ink, "alpha": 0.8, "ha": "left", "va": side}
        axes.annotate(f"T = {step + 1}", (energy, mean[step]), offset, textcoords="offset points", **style)


def _same_scale(steps: Axes, energy: Axes, theme: Theme) -> None:
    """Give both charts the same scale, in percent, with room for the labels of points."""
    from matplotlib.ticker import MaxNLocator

    low, high = (edge(axes.get_ylim()[place] for axes in (steps, energy)) for place, edge in ((0, min), (1, max)))
    room = max(high - low, 0.01)
    for axes in (steps, energy):
        axes.set_ylim(low - 0.3 * room, high + 0.05 * room)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(in_percent)
    energy.set_xlim(0, 1.17 * energy.get_xlim()[1])


def _confusion(axes: Axes, theme: Theme, one: Scored) -> None:
    names, counts = one.evaluation.samples.classnames, one.predictions.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colors = shades(theme, one.index)
    edges = np.arange(len(names) + 1) - 0.5
    axes.pcolormesh(edges, edges, np.sqrt(shares), cmap=colors, vmin=0, vmax=1, edgecolors=theme.paper, linewidth=0.8)
    axes.set(aspect="equal", ylim=(len(names) - 0.5, -0.5))
    accuracy = f"{one.predictions.accuracies[0, -1]:.2%} of {counts.sum():,} right"
    dress(axes, theme, f"Confusion at T = {one.predictions.timesteps}: {accuracy}", "predicted", "true", grid="none")
    size = min(TICK, 0.85 * SIDE * 72 / len(names))
    turn, side = (45, "top") if len(names) <= COUNTED else (90, "center")
    axes.set_xticks(range(len(names)), names, rotation=turn, ha="right", va=side, rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", fontsize=LABEL, color=theme.ink, labelpad=1)
    if len(names) > COUNTED:
        return
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = _readable(colors(np.sqrt(shares[row, column]))[:3])
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=size, color=ink)


def _readable(ground: Sequence[float]) -> str:
    """Return black or white, whichever contrasts more with a color in 0…1 (by the WCAG's luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in ground]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"
