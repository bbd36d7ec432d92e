"""Panels of clouds, plain or with a network's activity step by step, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikecli.view.clouds.facing import LEGEND, colors_of_normals, estimate_normals
from spikecli.view.clouds.shape import Shape
from spikecli.view.drawing.canvas import Bar, Panel, Ramp, Sheet
from spikecli.view.drawing.chart import shown_steps
from spikecli.view.drawing.theme import Theme

COLUMNS = 4  # of panels side by side
BARS = 3  # classes named below a step


@dataclass(frozen=True)
class CloudAnswer:
    """A network's result for one cloud: probabilities (T, K), of the mean over the steps so far, and wins int (T, N).

    `wins` counts at each step the features whose maximum over the points each point holds; `spikes` (T, N), where they
    are asked for, the number of a point's `neurons` that fire.
    """

    probabilities: np.ndarray
    wins: np.ndarray
    classnames: Sequence[str]
    spikes: np.ndarray | None = None
    neurons: int = 0


def cloud_panel(shape: Shape, color: str = "height") -> Panel:
    """Return the panel of a cloud colored by "height", or by "normal": where its surface faces."""
    height = shape.points[:, 2] - shape.points[:, 2].min()
    values = height / max(float(height.max()), 1e-12)
    colors = None
    if color == "normal":
        colors = colors_of_normals(estimate_normals(shape.points) if shape.normals is None else shape.normals)
    title, note = shape.label or shape.name, shape.name if shape.label else _count(shape)
    return Panel(shape.points, values, title, note, colors=colors)


def step_panels(shape: Shape, seen: CloudAnswer, limits: tuple[int, int] = (0, 1)) -> list[Panel]:
    """Return the panels of a cloud at time steps 1 to T, with the class so far and the points that decided it.

    Where spikes are asked for: how many of each point's neurons fire in that step, `limits` getting the end colors.
    """
    total = seen.wins.cumsum(axis=0)
    panels = []
    for step in shown_steps(len(total)):
        if seen.spikes is None:
            wins = total[step - 1]
            # A few corners win a hundred features, most points one or two: the root keeps both in sight.
            values, muted = np.sqrt(wins / max(int(wins.max()), 1)), wins == 0
        else:
            values, muted = (seen.spikes[step - 1] - limits[0]) / max(limits[1] - limits[0], 1), None
        panels.append(_step_panel(shape, seen, step, np.clip(values, 0, 1), muted))
    return panels


def _step_panel(shape: Shape, seen: CloudAnswer, step: int, values: np.ndarray, muted: np.ndarray | None) -> Panel:
    chances = seen.probabilities[step - 1]
    best = np.argsort(-chances, kind="stable")[:BARS]
    names = [seen.classnames[index] for index in best]
    verdict = "" if shape.label not in seen.classnames else " ✓" if names[0] == shape.label else " ✗"
    bars = tuple(Bar(name, float(chances[index]), int(index)) for name, index in zip(names, best, strict=True))
    return Panel(shape.points, values, f"T = {step}: {names[0]}{verdict}", "", "plasma", muted, bars)


def sheet_of(
    shapes: Sequence[Shape], seen: Sequence[CloudAnswer], theme: Theme, azimuths: Sequence[float], color: str = "height"
) -> Sheet:
    """Return the clouds side by side; with a network's results, one row a cloud and one panel a time step."""
    clouds = [cloud_panel(shape, color) for shape in shapes]
    legend = LEGEND if color == "normal" else ""
    if not seen:
        return Sheet(clouds, theme, COLUMNS, legend, azimuths)
    limits = _limits(seen)
    panels = [
        panel
        for cloud, shape, sight in zip(clouds, shapes, seen, strict=True)
        for panel in (cloud, *step_panels(shape, sight, limits))
    ]
    caption, ramp = _caption(seen[0], limits, legend), _ramp(seen[0], limits)
    return Sheet(panels, theme, len(panels) // len(shapes), caption, azimuths, ramp)


def _limits(seen: Sequence[CloudAnswer]) -> tuple[int, int]:
    """Return the spike counts that get the end colors; few points have fewer, or more."""
    counts = [sight.spikes.ravel() for sight in seen if sight.spikes is not None]
    low, high = np.percentile(np.concatenate(counts), (1, 99)).round() if counts else (0, 1)
    return int(low), int(high)


def _caption(seen: CloudAnswer, limits: tuple[int, int], legend: str) -> str:
    features = int(seen.wins[0].sum())
    words = f"color and size: how many of the {features:,} features a point has decided up to step T · gray: none"
    if seen.spikes is not None:
        words = f"color: how many of a point's {seen.neurons} neurons fire in step T"
    return f"{words}\nfirst picture, {legend}" if legend else words


def _ramp(seen: CloudAnswer, limits: tuple[int, int]) -> Ramp:
    """Return the key of the colors: the spikes that get the end colors, or from one feature to the most of a point."""
    low, high = ("one feature", "the most of a point") if seen.spikes is None else map(str, limits)
    return Ramp("plasma", low, high)


def _count(shape: Shape) -> str:
    return f"{len(shape.points):,} points"
