"""What a run gets wrong: small pictures of clouds, of recordings or of images, the most confident mistakes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.clouds.panels import cloud_panel
from spikecli.view.clouds.shape import cloud_of
from spikecli.view.drawing.canvas import WIDTH, Sheet
from spikecli.view.drawing.chart import blank
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.picture import Area, framed
from spikecli.view.runs.scores import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6  # of small pictures
MISTAKES = 2 * COLUMNS  # at most, of a run, that are drawn
SIDE = WIDTH / COLUMNS  # inches of one, with its margin
HEAD, MARGIN = 0.48, 0.08  # inches: above a picture, around it


def mistakes_figure(one: Scored, theme: Theme) -> Figure | None:
    """Return small pictures of misclassified samples, the most confident mistakes first; None if there are none."""
    if one.unit_name == "cloud":
        sheet = mistakes_sheet(one, theme)
        return None if sheet is None else sheet.figure()
    wrong = one.predictions.mistakes[:MISTAKES]
    if not len(wrong):
        return None
    samples = one.evaluation.samples
    inputs = samples.inputs(one.predictions.timesteps, wrong)
    if inputs.ndim == 5:
        counts = inputs.sum(axis=1, dtype=np.float64)  # all events of the frames, whatever the number of steps
        pictures = np.stack([colored(each, full_count(each), theme) for each in counts])
    else:
        pictures = np.moveaxis(inputs, 1, -1)
    return _grid([(*_labels(one, sample), picture) for sample, picture in zip(wrong, pictures, strict=True)], theme)


def mistakes_sheet(one: Scored, theme: Theme) -> Sheet | None:
    """Return small pictures of misclassified clouds, the most confident mistakes first; None if there are none."""
    wrong, samples, panels = one.predictions.mistakes[:MISTAKES], one.evaluation.samples, []
    if not len(wrong):
        return None
    points = samples.inputs(one.predictions.timesteps)
    for sample in wrong:
        said, note = _labels(one, sample)
        panels.append(replace(cloud_panel(cloud_of("", points[sample])), title=said, note=note))
    sheet = Sheet(panels, theme, COLUMNS)
    sheet.side = WIDTH / COLUMNS
    sheet.frames = [(middle, 1.1 * half) for middle, half in sheet.frames]
    return sheet


def _labels(one: Scored, sample: int) -> tuple[str, str]:
    """Return the answer with its probability, and the true class with the sample's place in the split."""
    names, predictions = one.evaluation.samples.classnames, one.predictions
    given = predictions.classes[0, -1, sample]
    said = f"{names[given]} {predictions.probabilities[sample, given]:.0%}"
    return said, f"is {names[predictions.labels[sample]]} · {one.evaluation.places[sample]}"


def _grid(pictures: Sequence[tuple[str, str, np.ndarray]], theme: Theme) -> Figure:
    """Return a figure of pictures (H, W, 3) in rows, each below its title and note."""
    inner = SIDE - 2 * MARGIN
    tall = max(inner * picture.shape[0] / picture.shape[1] for _, _, picture in pictures)
    row = HEAD + tall + MARGIN
    height = -(-len(pictures) // COLUMNS) * row + MARGIN
    figure = blank(height, theme)
    area = Area(figure, WIDTH, height)
    style: dict[str, Any] = {"ha": "center", "va": "top", "color": theme.ink}
    for index, (title, note, picture) in enumerate(pictures):
        down, across = divmod(index, COLUMNS)
        left, top = across * SIDE, height - down * row
        size = min(10.0, SIDE * 72 / (0.66 * max(len(title), 1)))
        area.text(left + SIDE / 2, top - 0.1, title, fontsize=size, fontweight="bold", **style)
        area.text(left + SIDE / 2, top - 0.29, note, fontsize=min(8.0, size), alpha=0.8, **style)
        own = inner * picture.shape[0] / picture.shape[1]
        axes = area.axes(left + MARGIN, top - HEAD - own, inner, own)
        axes.imshow(picture, interpolation="nearest" if picture.shape[1] < 100 else "antialiased", aspect="auto")
        framed(axes, theme)
    return figure


def tell_mistakes(one: Scored) -> tuple[str, str]:
    """Return the heading above the misclassified clouds, and an explanation of their labels."""
    count = len(one.predictions.mistakes)
    heading = f"The {MISTAKES} most confident of {count} mistakes" if count > MISTAKES else f"All {count} mistakes"
    return (
        f"{heading} at T = {one.predictions.timesteps}",
        f"bold: what {one.record.name} says, how surely · below: what the {one.unit_name} is, its place in "
        f"{one.evaluation.samples.dataset}:{one.evaluation.stored}",
    )
