"""A film of a recording: events that fade out, above the event rate with the current time marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.area import Area, framed
from spikecli.view.drawing.canvas import pixels
from spikecli.view.drawing.chart import blank
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.picture import draw_rates
from spikecli.view.recordings.take import NamedRecording

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

FADE = 30.0  # ms of the recording after which an event has faded to 1/e
WIDTH = 4.8  # inches
MARGIN = 0.15
HEAD = 0.62
FOOT = 1.5  # of the rate and the caption
DOTS = 100  # pixels an inch


def surfaces(take: NamedRecording, frames: int) -> Iterator[np.ndarray]:
    """Yield for each frame the events (2, H, W) since the frame before, plus older ones that have not faded out."""
    width, height = take.recording.width, take.recording.height
    events, step = take.recording.events, take.duration / frames
    ends = np.searchsorted(take.ms, np.arange(1, frames) * step, side="right")
    surface = np.zeros((2, height, width))
    for part in np.split(events, ends):
        place = (part["p"].astype(np.int64) * height + part["y"]) * width + part["x"]
        surface = surface * np.exp(-step / FADE) + np.bincount(place, minlength=surface.size).reshape(surface.shape)
        yield surface


class EventFilm:
    """The frames of one recording, drawn one after the other on one figure."""

    def __init__(self, take: NamedRecording, frames: int, speed: float, theme: Theme) -> None:
        self.take, self.frames, self.theme = take, frames, theme
        self.busiest = max(surfaces(take, frames), key=lambda surface: float(surface.sum()))
        self.full = full_count(self.busiest)
        pace = "real time" if speed == 1 else f"{speed:g} × real time"
        self.caption = f"{pace} · an event fades to 1/e in {FADE:g} ms"
        self.figure, self.image, self.cursor, self.clock = self._begun()

    def _begun(self) -> tuple[Figure, Any, Any, Any]:
        take, theme = self.take, self.theme
        wide = WIDTH - 2 * MARGIN
        tall = wide * take.recording.height / take.recording.width
        height = HEAD + tall + FOOT
        figure = blank(height, theme, WIDTH)
        area = Area(figure, WIDTH, height)
        style: dict[str, Any] = {"color": theme.ink, "va": "top"}
        area.text(MARGIN, height - 0.12, take.title, fontsize=12, fontweight="bold", **style)
        clock = area.text(WIDTH - MARGIN, height - 0.12, "", fontsize=12, ha="right", **style)
        area.text(MARGIN, height - 0.37, take.facts, fontsize=min(8.0, wide * 72 / (0.58 * len(take.facts))), **style)
        axes = area.axes(MARGIN, FOOT, wide, tall)
        image = axes.imshow(np.zeros((1, 1, 3)), interpolation="nearest", aspect="auto")
        framed(axes, theme)
        below = area.axes(0.6, 0.62, WIDTH - 0.6 - MARGIN, FOOT - 0.75)
        draw_rates(below, take, np.empty(0), theme, "")
        cursor = below.axvline(0, color=theme.ink, linewidth=1.2)
        area.text(WIDTH / 2, 0.07, self.caption, fontsize=7.5, ha="center", alpha=0.75, **{**style, "va": "bottom"})
        return figure, image, cursor, clock

    def draw(self, surface: np.ndarray, moment: float) -> Image:
        """Return the picture of `surface`, which ends at `moment` ms."""
        self.image.set(data=colored(surface, self.full, self.theme), extent=(0, 1, 0, 1))
        self.cursor.set_xdata([moment, moment])
        self.clock.set_text(f"{moment:,.0f} ms" if self.take.duration > 100 else f"{moment:,.1f} ms")
        return pixels(self.figure, DOTS)

    def sample(self) -> Image:
        """Return the picture with the most events, whose colors the film uses."""
        return self.draw(self.busiest, self.take.duration / 2)

    def images(self, on_frame: Callable[[int], None]) -> Iterator[Image]:
        """Yield the frames; `on_frame` is called for each."""
        step = self.take.duration / self.frames
        for index, surface in enumerate(surfaces(self.take, self.frames)):
            yield self.draw(surface, (index + 1) * step)
            on_frame(1)
