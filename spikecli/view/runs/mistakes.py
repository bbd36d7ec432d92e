"""What a run gets wrong: small pictures of clouds, of recordings or of images, the most confident mistakes first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spikecli.view.clouds.panels import cloud_panel
from spikecli.view.clouds.shape import cloud_of
from spikecli.view.drawing.canvas import WIDTH, Sheet
from spikecli.view.drawing.grid import grid
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.runs.scores import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6  # of small pictures
MISTAKES = 2 * COLUMNS  # at most, of a run, that are drawn


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
    labelled = [(*_labels(one, sample), picture) for sample, picture in zip(wrong, pictures, strict=True)]
    return grid(labelled, theme, COLUMNS, WIDTH)


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


def tell_mistakes(one: Scored) -> tuple[str, str]:
    """Return the heading above the misclassified clouds, and an explanation of their labels."""
    count = len(one.predictions.mistakes)
    heading = f"The {MISTAKES} most confident of {count} mistakes" if count > MISTAKES else f"All {count} mistakes"
    return (
        f"{heading} at T = {one.predictions.timesteps}",
        f"bold: what {one.record.name} says, how surely · below: what the {one.unit_name} is, its place in "
        f"{one.evaluation.samples.dataset}:{one.evaluation.stored}",
    )
