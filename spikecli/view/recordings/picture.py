"""A still picture of a recording: its slices in a strip, its rate over time, and its events in x, y and t."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.datasets.events.frames import Slicing, to_frames
from spikecli.view.drawing.area import Area, framed
from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import blank
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.take import NamedRecording, rates, thin_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.12  # inches
HEAD = 0.62  # above the frames of a recording: its name and facts
LABEL = 0.2  # above a frame: its time
BODY = 2.42  # of the rate and the cloud
ALONE = 6  # frames in a row of a single recording before a second row is begun
MOST_EVENTS = 30_000  # drawn in the cloud


@dataclass(frozen=True)
class Strip:
    """The slices of a recording: colors (T, H, W, 3) in 0…1, and the `edges` (T + 1,) in ms where each begins."""

    images: np.ndarray
    edges: np.ndarray


def strip_of(take: NamedRecording, slicing: Slicing, theme: Theme) -> Strip:
    """Return the slices of a recording in color; raise SpikeError if it has fewer events than slices."""
    counts = to_frames(take.recording, slicing)
    place = slicing.assign(take.recording.events["t"])
    starts = take.ms[np.minimum(np.searchsorted(place, np.arange(slicing.timesteps)), len(place) - 1)]
    return Strip(colored(counts, full_count(counts), theme), np.append(starts, take.duration))


class EventSheet:
    """Recordings one below the other, each with its strip, its rate and its cloud."""

    def __init__(self, takes: Sequence[NamedRecording], slicing: Slicing, theme: Theme, seed: int) -> None:
        self.takes, self.theme, self.seed = takes, theme, seed
        self.strips = [strip_of(take, slicing, theme) for take in takes]
        rows = 2 if len(takes) == 1 and slicing.timesteps > ALONE else 1
        self.columns = min(-(-slicing.timesteps // rows), 12)
        self.cell = (WIDTH - MARGIN) / self.columns - MARGIN / 2

    def figure(self) -> Figure:
        """Return the figure."""
        heights = [self._height(take) for take in self.takes]
        figure = blank(sum(heights), self.theme)
        top = sum(heights)
        for take, strip, height in zip(self.takes, self.strips, heights, strict=True):
            self._draw(Area(figure, WIDTH, sum(heights)), take, strip, top)
            top -= height
        return figure

    def _tall(self, take: NamedRecording) -> float:
        return self.cell * take.recording.height / take.recording.width

    def _height(self, take: NamedRecording) -> float:
        rows = -(-len(self.strips[0].images) // self.columns)
        return HEAD + rows * (self._tall(take) + LABEL + 0.04) + BODY + 0.1

    def _draw(self, area: Area, take: NamedRecording, strip: Strip, top: float) -> None:
        style: dict[str, Any] = {"color": self.theme.ink, "va": "top"}
        area.text(MARGIN, top - 0.12, take.title, fontsize=12, fontweight="bold", **style)
        area.text(MARGIN, top - 0.36, take.facts, fontsize=8, alpha=0.8, **style)
        tall = self._tall(take)
        for index, image in enumerate(strip.images):
            row, column = divmod(index, self.columns)
            left = MARGIN + column * (self.cell + MARGIN / 2)
            high = top - HEAD - row * (tall + LABEL + 0.04)
            span = f"{strip.edges[index]:,.0f}–{strip.edges[index + 1]:,.0f} ms"
            area.text(left + self.cell / 2, high - 0.04, span, fontsize=7.5, ha="center", **style)
            axes = area.axes(left, high - LABEL - tall, self.cell, tall)
            axes.imshow(image, interpolation="nearest" if image.shape[1] < 100 else "antialiased", aspect="auto")
            framed(axes, self.theme)
        bottom = top - self._height(take)
        axes = area.axes(0.62, bottom + 0.5, 3.3, BODY - 0.9)
        draw_rates(axes, take, strip.edges, self.theme, "event rate (bands: the slices above)")
        self._draw_cloud(area, take, bottom)

    def _draw_cloud(self, area: Area, take: NamedRecording, bottom: float) -> None:
        kept = thin_events(take, MOST_EVENTS, self.seed)
        title = "events in space and time"
        if len(kept) < len(take.recording):
            title += f" ({len(kept):,} of {len(take.recording):,}, at random)"
        axes = area.axes(4.1, bottom + 0.06, 4.4, BODY - 0.3, projection="3d")
        draw_events(axes, take, kept, self.theme)
        area.text(6.3, bottom + BODY - 0.31, title, fontsize=8, ha="center", color=self.theme.ink)


def draw_rates(axes: Axes, take: NamedRecording, edges: np.ndarray, theme: Theme, title: str) -> None:
    """Draw the rate over time, brighter events upward and darker ones downward, with the slices as bands."""
    bins, (darker, brighter) = rates(take)
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        axes.axvspan(start, end, color=theme.faint, alpha=0.22, linewidth=0)
    for rate, color in ((brighter, theme.brighter), (-darker, theme.darker)):
        axes.stairs(rate, bins, fill=True, color=color, linewidth=0)
    axes.axhline(0, color=theme.paper, linewidth=0.8)
    most = max(float(brighter.max()), float(darker.max())) * 1.3
    axes.set(xlim=(0, bins[-1]), ylim=(-most, most))
    axes.yaxis.set_major_formatter(lambda value, place: f"{abs(value):g}")
    for words, color, high in (("brighter", theme.brighter, 0.96), ("darker", theme.darker, 0.04)):
        where: dict[str, Any] = {"transform": axes.transAxes, "va": "top" if high > 0.5 else "bottom", "ha": "right"}
        axes.text(0.985, high, words, color=color, fontsize=8, fontweight="bold", **where)
    axes.set_title(title, fontsize=8, color=theme.ink)
    axes.set_xlabel("time, ms", fontsize=8, color=theme.ink)
    axes.set_ylabel("events a ms", fontsize=8, color=theme.ink)
    plain_axes(axes, theme)


def plain_axes(axes: Axes, theme: Theme) -> None:
    """Give axes small ticks in the theme's ink and a frame of only the left and lower line."""
    axes.tick_params(colors=theme.ink, labelsize=7.5, length=2.5, width=0.6)
    for side, spine in axes.spines.items():
        spine.set(color=theme.faint, linewidth=0.6, visible=side in ("left", "bottom"))


