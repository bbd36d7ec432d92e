"""The parts of a report: sections with a chart, a table or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spikecli.view.drawing.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading; `differing` rows, by number, are highlighted."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    differing: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """One part of a report: a figure, a table for the page, or both.

    `flat` figures have too many dots for SVG; a `headed` one has its heading and note above it in a picture too.
    """

    heading: str
    note: str = ""
    figure: Figure | None = None
    table: Table | None = None
    flat: bool = False
    headed: bool = False


@dataclass(frozen=True)
class Report:
    """The sections of a report, from top to bottom."""

    title: str
    subtitle: str
    theme: Theme
    sections: Sequence[Section] = field(default_factory=tuple)
