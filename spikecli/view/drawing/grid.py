"""Small pictures in rows, each below its title and a note."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.area import Area, framed
from spikecli.view.drawing.chart import blank
from spikecli.view.drawing.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD, MARGIN = 0.48, 0.08  # inches: above a picture, around it


def grid(pictures: Sequence[tuple[str, str, np.ndarray]], theme: Theme, columns: int, width: float) -> Figure:
    """Return a figure, `width` inches wide, of pictures (H, W, 3), each with its title and note, in `columns`."""
    side = width / columns
    inner = side - 2 * MARGIN
    tall = max(inner * picture.shape[0] / picture.shape[1] for _, _, picture in pictures)
    row = HEAD + tall + MARGIN
    height = -(-len(pictures) // columns) * row + MARGIN
    figure = blank(height, theme, width)
    area = Area(figure, width, height)
    style: dict[str, Any] = {"ha": "center", "va": "top", "color": theme.ink}
    for index, (title, note, picture) in enumerate(pictures):
        down, across = divmod(index, columns)
        left, top = across * side, height - down * row
        size = min(10.0, side * 72 / (0.66 * max(len(title), 1)))
        area.text(left + side / 2, top - 0.1, title, fontsize=size, fontweight="bold", **style)
        area.text(left + side / 2, top - 0.29, note, fontsize=min(8.0, size), alpha=0.8, **style)
        own = inner * picture.shape[0] / picture.shape[1]
        axes = area.axes(left + MARGIN, top - HEAD - own, inner, own)
        axes.imshow(picture, interpolation="nearest" if picture.shape[1] < 100 else "antialiased", aspect="auto")
        framed(axes, theme)
    return figure