def draw_events(axes: Any, take: NamedRecording, kept: np.ndarray, theme: Theme) -> None:
    """Draw the events `kept` with time to the right, x into the depth and y downward."""
    from matplotlib.colors import to_rgb
    from matplotlib.ticker import MaxNLocator

    events, ms = take.recording.events[kept], take.ms[kept]
    width, height = take.recording.width, take.recording.height
    colors = np.where(events["p"][:, None] == 1, to_rgb(theme.brighter), to_rgb(theme.darker))
    style = {
        "s": max(0.4, 6000 / max(len(kept), 600)),
        "linewidths": 0,
        "alpha": 0.6,
        "depthshade": False,
        "rasterized": True,
    }
    axes.scatter(ms, events["x"], events["y"], c=colors, **style)
    tall = max(width, height)
    axes.set_box_aspect((2.5, width / tall, height / tall), zoom=1.42)
    axes.view_init(elev=16, azim=-64)
    axes.set(xlim=(0, max(take.duration, 1e-3)), ylim=(0, width), zlim=(height, 0))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set(yticks=[0, width // 2], zticks=[0, height])
    named = ((axes.xaxis, "time, ms", -5.0), (axes.yaxis, "x, pixels", -9.0), (axes.zaxis, "y, pixels", -11.0))
    for axis, words, pad in named:
        axis.set_label_text(words, fontsize=7.5, color=theme.ink)
        axis.labelpad = pad
        axis.set_tick_params(colors=theme.ink, labelsize=7, pad=-3.5)
        axis.set_pane_color((*to_rgb(theme.paper), 0.0))
        axis.line.set_color(theme.faint)
        axis._axinfo["grid"].update(color=(*to_rgb(theme.faint), 0.6), linewidth=0.5)
        axis._axinfo["tick"].update(inward_factor=0.0, outward_factor=0.0)
