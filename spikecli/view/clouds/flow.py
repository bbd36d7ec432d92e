"""View clouds: check the options, run the network, draw the panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.datasets.reading_options import AS_FOUND
from spikecli.errors import SpikeError, named
from spikecli.view.clouds.panels import CloudAnswer, sheet_of
from spikecli.view.clouds.shape import Shape, as_trained, read_shapes
from spikecli.view.drawing.canvas import AZIMUTH, Sheet
from spikecli.view.drawing.film import AZIMUTHS, FILMS, turn
from spikecli.view.drawing.page import save_page
from spikecli.view.drawing.picture import PICTURES, save_picture, title_of
from spikecli.view.drawing.theme import THEMES
from spikecli.view.drawing.window import show
from spikecli.view.look import ClipLook, EventLook, Look, OnStep, check_out, refuse_unused

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained

COLORS = ("height", "normal", "wins", "spikes")


STILLS: dict[str, Callable[[Sheet, Path], None]] = {**dict.fromkeys(PICTURES, save_picture), ".html": save_page}


def look_at_points(look: Look, on_step: OnStep) -> dict[str, Any]:
    """Draw point clouds as `look` says; return `out` and a record for each source. Raise SpikeError as its parts do."""
    check_out(look)
    _check_options(look)
    refuse_unused(look, "checkpoint", "points", "color", "reading")
    points = _count(look)
    reading = as_trained(look.reading, look.checkpoint)
    shapes = read_shapes(look.sources, look.data_dir, points, look.seed, reading)
    on_step(len(shapes))
    seen = []
    if look.checkpoint:
        for shape in shapes:
            seen.append(_ask(look, look.checkpoint, shape))
            on_step(1)
    films = look.suffix in FILMS
    sheet = sheet_of(shapes, seen, THEMES[look.theme], AZIMUTHS if films else (AZIMUTH,), look.color or "height")
    if look.out is None:
        show(sheet.panels, sheet.theme)
    elif films:
        FILMS[look.suffix](turn(sheet, on_step), look.out, title=title_of(sheet))
    else:
        STILLS[look.suffix](sheet, look.out)
    if not films:
        on_step(1)
    records = [_record(shape) for shape in shapes]
    for record, sight in zip(records, seen, strict=False):
        record["predictions"] = _predictions(sight)
    return {"out": look.out, "sources": records}


def needs_network(look: Look, what: str) -> Trained:
    """Return the network whose `what` is shown; raise SpikeError if none is given."""
    if look.checkpoint is None:
        raise SpikeError(f"{named('show')} {what} needs a network; give one with {named('checkpoint')} RUN")
    return look.checkpoint


def sees_clouds(trained: Trained) -> None:
    """Raise SpikeError if a network takes images or frames."""
    model = trained.config.model
    if "points" not in model.takes:
        raise SpikeError(f"{trained.given} is a {model.name}, which sees no clouds; give a run of pointnet or dela")


def _check_options(look: Look) -> None:
    of_recordings = replace(look.reading, up=None) != AS_FOUND
    if of_recordings or (look.events, look.clip) != (EventLook(), ClipLook()):
        raise SpikeError("found options of recordings and a cloud to show; remove them, or give a recording")
    if look.color not in (None, *COLORS):
        raise SpikeError(f"found color {look.color!r}; wanted one of {', '.join(COLORS)}")
    if look.color in ("wins", "spikes") and not look.checkpoint:
        raise SpikeError(
            f"found {named('color')} {look.color} and no network to look into; add {named('checkpoint')} RUN"
        )


def _count(look: Look) -> int | None:
    """Return the number of points to show: by default, with a network, the number it was trained with."""
    if look.checkpoint is None:
        return look.points
    sees_clouds(look.checkpoint)
    return look.points or look.checkpoint.config.points


def _ask(look: Look, trained: Trained, shape: Shape) -> CloudAnswer:
    from spikecli.evaluation import evaluate, probe

    points = shape.seen_by(trained)
    probabilities = evaluate.probabilities(trained, points[None], look.timesteps, look.seed)[:, 0]
    wins = probe.critical_points(trained, points, look.timesteps, look.seed)
    spikes, neurons = None, 0
    if look.color == "spikes":
        spikes, neurons = probe.point_spikes(trained, points, look.timesteps, look.seed)
    return CloudAnswer(probabilities, wins, trained.classnames, spikes, neurons)


def _record(shape: Shape) -> dict[str, Any]:
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    return {
        "name": shape.name,
        "label": shape.label or None,
        "points": len(shape.points),
        "extent": [float(size) for size in high - low],
    }


def _predictions(seen: CloudAnswer) -> list[dict[str, Any]]:
    best = seen.probabilities.argmax(axis=1)
    return [
        {
            "timesteps": step + 1,
            "class": seen.classnames[index],
            "probability": float(seen.probabilities[step, index]),
            "deciding_points": int((seen.wins[: step + 1].sum(axis=0) > 0).sum()),
            **({} if seen.spikes is None else {"point_spikes": int(seen.spikes[step].sum())}),
        }
        for step, index in enumerate(best)
    ]
