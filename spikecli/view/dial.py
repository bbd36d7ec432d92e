"""Accuracy, confidence, energy and time of a network against its time steps, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError
from spikecli.storage import atomic_path
from spikecli.view.canvas import THEMES, WIDTH, Theme, pixels
from spikecli.view.points import DOTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikecli.dial import AutoRow, Dial

# Okabe and Ito's colors, in the shades that stand out from each paper; marks tell apart what colors might not.
COLORS = {"light": ("#0072b2", "#d55e00"), "dark": ("#56b4e9", "#f08030")}
LINE: dict[str, Any] = {"markersize": 4.2, "linewidth": 1.5}
STAR: dict[str, Any] = {"marker": "*", "markersize": 12, "linestyle": "none", "zorder": 4}


def check_picture(path: Path | None) -> None:
    """Raise SpikeError unless `path` is None or names a PNG."""
    if path is not None and path.suffix.lower() != ".png":
        raise SpikeError(f"cannot write {path}: its suffix is {path.suffix!r}; name a file that ends in .png")


def save_dial(path: Path, dial: Dial, theme: str) -> None:
    """Write the picture of `dial_figure` as a PNG."""
    image = pixels(dial_figure(dial, theme), DOTS)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def dial_figure(dial: Dial, theme: str) -> Figure:
    """Return three charts against the time steps: accuracy and mean confidence, energy, and time of one sample.

    A star stands where each sample stops when it is sure, at the mean number of steps.
    """
    from matplotlib.figure import Figure

    paper, (blue, orange) = THEMES[theme], COLORS[theme]
    figure = Figure(figsize=(WIDTH, 2.7), facecolor=paper.paper)
    shares, energy, time = figure.subplots(1, 3, gridspec_kw={"wspace": 0.34})
    figure.subplots_adjust(left=0.07, right=0.985, top=0.86, bottom=0.175)
    steps = [row.timesteps for row in dial.rows]
    accuracies, spread = zip(*((row.instance_accuracy, row.instance_accuracy_std) for row in dial.rows), strict=True)
    bars = {"yerr": spread, "capsize": 2.6} if any(spread) else {}
    shares.errorbar(steps, accuracies, color=blue, marker="o", label="accuracy", **bars, **LINE)
    shares.plot(steps, dial.confidences, color=orange, marker="s", linestyle="--", label="mean confidence", **LINE)
    energy.plot(steps, [row.energy_uj for row in dial.rows], color=blue, marker="o", **LINE)
    time.plot(steps, [1e3 * row.seconds / dial.samples for row in dial.rows], color=blue, marker="o", **LINE)
    if dial.auto is not None:
        for axes, value in zip((shares, energy, time), _heights(dial.auto, dial.samples), strict=True):
            name = f"auto: sure at {dial.auto.confidence:g}"
            axes.plot(dial.auto.mean_timesteps, value, color=paper.ink, label=name, **STAR)
    _dress(shares, paper, "Accuracy and confidence", steps)
    _dress(energy, paper, "Energy of one sample, µJ", steps)
    _dress(time, paper, "Time of one sample, ms", steps)
    shares.yaxis.set_major_formatter(lambda share, place: f"{100 * share:.5g}%")
    handles = dict(zip(*reversed(shares.get_legend_handles_labels()), strict=True))
    named = ["accuracy", *(name for name in handles if name != "accuracy")]  # matplotlib puts what has bars last
    look: dict[str, Any] = {"fontsize": 7.5, "frameon": False, "labelcolor": paper.ink, "loc": "best"}
    shares.legend([handles[name] for name in named], named, **look)
    for axes in (energy, time):
        axes.set_ylim(bottom=0)
    return figure


def _heights(auto: AutoRow, samples: int) -> tuple[float, float, float]:
    return auto.instance_accuracy, auto.energy_uj, 1e3 * auto.seconds / samples


def _dress(axes: Axes, theme: Theme, title: str, steps: Sequence[int]) -> None:
    """Give axes the theme's colors, a title, whole steps across and a faint grid."""
    from matplotlib.ticker import MaxNLocator

    axes.set_facecolor(theme.paper)
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=theme.ink, pad=7)
    axes.set_xlabel("time steps T", fontsize=8, color=theme.ink, labelpad=3)
    axes.tick_params(labelsize=7.5, colors=theme.ink, color=theme.faint, length=3, width=0.8)
    axes.set_xlim(min(steps) - 0.4, max(steps) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=theme.faint, linewidth=0.8)
    axes.grid(color=theme.faint, alpha=0.45, linewidth=0.6)
    axes.set_axisbelow(True)
