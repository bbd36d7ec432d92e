"""Clouds as panels, plain or step by step as a network saw them, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.storage import atomic_path
from spikecli.view.canvas import Panel, Sheet, Theme, pixels
from spikecli.view.sources import Shape

DOTS = 200  # pixels an inch of a still picture: sharp on a dense screen
COLUMNS = 4  # of panels side by side
STEPS = 4  # at most, of a network's time steps, shown beside a cloud
BARS = 3  # classes named below a step


@dataclass(frozen=True)
class Seen:
    """What a network made of one cloud: probabilities (T, K), mean over the steps so far, and wins int (T, N).

    `wins` counts at each step the features whose maximum over the points each point holds.
    """

    probabilities: np.ndarray
    wins: np.ndarray
    classnames: Sequence[str]


def cloud_panel(shape: Shape) -> Panel:
    """Return the panel of a cloud colored by height."""
    height = shape.points[:, 2] - shape.points[:, 2].min()
    values = height / max(float(height.max()), 1e-12)
    return Panel(shape.points, values, shape.label or shape.name, shape.name if shape.label else _count(shape))


def step_panels(shape: Shape, seen: Seen) -> list[Panel]:
    """Return the panels of a cloud at time steps 1 to T: the class so far, and the points that decided it."""
    total = seen.wins.cumsum(axis=0)
    return [_step_panel(shape, seen, total[step - 1], step) for step in shown_steps(len(total))]


def shown_steps(timesteps: int, most: int = STEPS) -> list[int]:
    """Return the steps that are drawn, from 1 to `timesteps`, evenly spread and at most `most`."""
    return sorted({int(step) for step in np.linspace(1, timesteps, min(timesteps, most)).round()})


def _step_panel(shape: Shape, seen: Seen, wins: np.ndarray, step: int) -> Panel:
    chances = seen.probabilities[step - 1]
    best = np.argsort(-chances, kind="stable")[:BARS]
    names = [seen.classnames[index] for index in best]
    verdict = "" if shape.label not in seen.classnames else " ✓" if names[0] == shape.label else " ✗"
    # A few corners win a hundred features, most points one or two: the root keeps both in sight.
    values = np.sqrt(wins / max(int(wins.max()), 1))
    bars = tuple((name, float(chances[index])) for name, index in zip(names, best, strict=True))
    return Panel(shape.points, values, f"T = {step}: {names[0]}{verdict}", "", "plasma", wins == 0, bars)


def sheet_of(shapes: Sequence[Shape], seen: Sequence[Seen], theme: Theme, azimuths: Sequence[float]) -> Sheet:
    """Return the clouds side by side; with what a network saw, a row a cloud with a panel a time step."""
    if not seen:
        return Sheet([cloud_panel(shape) for shape in shapes], theme, COLUMNS, azimuths=azimuths)
    panels = [
        panel
        for shape, sight in zip(shapes, seen, strict=True)
        for panel in (cloud_panel(shape), *step_panels(shape, sight))
    ]
    features = int(seen[0].wins[0].sum())
    caption = f"color and size: how many of the {features:,} features a point has decided up to step T · gray: none"
    return Sheet(panels, theme, len(panels) // len(shapes), caption, azimuths)


def save_picture(sheet: Sheet, path: Path) -> None:
    """Write the sheet as a PNG."""
    image = pixels(sheet.figure(), DOTS)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def _count(shape: Shape) -> str:
    return f"{len(shape.points):,} points"
