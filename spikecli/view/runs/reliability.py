"""The reliability diagram of a network: accuracy against confidence, a curve for each number of time steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.evaluation.reliability import BINS, Reliability
from spikecli.view.drawing.chart import blank, color_of, dress, in_percent, legend, mark_of, place
from spikecli.view.drawing.picture import save_figure
from spikecli.view.drawing.theme import THEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 5  # of the legend


def save_reliability(path: Path, curves: Sequence[Reliability], theme: str) -> None:
    """Write the picture of `reliability_figure`, by the ending of `path`."""
    save_figure(reliability_figure(curves, theme), path, "Accuracy against confidence, for each number of time steps")


def reliability_figure(curves: Sequence[Reliability], theme: str) -> Figure:
    """Return accuracy against mean confidence in 15 bins (arXiv 1706.04599), and how many samples are in each."""
    paper = THEMES[theme]
    top = 0.4 + 0.22 * -(-(len(curves) + 1) // COLUMNS)
    figure = blank(top + 3.05, paper)
    shares, counts = place(figure, 0.6, top, 3.6, 2.5), place(figure, 4.9, top, 3.6, 2.5)
    shares.plot([0, 1], [0, 1], color=paper.faint, linewidth=1.0, linestyle=":", label="as sure as right")
    for number, curve in enumerate(curves):
        style: dict[str, Any] = {
            "color": color_of(paper, number),
            "marker": mark_of(number),
            "markersize": 4.2,
            "linewidth": 1.5,
        }
        sure = [one.confidence for one in curve.bins]
        name = f"T = {curve.timesteps}, ECE {curve.ece:.1%}"
        shares.plot(sure, [one.accuracy for one in curve.bins], label=name, **style)
        total = sum(one.samples for one in curve.bins)
        middles = [(one.low + one.high) / 2 for one in curve.bins]
        counts.plot(middles, [one.samples / total for one in curve.bins], **style)
    dress(shares, paper, "Right where so sure", "mean confidence", "accuracy")
    dress(counts, paper, "How sure it is", f"confidence, {BINS} bins", "share of the samples")
    for axes in (shares, counts):
        axes.set(xlim=(0, 1.02), ylim=(0, 1.04))
        axes.xaxis.set_major_formatter(in_percent)
        axes.yaxis.set_major_formatter(in_percent)
    legend(figure, paper, handles=shares.get_lines(), loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=COLUMNS)
    return figure
