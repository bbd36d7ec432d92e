"""Drawing of points: a perspective camera, colors that color-blind people can distinguish, panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.theme import Theme, class_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

DISTANCE = 4.0  # of the camera from the axis, in radii of the cloud: mild perspective
ELEVATION = 22.0  # degrees above the horizon
AZIMUTH = -55.0  # degrees; a turntable starts here
FOG = 0.55  # share of the paper's color in a point that is DEPTH farther than the nearest
DEPTH = 0.42  # in nearness: what a ball spans is 0.53
WIDTH = 8.6  # inches of a row of panels: 860 pixels on a page


@dataclass(frozen=True)
class Bar:
    """One class below a cloud: its label, its share in 0…1, and its place among the network's classes."""

    label: str
    share: float
    place: int


@dataclass(frozen=True)
class Ramp:
    """The key of a scale of colors: the color map, and words for its two ends."""

    colormap: str
    low: str
    high: str


@dataclass(frozen=True)
class Panel:
    """One cloud to draw: points (N, 3), z up, and values (N,) in 0…1 that select its colors."""

    points: np.ndarray
    values: np.ndarray
    title: str
    note: str = ""
    colormap: str = "viridis"
    muted: np.ndarray | None = None  # (N,) bool: small, gray and behind the others, whose size follows their value
    bars: tuple[Bar, ...] = ()  # drawn below the cloud
    colors: np.ndarray | None = None  # (N, 3) in 0…1, instead of those that the values choose


