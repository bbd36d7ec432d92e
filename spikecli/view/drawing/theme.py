"""The two themes of all pictures and pages, and the colors of classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Background, ink, and the part of a color map that contrasts with the background."""

    paper: str
    ink: str
    faint: str
    low: float
    high: float
    darker: str  # polarity 0 of an event; color-blind people can distinguish blue and orange
    brighter: str  # polarity 1
    classes: tuple[str, ...]  # after Paul Tol's sets for color-blind readers: pale under dark ink, deep under light ink


_PALE = "#77aadd #ee8866 #eedd88 #ffaabb #99ddff #44bb99 #bbcc33 #aaaa00 #cc99bb #ccbb99"
_DEEP = "#2f5f96 #9c4a2c #7a6a1f #8f4658 #2b6f8f #1f7259 #5f6d14 #5c5c00 #75486a #6b5c3f"

THEMES = {
    "light": Theme(
        "#ffffff", "#1f2328", "#c3c9d1", low=0.0, high=0.86, darker="#0a5ea8", brighter="#e0660d",
        classes=tuple(_PALE.split()),
    ),
    "dark": Theme(
        "#0d1117", "#e6edf3", "#3d4652", low=0.16, high=1.0, darker="#4ea8f0", brighter="#ff9d3c",
        classes=tuple(_DEEP.split()),
    ),
}  # fmt: skip


def class_color(theme: Theme, place: int) -> str:
    """Return the color of the class at that place among the classes of a data set; it is the same in all pictures."""
    return theme.classes[place % len(theme.classes)]
