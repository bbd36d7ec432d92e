"""A picture of accuracy against milliseconds a sample, for each engine and number of time steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.view.drawing.chart import TICK, blank, color_of, dress, in_percent, legend, mark_of, place
from spikecli.view.drawing.picture import save_figure
from spikecli.view.drawing.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = tuple[str, str, float, float]  # engine, time steps, milliseconds, accuracy in 0…1


def save_latency(path: Path, title: str, points: Sequence[Point], theme: Theme) -> None:
    """Write the picture of `latency_figure` to `path`."""
    save_figure(latency_figure(title, points, theme), path, title, "accuracy against milliseconds a sample")


def latency_figure(title: str, points: Sequence[Point], theme: Theme) -> Figure:
    """Return a chart with a curve an engine, over its fixed numbers of steps, and a star where it stops by itself."""
    figure = blank(3.4, theme)
    axes = place(figure, 0.75, 0.35, 5.6, 2.45)
    dress(axes, theme, title, "milliseconds a sample, one at a time (median)")
    for index, engine in enumerate(dict.fromkeys(point[0] for point in points)):
        mine = [point for point in points if point[0] == engine]
        fixed = sorted((ms, accuracy) for _, steps, ms, accuracy in mine if steps != "auto")
        look: dict[str, Any] = {"color": color_of(theme, index), "markersize": 4.5, "linewidth": 1.4}
        axes.plot(*zip(*fixed, strict=True), marker=mark_of(index), label=engine, **look)
        for _, steps, ms, accuracy in mine:
            if steps == "auto":
                axes.plot(
                    [ms], [accuracy], marker="*", linestyle="", label=f"{engine}, auto", **{**look, "markersize": 9}
                )
            name = "auto" if steps == "auto" else f"T = {steps}"
            style: dict[str, Any] = {"fontsize": TICK, "color": theme.ink, "alpha": 0.8}
            axes.annotate(name, (ms, accuracy), (5, -9), textcoords="offset points", **style)
    axes.margins(0.12, 0.2)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(in_percent)
    legend(axes, theme, loc="upper left", bbox_to_anchor=(1.02, 1.0))  # beside the data
    return figure
