"""From sources to a picture, a film, a page or a window: the flow of `spikecli view`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.datasets.events.frames import SLICINGS, Slicing
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError, named
from spikecli.files.extras import demand
from spikecli.view.drawing.film import AZIMUTHS, FILMS, encoders
from spikecli.view.drawing.picture import PICTURES, check_picture
from spikecli.view.drawing.window import no_display

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained

OnStep = Callable[[int], None]


MOST_FRAMES = 1500  # of a film: a GIF is put together in memory


@dataclass(frozen=True)
class EventLook:
    """Options of slices and films: `speed` 1 is real time, 0.1 ten times slower; `fps` is frames a second."""

    slicing: str = "count"
    speed: float = 1.0
    fps: int = 20

    def slices(self, timesteps: int) -> Slicing:
        """Return the slicing of the events; raise SpikeError for an unknown slicing."""
        if self.slicing not in SLICINGS:
            raise SpikeError(f"found slicing {self.slicing!r}; wanted one of {', '.join(SLICINGS)}")
        return SLICINGS[self.slicing](timesteps)

    def frames(self, name: str, duration: float) -> int:
        """Return the number of frames of a film of `duration` ms; raise SpikeError if there are too few or too many."""
        count = round(duration / 1000 / self.speed * self.fps)
        if count < 2:
            raise SpikeError(
                f"{name} lasts {duration:g} ms, at speed {self.speed:g} and {self.fps} frames a second a film of "
                f"{max(count, 1)} frame; wanted at least 2; lower {named('speed')}, or name a .png"
            )
        if count > MOST_FRAMES:
            raise SpikeError(
                f"{name} lasts {duration / 1000:,.1f} s, at speed {self.speed:g} and {self.fps} frames a second a film "
                f"of {count:,} frames; wanted at most {MOST_FRAMES:,}; raise {named('speed')} or lower {named('fps')}"
            )
        return count


@dataclass(frozen=True)
class ClipLook:
    """Options of CLIP for recordings: the model, the style of pictures, and the classes to choose from."""

    image_preset: str = "gray"
    normalization: str = "clip"
    clip: str | None = None
    weights: str | None = None
    quick_gelu: bool | None = None
    classes: str | None = None
    templates: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Look:
    """All options of a view; `out` None is a window, `checkpoint` None shows plain data."""

    sources: tuple[str, ...]
    data_dir: Path
    out: Path | None = None
    checkpoint: Trained | None = None
    timesteps: int = 4
    points: int | None = None
    theme: str = "light"
    seed: int = 0
    color: str | None = None
    events: EventLook = field(default_factory=EventLook)
    clip: ClipLook = field(default_factory=ClipLook)
    split: str = "test"  # that runs are evaluated on
    runs: int = 3  # seeds of the perturbation, in the evaluation of runs
    against: Trained | None = None  # a second network
    reading: ReadOptions = AS_FOUND

    @property
    def suffix(self) -> str:
        return self.out.suffix.lower() if self.out else ""

    @property
    def work(self) -> int:
        """The number of steps that `look_at_points` reports; other views report theirs when known."""
        return len(self.sources) * (2 if self.checkpoint else 1) + (len(AZIMUTHS) if self.suffix in FILMS else 1)


def check_out(look: Look, suffixes: Iterable[str] | None = None) -> None:
    """Raise SpikeError, before any work, for an output that is not possible, or whose packages are not installed.

    `suffixes` are those of a report; None is a view of data, which can also be a film or a page that turns.
    """
    if look.out is None:
        no_display()
        demand("matplotlib", "open3d", what="a window")
        return
    check_picture(look.out, (*PICTURES, ".html", *FILMS) if suffixes is None else suffixes)
    turns = ("plotly",) if suffixes is None and look.suffix == ".html" else ()
    demand("matplotlib", *turns, *encoders(look.suffix), what=f"a picture in {look.suffix}")


def refuse_unused(look: Look, *used: str) -> None:
    """Raise SpikeError for any option that this picture ignores; `used` names those it reads."""
    plain = Look(look.sources, look.data_dir, look.out, timesteps=look.timesteps, theme=look.theme, seed=look.seed)
    for name in sorted({option.name for option in fields(Look)} - set(used)):
        if getattr(look, name) != getattr(plain, name):
            words = {
                "events": "an option of recordings",
                "clip": "an option of CLIP",
                "reading": "an option of how files are read",
            }
            given = words.get(name, named(name))
            raise SpikeError(f"found {given}, which has no effect on this picture; remove it")
