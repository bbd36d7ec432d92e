"""What a network on maps sees of one sample: its input, spikes a layer, and its answer step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.area import Area, framed
from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import TICK, blank, shades, shown_steps
from spikecli.view.drawing.theme import Theme, class_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, CLASSES = 10, 5  # steps, and classes, at most that are drawn
NAMES, HEAD, ROW, GAP = 1.5, 0.86, 0.19, 0.34  # inches
FEW = 5  # columns that fill the width; fewer leave room at the right
TALLEST = 1.5  # of a still picture, in its widths
SPAN = 2  # columns of a still picture


@dataclass(frozen=True)
class NetworkView:
    """One sample in a network: each layer's firing rates (T,) in 0…1, and probabilities (T, K) of t + 1 steps.

    `frames` are colors (T, H, W, 3) of the input of each step. A network that gets the same at every step has none;
    then `stills` are pictures (H, W, 3) with a label each.
    """

    title: str
    facts: str
    rates: dict[str, np.ndarray]
    probabilities: np.ndarray
    classnames: tuple[str, ...]
    frames: np.ndarray | None = None
    stills: tuple[tuple[str, np.ndarray], ...] = ()

    @property
    def columns(self) -> list[int]:
        """The steps that are drawn, from 1."""
        return shown_steps(len(self.probabilities), COLUMNS)

    @property
    def cell(self) -> float:
        """Inches of a column."""
        return (WIDTH - NAMES - 0.15) / max(len(self.columns), FEW)

    @property
    def tall(self) -> float:
        """Inches of the pictures."""
        if self.frames is not None:
            return self.cell * self.frames.shape[1] / self.frames.shape[2]
        shapes = [picture.shape for _, picture in self.stills]
        return max(SPAN * self.cell * min(height / width, TALLEST) for height, width, _ in shapes)

    @property
    def best(self) -> list[int]:
        """The places of the classes that are drawn, the most probable first."""
        return np.argsort(-self.probabilities[-1], kind="stable")[:CLASSES].tolist()

    @property
    def height(self) -> float:
        """Inches of the whole drawing."""
        steps = 0 if self.frames is not None else ROW
        return HEAD + self.tall + steps + 2 * GAP + ROW * (len(self.rates) + len(self.best)) + 0.3


def answers_of(seen: NetworkView) -> dict[str, Any]:
    """Return the answer after each step and each layer's firing rates, for `view --json`."""
    answers = [
        {"timesteps": step + 1, "class": seen.classnames[int(row.argmax())], "probability": float(row.max())}
        for step, row in enumerate(seen.probabilities)
    ]
    layers = [{"layer": name, "firing_rate": values.tolist()} for name, values in seen.rates.items()]
    return {"predictions": answers, "layers": layers}


def network_figure(views: Sequence[NetworkView], theme: Theme) -> Figure:
    """Return the figure of some samples, one below the other."""
    heights = [seen.height for seen in views]
    figure = blank(sum(heights), theme)
    top, area = sum(heights), Area(figure, WIDTH, sum(heights))
    for seen, height in zip(views, heights, strict=True):
        _draw(area, seen, theme, top)
        top -= height
    return figure


def _draw(area: Area, seen: NetworkView, theme: Theme, top: float) -> None:
    """Draw input, layers and classes downward from `top` inches, one column a step."""
    style: dict[str, Any] = {"color": theme.ink, "va": "top"}
    area.text(0.12, top - 0.12, seen.title, fontsize=12, fontweight="bold", **style)
    area.text(0.12, top - 0.36, seen.facts, fontsize=8, **style)
    cell, places = seen.cell, [step - 1 for step in seen.columns]
    low = top - HEAD - seen.tall - GAP
    if seen.frames is None:
        _draw_stills(area, seen, theme, top)
        low -= ROW
        _name_steps(area, seen, theme, low + 0.02 + ROW)
    else:
        _draw_frames(area, seen, theme, top)
    layers = {name: values[places] for name, values in seen.rates.items()}
    raised = 0.2 if seen.frames is not None else 0.2 + ROW
    _table(area, layers, theme, low, cell, "spikes a layer: share of neurons that fire", 0, raised)
    classes = {seen.classnames[place]: seen.probabilities[places, place] for place in seen.best}
    low -= ROW * len(layers) + GAP
    _table(area, classes, theme, low, cell, "the answer: probability after so many steps", 1)
    for row, place in enumerate(seen.best):
        area.swatch(0.14, low - (row + 0.5) * ROW, class_color(theme, place))


def _name_steps(area: Area, seen: NetworkView, theme: Theme, top: float) -> None:
    for column, step in enumerate(seen.columns):
        left = NAMES + (column + 0.5) * seen.cell
        area.text(left, top, f"t = {step}", fontsize=8, ha="center", va="top", color=theme.ink)


def _draw_frames(area: Area, seen: NetworkView, theme: Theme, top: float) -> None:
    """Draw the input of each step in its column."""
    assert seen.frames is not None
    _name_steps(area, seen, theme, top - HEAD + 0.2)
    for column, step in enumerate(seen.columns):
        left = NAMES + column * seen.cell
        axes = area.axes(left + 0.02, top - HEAD - seen.tall, seen.cell - 0.04, seen.tall)
        axes.imshow(seen.frames[step - 1], interpolation="nearest", aspect="auto")
        framed(axes, theme)


def _draw_stills(area: Area, seen: NetworkView, theme: Theme, top: float) -> None:
    """Draw the pictures side by side, each below its label."""
    for number, (label, picture) in enumerate(seen.stills):
        height, width, _ = picture.shape
        left, wide = NAMES + number * SPAN * seen.cell, SPAN * seen.cell
        area.text(left + 0.02, top - HEAD + 0.2, label, fontsize=8, va="top", color=theme.ink)
        tall = wide * min(height / width, TALLEST)
        axes = area.axes(left + 0.02, top - HEAD - tall, tall * width / height - 0.04, tall)
        axes.imshow(picture, interpolation="nearest" if width < 100 else "antialiased", aspect="auto")
        framed(axes, theme)


def _table(
    area: Area,
    rows: dict[str, np.ndarray],
    theme: Theme,
    top: float,
    cell: float,
    title: str,
    color: int,
    raised: float = 0.2,
) -> None:
    """Draw rows of shares as shaded cells with their numbers, below a title that is `raised` by so many inches."""
    area.text(NAMES, top + raised, title, fontsize=8, fontweight="bold", color=theme.ink, va="top")
    # One scale for all rows: at a single step a row's own scale would give 1 % the color of 90 %.
    shade, most = shades(theme, color), max((float(values.max()) for values in rows.values()), default=0.0)
    for number, (name, values) in enumerate(rows.items()):
        middle = top - (number + 0.5) * ROW
        area.text(NAMES - 0.08, middle, name[-24:], fontsize=TICK - 1, ha="right", va="center", color=theme.ink)
        axes = area.axes(NAMES, top - (number + 1) * ROW, cell * len(values), ROW)
        axes.imshow(values[None], cmap=shade, vmin=0, vmax=1.6 * max(most, 1e-9), aspect="auto")
        for column, value in enumerate(values):
            share = f"{value:.0%}" if value == 0 or value >= 0.01 else f"{value:.1%}"
            axes.text(column, 0, share, fontsize=TICK - 1.5, ha="center", va="center", color=theme.ink)
        framed(axes, theme)
