"""A figure measured in inches from its lower left corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from spikecli.view.drawing.theme import Theme

SWATCH = 0.1  # the side of the square that shows a class's color


@dataclass(frozen=True)
class Area:
    """A figure measured in inches from its lower left corner."""

    figure: Figure
    width: float
    height: float

    def axes(self, x: float, y: float, w: float, h: float, **how: Any) -> Any:
        """Return new axes in the box."""
        if how.get("projection") == "3d":
            import mpl_toolkits.mplot3d  # noqa: F401  (registers the projection)
        box = (x / self.width, y / self.height, w / self.width, h / self.height)
        return self.figure.add_axes(box, facecolor="none", **how)

    def text(self, x: float, y: float, words: str, **how: Any) -> Text:
        """Write `words` at the place and return the text object."""
        return self.figure.text(x / self.width, y / self.height, words, **how)

    def swatch(self, x: float, y: float, color: str) -> None:
        """Draw a small square of a class's color, its left edge at x, its middle at y."""
        axes = self.axes(x, y - SWATCH / 2, SWATCH, SWATCH)
        axes.set(xticks=[], yticks=[], facecolor=color)
        for spine in axes.spines.values():
            spine.set_visible(False)


def framed(axes: Axes, theme: Theme) -> None:
    """Give axes only a thin frame."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=theme.faint, linewidth=0.6)
