"""From sources to a picture, a film, a page or a window: the flow of `spikecli view`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError
from spikecli.view.canvas import AZIMUTH, THEMES, Sheet
from spikecli.view.event_look import ClipLook, EventLook
from spikecli.view.film import AZIMUTHS, FILMS, turn
from spikecli.view.page import save_page
from spikecli.view.points import Seen, save_picture, sheet_of
from spikecli.view.sources import Shape, read_shape
from spikecli.view.window import no_display, show

COLORS = ("height", "normal", "wins", "spikes")
OnStep = Callable[[int], None]

STILLS: dict[str, Callable[[Sheet, Path], None]] = {".png": save_picture, ".html": save_page}


@dataclass(frozen=True)
class Look:
    """What is to be looked at, and how; `out` None is a window, `checkpoint` None the plain clouds."""

    sources: tuple[str, ...]
    data_dir: Path
    out: Path | None = None
    checkpoint: Path | None = None
    timesteps: int = 4
    points: int | None = None
    theme: str = "light"
    seed: int = 0
    color: str | None = None
    events: EventLook = field(default_factory=EventLook)
    clip: ClipLook = field(default_factory=ClipLook)
    split: str = "test"  # that runs are evaluated on
    runs: int = 3  # seeds of the perturbation, in the evaluation of runs
    against: Path | None = None  # a second network

    @property
    def suffix(self) -> str:
        return self.out.suffix.lower() if self.out else ""

    @property
    def work(self) -> int:
        """How many steps `look_at_points` reports; the others say how many as soon as they know."""
        return len(self.sources) * (2 if self.checkpoint else 1) + (len(AZIMUTHS) if self.suffix in FILMS else 1)


def look_at_points(look: Look, on_step: OnStep) -> dict[str, Any]:
    """Draw point clouds as `look` says and return its record: `out`, and a record a source. SpikeError as its parts."""
    check_out(look)
    check_out(look)
    _check_options(look)
    refuse_unused(look, "checkpoint", "points", "color")
    points, classnames = _expected(look)
    shapes = []
    for source in look.sources:
        shapes.append(read_shape(source, look.data_dir, points, look.seed))
        on_step(1)
    seen = []
    if look.checkpoint:
        for shape in shapes:
            seen.append(_ask(look, shape, classnames))
            on_step(1)
    films = look.suffix in FILMS
    sheet = sheet_of(shapes, seen, THEMES[look.theme], AZIMUTHS if films else (AZIMUTH,), look.color or "height")
    if look.out is None:
        show(sheet.panels, sheet.theme)
    elif films:
        FILMS[look.suffix](turn(sheet, on_step), look.out)
    else:
        STILLS[look.suffix](sheet, look.out)
    if not films:
        on_step(1)
    records = [_record(shape) for shape in shapes]
    for record, sight in zip(records, seen, strict=False):
        record["predictions"] = _predictions(sight)
    return {"out": look.out, "sources": records}


def check_out(look: Look, suffixes: Iterable[str] = (*STILLS, *FILMS)) -> None:
    """Refuse what cannot be shown before any work is done: SpikeError."""
    if look.out is None:
        no_display()
    elif look.suffix not in suffixes:
        raise SpikeError(
            f"cannot write {look.out}: its suffix is {look.suffix!r}; "
            f"name a file that ends in one of {', '.join(suffixes)}"
        )


def needs_network(look: Look, what: str) -> Path:
    """Return the checkpoint that `what` is to be shown of; SpikeError where none is given."""
    if look.checkpoint is None:
        raise SpikeError(f"--show {what} needs a network; give one with --checkpoint RUN")
    return look.checkpoint


def sees_clouds(given: Path, model: str) -> None:
    """Refuse the network of a checkpoint that takes images or frames: SpikeError."""
    if model != "pointnet":
        raise SpikeError(f"{given} is a {model}, which sees no clouds; give a pointnet")


def refuse_unused(look: Look, *used: str) -> None:
    """Refuse what was asked for beside what every picture takes and `used`, by name: SpikeError."""
    plain = Look(look.sources, look.data_dir, look.out, timesteps=look.timesteps, theme=look.theme, seed=look.seed)
    for name in sorted({option.name for option in fields(Look)} - set(used)):
        if getattr(look, name) != getattr(plain, name):
            given = {"events": "an option of recordings", "clip": "an option of CLIP"}.get(name, f"--{name}")
            raise SpikeError(f"found {given}, which would change nothing of what is shown here; leave it out")


def _check_options(look: Look) -> None:
    if (look.events, look.clip) != (EventLook(), ClipLook()):
        raise SpikeError("found options of recordings and a cloud to show; leave them out, or give a recording")
    if look.color not in (None, *COLORS):
        raise SpikeError(f"found color {look.color!r}; wanted one of {', '.join(COLORS)}")
    if look.color in ("wins", "spikes") and not look.checkpoint:
        raise SpikeError(f"found --color {look.color} and no network to look into; add --checkpoint RUN")


def _expected(look: Look) -> tuple[int | None, tuple[str, ...]]:
    """Return how many points to show, and the classes: with a checkpoint, those that its network was trained with."""
    if not look.checkpoint:
        return look.points, ()
    from spikecli.weights import checkpoint as checkpoints

    found = checkpoints.load(checkpoints.resolve(look.checkpoint))
    sees_clouds(look.checkpoint, found.config.model.name)
    return look.points or found.config.points, found.classnames


def _ask(look: Look, shape: Shape, classnames: tuple[str, ...]) -> Seen:
    from spikecli.evaluation import evaluate
    from spikecli.weights import checkpoint as checkpoints

    path = checkpoints.resolve(look.checkpoint)
    chances = evaluate.predict_clouds(path, shape.points[None], look.timesteps, look.seed)[:, 0]
    wins = evaluate.critical_points(path, shape.points, look.timesteps, look.seed)
    spikes, neurons = None, 0
    if look.color == "spikes":
        spikes, neurons = evaluate.point_spikes(path, shape.points, look.timesteps, look.seed)
    return Seen(chances, wins, classnames, spikes, neurons)


def _record(shape: Shape) -> dict[str, Any]:
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    return {
        "name": shape.name,
        "label": shape.label or None,
        "points": len(shape.points),
        "extent": [float(size) for size in high - low],
    }


def _predictions(seen: Seen) -> list[dict[str, Any]]:
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
