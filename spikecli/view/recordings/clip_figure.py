"""A row of CLIP's pictures with its predictions below, one column a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.drawing.area import Area, framed
from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import blank, shown_steps
from spikecli.view.drawing.theme import Theme, class_color
from spikecli.view.recordings.clip import ClipView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 10  # steps at most that are drawn, the last among them
FEWEST = 5  # columns for which there is room in any case
CLASSES = 5  # at most that are drawn: the most probable at the end, and the recording's own
NAMES = 1.2  # inches left of the steps, for the names of the rows
MARGIN = 0.12
HEAD = 0.84  # from the top to the pictures
GAP = 0.46  # from the pictures to the table: what each says alone
ROW = 0.24
FOOT = 0.36


def shown_classes(sight: ClipView) -> list[int]:
    """Return the classes to draw, the most probable after the last step first; the true class is always included."""
    order = np.argsort(-sight.so_far[-1], kind="stable").tolist()
    best = order[:CLASSES]
    own = [k for k in order if sight.classnames[k] == sight.take.label]
    return best if not own or own[0] in best else [*best[:-1], own[0]]


def clip_figure(sights: Sequence[ClipView], theme: Theme) -> Figure:
    """Return the figure of some recordings, one below the other."""
    cell = (WIDTH - NAMES - MARGIN) / max(min(len(sights[0].images), COLUMNS), FEWEST)
    heights = [HEAD + cell + GAP + len(shown_classes(sight)) * ROW + FOOT for sight in sights]
    figure = blank(sum(heights), theme)
    top = sum(heights)
    for sight, height in zip(sights, heights, strict=True):
        _Table(Area(figure, WIDTH, sum(heights)), sight, theme, cell).draw(top)
        top -= height
    return figure


@dataclass(frozen=True)
class _Table:
    area: Area
    sight: ClipView
    theme: Theme
    cell: float

    def draw(self, top: float) -> None:
        """Draw everything downward from `top` inches."""
        sight, low = self.sight, top - HEAD - self.cell
        self._say(MARGIN, top - 0.2, sight.take.title, fontsize=12, fontweight="bold")
        self._say(MARGIN, top - 0.42, f"{sight.take.facts}   |   {sight.clip}", fontsize=8, alpha=0.8)
        self._say(MARGIN, low + self.cell / 2, "what CLIP\nis given", fontsize=8)
        self._say(MARGIN, low - GAP / 2, "what it says of\nthis step alone", fontsize=8)
        for column, step in enumerate(shown_steps(len(sight.images), COLUMNS)):
            left = NAMES + column * self.cell
            alone, middle = sight.alone[step - 1], left + self.cell / 2
            self._say(middle, top - HEAD + 0.1, f"t = {step}", fontsize=8, ha="center")
            axes = self.area.axes(left + 0.02, low + 0.02, self.cell - 0.04, self.cell - 0.04)
            axes.imshow(np.moveaxis(sight.images[step - 1], 0, -1), interpolation="nearest", aspect="auto")
            framed(axes, self.theme)
            best = f"{sight.classnames[int(alone.argmax())]}\n{alone.max():.0%}"
            self._say(middle, low - GAP / 2, best, fontsize=self._fitting(best), ha="center")
        self._draw_shares(low - GAP)

    def _draw_shares(self, top: float) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        sight, classes = self.sight, shown_classes(self.sight)
        steps = [step - 1 for step in shown_steps(len(sight.images), COLUMNS)]
        shares = sight.so_far[np.ix_(steps, classes)].T
        tall = len(classes) * ROW
        axes = self.area.axes(NAMES, top - tall, self.cell * len(steps), tall)
        ramp = LinearSegmentedColormap.from_list("shares", [self.theme.paper, self.theme.darker])
        axes.pcolormesh(shares, cmap=ramp, vmin=0, vmax=1, edgecolors=self.theme.paper, linewidth=1.5)
        axes.set(xticks=[], yticks=[], ylim=(len(classes), 0), frame_on=False)
        for row, index in enumerate(classes):
            own = sight.classnames[index] == sight.take.label
            name = sight.classnames[index]
            style = {
                "fontsize": min(8.0, 80 / len(name) + 2),
                "fontweight": "bold" if own else "normal",
                "va": "center_baseline",
            }
            middle = top - (row + 0.5) * ROW
            self.area.swatch(MARGIN, middle, class_color(self.theme, index))
            self._say(MARGIN + 0.16, middle, name, **style)
            for column, share in enumerate(shares[row]):
                self._number(axes, column + 0.5, row + 0.5, float(share))
        words = "probability of each class from the steps so far, in %"
        words += " · bold: the recording's own class" if sight.take.label else ""
        self._say(NAMES, top - tall - 0.12, words, fontsize=7.5, alpha=0.75)

    def _number(self, axes: Axes, x: float, y: float, share: float) -> None:
        color = self.theme.paper if share > 0.55 else self.theme.ink
        axes.text(x, y, f"{share * 100:.0f}", fontsize=8, ha="center", va="center_baseline", color=color)

    def _say(self, x: float, y: float, words: str, **how: Any) -> None:
        self.area.text(x, y, words, **{"va": "center", "color": self.theme.ink, **how})

    def _fitting(self, words: str) -> float:
        return min(8.0, self.cell * 72 / (0.62 * max(map(len, words.splitlines()))))
