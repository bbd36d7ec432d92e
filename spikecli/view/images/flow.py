"""View pictures, plain or with what a network makes of them step by step: as a picture, a page or in a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError
from spikecli.view.drawing.canvas import WIDTH, pixels
from spikecli.view.drawing.grid import grid
from spikecli.view.drawing.network import NetworkView, answers_of, network_figure
from spikecli.view.drawing.picture import DOTS, PICTURES, save_figure
from spikecli.view.drawing.report import save_report_page
from spikecli.view.drawing.sections import Report, Section
from spikecli.view.drawing.theme import THEMES
from spikecli.view.drawing.window import show_picture
from spikecli.view.images.sample import NamedImage, read_images, record_of
from spikecli.view.look import Look, OnStep, check_out, refuse_unused

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikecli.weights.trained import Trained

ENDINGS = (*PICTURES, ".html")
COLUMNS, WIDEST = 4, 4.3  # pictures in a row, and inches of one, at most


def look_at_images(look: Look, on_step: OnStep) -> dict[str, Any]:
    """Draw pictures as `look` says; return `out` and a record for each source. Raise SpikeError as its parts do."""
    check_out(look, ENDINGS)
    refuse_unused(look, "checkpoint", "reading")
    trained, theme = look.checkpoint, THEMES[look.theme]
    if trained is not None:
        _check_sees_images(trained)
    images = read_images(look.sources, look.data_dir)
    records = [record_of(image) for image in images]
    on_step(len(images))
    if trained is None:
        columns = min(len(images), COLUMNS)
        labelled = [(image.title, image.facts, image.pixels) for image in images]
        _save(look, grid(labelled, theme, columns, min(WIDTH, columns * WIDEST)), images)
    else:
        views = []
        for place, (source, image) in enumerate(zip(look.sources, images, strict=True)):
            views.append(look_through(look, trained, source, image))
            records[place] |= answers_of(views[-1])
            on_step(1)
        _save(look, network_figure(views, theme), images)
    on_step(1)
    return {"out": look.out, "sources": records}


def _check_sees_images(trained: Trained) -> None:
    """Raise SpikeError unless the network was trained on pictures."""
    from spikecli.datasets.provenance import facts_at_training

    kind = facts_at_training(trained).kind
    if kind != "images":
        raise SpikeError(f"{trained.given} was trained on {kind}, not on images; give a run that was trained on those")


def look_through(look: Look, trained: Trained, source: str, image: NamedImage) -> NetworkView:
    """Return what a network makes of a picture: the input is that of `predict`."""
    from spikecli.evaluation.own_files import PredictOptions, input_of
    from spikecli.evaluation.probe import layer_rates

    given = input_of(trained, source, PredictOptions(look.timesteps, look.seed, look.data_dir, look.reading))
    rates, shares = layer_rates(trained, given, look.timesteps, look.seed)
    _, height, width = given.shape
    stills = (
        ("the picture", image.pixels),
        (f"the network's input: {width} × {height} pixels, the same at each step", np.moveaxis(given, 0, -1)),
    )
    return NetworkView(
        image.title, f"{image.facts}   |   {trained.name}", rates, shares, trained.classnames, stills=stills
    )


def _save(look: Look, figure: Figure, images: Sequence[NamedImage]) -> None:
    title = " · ".join(image.title for image in images)
    if look.out is None:
        show_picture(pixels(figure, DOTS), title)
    elif look.suffix == ".html":
        save_report_page(Report(title, images[0].facts, THEMES[look.theme], [Section("", figure=figure)]), look.out)
    else:
        save_figure(figure, look.out, title, images[0].facts)
