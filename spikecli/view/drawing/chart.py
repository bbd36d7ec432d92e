"""Charts in one style: plain axes, colors and markers that color-blind people can distinguish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.theme import THEMES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito's colors, in the shades that stand out from each paper; the marks tell apart what the colors might not.
COLORS = {
    THEMES["light"]: ("#0072b2", "#d55e00", "#009e73", "#aa4f8a", "#b8860b", "#56b4e9"),
    THEMES["dark"]: ("#56b4e9", "#f08030", "#2fc99b", "#dd8fbb", "#f0e442", "#8fa8ff"),
}
MARKS = ("o", "s", "^", "D", "v", "P")
Grid = Literal["both", "x", "y", "none"]
TITLE, LABEL, TICK = 9.0, 8.0, 7.5  # points


def color_of(theme: Theme, index: int) -> str:
    """Return the color of the line of that number; they repeat after six."""
    return COLORS[theme][index % len(COLORS[theme])]


def mark_of(index: int) -> str:
    """Return the marker of the line of that number; the sequence changes each time the colors repeat."""
    return MARKS[(index + index // len(MARKS)) % len(MARKS)]


def blank(height: float, theme: Theme, width: float = WIDTH) -> Figure:
    """Return an empty figure of `width` (by default the page's) and `height` inches, without a window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=theme.paper)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes at a position in inches from the figure's left and upper edge."""
    total_width, total_height = figure.get_size_inches()
    bottom = total_height - top - height
    return figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))


def dress(axes: Axes, theme: Theme, title: str = "", across: str = "", up: str = "", grid: Grid = "both") -> None:
    """Style axes: theme colors, a title at the left, labels with units, and a faint grid along `grid`."""
    axes.set_facecolor(theme.paper)
    axes.set_title(title, loc="left", fontsize=TITLE, fontweight="bold", color=theme.ink, pad=7)
    axes.set_xlabel(across, fontsize=LABEL, color=theme.ink, labelpad=3)
    axes.set_ylabel(up, fontsize=LABEL, color=theme.ink, labelpad=4)
    axes.tick_params(labelsize=TICK, colors=theme.ink, color=theme.faint, length=3, width=0.8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=theme.faint, linewidth=0.8)
    if grid != "none":
        axes.grid(axis=grid, color=theme.faint, alpha=0.45, linewidth=0.6)
    axes.set_axisbelow(True)


def legend(owner: Axes | Figure, theme: Theme, **where: Any) -> None:
    """Add a legend without a frame, in the theme's ink."""
    drawn = owner.legend(**{"fontsize": TICK, "frameon": False, "labelcolor": theme.ink, "handlelength": 1.9, **where})
    drawn.set_zorder(5)


def legend_above(axes: Axes, theme: Theme, handles: Sequence[Any]) -> None:
    """Add a legend above the axes, at the right of their title, where it can cover no data."""
    legend(axes, theme, handles=handles, loc="lower right", bbox_to_anchor=(1.04, 0.985), ncols=len(handles),
           columnspacing=0.8, borderpad=0.2, handlelength=1.4, handletextpad=0.5)  # fmt: skip


def shades(theme: Theme, index: int = 0) -> Colormap:
    """Return the color map from the background, at 0, to the color of that number, at 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shades", [theme.paper, color_of(theme, index)])


def whole_steps(axes: Axes, steps: Sequence[int]) -> None:
    """Put ticks at all `steps` on the horizontal axis, or at as many as there is room for."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(steps), max(steps)
    margin = min(max(0.04 * (high - low), 0.35), 0.9)  # less than a step: none is marked that there is not
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def in_percent(share: float, position: float) -> str:
    """Return a share as the text of a tick: 0.925 is 92.5%, and above 100%, where no share is, nothing."""
    return f"{100 * share:.5g}%" if share < 1 + 1e-9 else ""


def plainly(value: float, position: float) -> str:
    """Return a number as the text of a tick, in the fewest digits."""
    return f"{value:.5g}"


STEPS = 4  # at most, of a network's time steps, shown beside a cloud


def shown_steps(timesteps: int, most: int = STEPS) -> list[int]:
    """Return the steps to draw: at most `most`, evenly spread from 1 to `timesteps`."""
    return sorted({int(step) for step in np.linspace(1, timesteps, min(timesteps, most)).round()})