def project(points: np.ndarray, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """Return screen positions (N, 2), right and up, and nearness (N,), 1 at the center, of points (N, 3) with z up.

    The unit is the distance of the farthest point from the middle of the bounding box.
    """
    centered = points - (points.max(axis=0) + points.min(axis=0)) / 2
    centered = centered / max(float(np.linalg.norm(centered, axis=1).max()), 1e-12)
    turn, tilt = np.radians(azimuth), np.radians(ELEVATION)
    right = centered @ np.array([-np.sin(turn), np.cos(turn), 0.0])
    toward = centered @ np.array([np.cos(turn), np.sin(turn), 0.0])
    up = centered[:, 2] * np.cos(tilt) - toward * np.sin(tilt)
    near = DISTANCE / (DISTANCE - toward * np.cos(tilt) - centered[:, 2] * np.sin(tilt))
    return np.stack([right, up], axis=1) * near[:, None], near


def frame(panels: Sequence[Panel], azimuths: Sequence[float]) -> list[tuple[np.ndarray, float]]:
    """Return for each panel the center (2,) and the half width that contain its cloud from all `azimuths`."""
    frames = []
    for panel in panels:
        spots = np.concatenate([project(panel.points, azimuth)[0] for azimuth in azimuths])
        low, high = spots.min(axis=0), spots.max(axis=0)
        frames.append(((low + high) / 2, max(float((high - low).max()) / 2 * 1.04, 1e-6)))
    return frames


def paint(panel: Panel, near: np.ndarray, theme: Theme) -> np.ndarray:
    """Return colors (N, 3) in 0…1: the value's color, blended into the background with distance."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    values = np.clip(panel.values, 0, 1)
    colors = panel.colors
    if colors is None:
        colors = colormaps[panel.colormap](theme.low + (theme.high - theme.low) * values)[:, :3]
    if panel.muted is not None:
        colors[panel.muted] = to_rgb(theme.faint)
    fog = FOG * np.clip((near.max() - near) / DEPTH, 0, 1)[:, None]
    return colors * (1 - fog) + np.array(to_rgb(theme.paper)) * fog


def _scatter(axes: Axes, panel: Panel, theme: Theme, azimuth: float, dot: float) -> None:
    spots, near = project(panel.points, azimuth)
    sizes = (dot * near**1.5) ** 2
    order = np.argsort(near, kind="stable")
    if panel.muted is not None:
        sizes *= np.where(panel.muted, 0.45, 0.9 + 1.3 * panel.values)
        order = order[np.argsort(~panel.muted[order], kind="stable")]
    colors = paint(panel, near, theme)
    axes.scatter(spots[order, 0], spots[order, 1], s=sizes[order], c=colors[order], linewidths=0, rasterized=True)


def draw_cloud(
    axes: Axes, panel: Panel, theme: Theme, azimuth: float, framed: tuple[np.ndarray, float], side: float
) -> None:
    """Draw a panel's cloud into square axes of `side` inches; `framed` is its result of `frame`."""
    middle, half = framed
    dot = float(np.clip(side * 72 * 0.62 / np.sqrt(len(panel.points)), 0.7, side * 3.6))
    _scatter(axes, panel, theme, azimuth, dot)
    half /= 1 - 1.5 * dot / (72 * side)  # the outermost dots stay whole
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes.set_axis_off()


class Sheet:
    """Panels in rows, with a caption; laid out once, drawn from any side, without a window."""

    def __init__(
        self,
        panels: Sequence[Panel],
        theme: Theme,
        columns: int,
        caption: str = "",
        azimuths: Sequence[float] = (AZIMUTH,),
        ramp: Ramp | None = None,
    ) -> None:
        self.panels, self.theme, self.caption, self.ramp = panels, theme, caption, ramp
        self.columns = min(columns, len(panels))
        self.rows = -(-len(panels) // self.columns)
        self.frames = frame(panels, azimuths)
        self.side = min(WIDTH / self.columns, 3.2)  # of a panel, inches
        self.head = 0.48
        self.foot = 0.58 if any(panel.bars for panel in panels) else 0.06
        self.base = 0.12 + 0.14 * len(caption.splitlines()) + (0.2 if ramp else 0.0) if caption else 0.0

    def figure(self, azimuth: float = AZIMUTH) -> Figure:
        """Return the figure as seen from `azimuth` degrees."""
        from matplotlib.figure import Figure

        row_height = self.head + self.side + self.foot
        width, height = self.columns * self.side, self.rows * row_height + self.base
        figure = Figure(figsize=(width, height), facecolor=self.theme.paper)
        for index, (panel, framed) in enumerate(zip(self.panels, self.frames, strict=True)):
            row, column = divmod(index, self.columns)
            left, top = column * self.side, height - row * row_height

            def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
                return x / width, y / height, w / width, h / height

            axes = figure.add_axes(box(left, top - self.head - self.side, self.side, self.side))
            draw_cloud(axes, panel, self.theme, azimuth, framed, self.side)
            self._write(figure, (left + self.side / 2) / width, top, height, panel)
            if panel.bars:
                bottom = top - row_height
                _draw_bars(figure.add_axes(box(left + 0.12, bottom + 0.08, self.side - 0.24, 0.5)), panel, self.theme)
        figure.text(
            0.5, 0.09 / height, self.caption, ha="center", va="bottom", color=self.theme.ink, fontsize=7.5, alpha=0.75
        )
        if self.ramp is not None and self.caption:
            self._draw_ramp(figure, self.ramp, width, height)
        return figure

    def _draw_ramp(self, figure: Figure, ramp: Ramp, width: float, height: float) -> None:
        """Draw the scale of colors above the caption, with words at its ends."""
        from matplotlib import colormaps

        bottom, long = (self.base - 0.14) / height, 1.3
        axes = figure.add_axes(((width - long) / 2 / width, bottom, long / width, 0.09 / height))
        stops = np.linspace(self.theme.low, self.theme.high, 128)[None]
        axes.imshow(stops, aspect="auto", cmap=colormaps[ramp.colormap], vmin=0, vmax=1)
        axes.set_axis_off()
        style: dict[str, Any] = {"color": self.theme.ink, "fontsize": 7.5, "va": "center", "y": bottom + 0.045 / height}
        figure.text((width - long) / 2 / width - 0.06 / width, s=ramp.low, ha="right", **style)
        figure.text((width + long) / 2 / width + 0.06 / width, s=ramp.high, ha="left", **style)

    def _write(self, figure: Figure, center: float, top: float, height: float, panel: Panel) -> None:
        style: dict[str, Any] = {"ha": "center", "va": "top", "color": self.theme.ink}
        size = min(10.0, self.side * 72 / (0.66 * max(len(panel.title), 1)))  # a bold letter is 0.66 of its size wide
        figure.text(center, (top - 0.12) / height, panel.title, fontsize=size, fontweight="bold", **style)
        figure.text(center, (top - 0.32) / height, panel.note, fontsize=8, alpha=0.8, **style)


def _draw_bars(axes: Axes, panel: Panel, theme: Theme) -> None:
    for place, bar in enumerate(panel.bars):
        axes.barh(-place, 1.0, height=0.8, color=theme.faint, alpha=0.3)
        axes.barh(-place, bar.share, height=0.8, color=class_color(theme, bar.place))
        axes.text(0.03, -place, bar.label, va="center_baseline", ha="left", fontsize=7.5, color=theme.ink)
        axes.text(0.97, -place, f"{bar.share:.0%}", va="center_baseline", ha="right", fontsize=7.5, color=theme.ink)
    axes.set(xlim=(0, 1), ylim=(-2.5, 0.5))
    axes.set_axis_off()


def pixels(figure: Figure, dots: int) -> Image:
    """Return the figure as an RGB image of `dots` pixels an inch; width and height are even, as films require."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dots)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
