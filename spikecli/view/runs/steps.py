"""One picture of a network's accuracy, confidence, energy and time against its time steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.view.drawing.chart import blank, color_of, dress, in_percent, legend, mark_of, place, whole_steps
from spikecli.view.drawing.picture import save_figure
from spikecli.view.drawing.theme import THEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikecli.evaluation.step_scores import AutoRow, StepScores

LINE: dict[str, Any] = {"markersize": 4.2, "linewidth": 1.5}
STAR: dict[str, Any] = {"marker": "*", "markersize": 12, "linestyle": "none", "zorder": 4}


def save_steps(path: Path, scores: StepScores, theme: str) -> None:
    """Write the picture of `steps_figure`, by the ending of `path`."""
    save_figure(steps_figure(scores, theme), path, "Accuracy, confidence, energy and time against time steps")


def steps_figure(scores: StepScores, theme: str) -> Figure:
    """Return three charts against the time steps: accuracy and mean confidence, energy, and time of one sample.

    A star marks early stopping, at its mean number of steps.
    """
    paper = THEMES[theme]
    figure = blank(3.0, paper)
    shares, energy, time = (place(figure, left, 0.65, 2.15, 1.85) for left in (0.56, 3.42, 6.3))
    steps = [row.timesteps for row in scores.rows]
    accuracies, spread = zip(*((row.instance_accuracy, row.instance_accuracy_std) for row in scores.rows), strict=True)
    bars: dict[str, Any] = {"yerr": spread, "capsize": 2.6} if any(spread) else {}
    first: dict[str, Any] = {"color": color_of(paper, 0), "marker": mark_of(0), **LINE}
    second: dict[str, Any] = {"color": color_of(paper, 1), "marker": mark_of(1), "linestyle": "--", **LINE}
    shares.errorbar(steps, accuracies, label="accuracy", **bars, **first)
    shares.plot(steps, scores.confidences, label="mean confidence", **second)
    energy.plot(steps, [row.energy_uj for row in scores.rows], **first)
    time.plot(steps, [1e3 * row.seconds / scores.samples for row in scores.rows], **first)
    if scores.auto is not None:
        for axes, value in zip((shares, energy, time), _heights(scores.auto, scores.samples), strict=True):
            name = f"auto: sure at {scores.auto.confidence:g}"
            axes.plot(scores.auto.mean_timesteps, value, color=paper.ink, label=name, **STAR)
    titles = ("Accuracy and confidence", "Energy of one sample, µJ", "Time of one sample, ms")
    for axes, title in zip((shares, energy, time), titles, strict=True):
        dress(axes, paper, title, "time steps T")
        stops = [] if scores.auto is None else [math.floor(scores.auto.mean_timesteps)]
        whole_steps(axes, [*steps, *stops])
        axes.margins(y=0.1)  # a marker at the edge is whole
    for axes in (energy, time):
        axes.set_ylim(0, 1.1 * axes.dataLim.y1 or 1)
    shares.yaxis.set_major_formatter(in_percent)
    handles = dict(zip(*reversed(shares.get_legend_handles_labels()), strict=True))
    named = ["accuracy", *(name for name in handles if name != "accuracy")]  # matplotlib puts what has bars last
    drawn = [handles[name] for name in named]
    legend(figure, paper, handles=drawn, labels=named, loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=3)
    return figure


def _heights(auto: AutoRow, samples: int) -> tuple[float, float, float]:
    return auto.instance_accuracy, auto.energy_uj, 1e3 * auto.seconds / samples
