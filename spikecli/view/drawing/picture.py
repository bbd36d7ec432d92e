"""Saving a figure by its ending: .png in pixels, .svg and .pdf as curves and text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError
from spikecli.files.atomic import atomic_path, demand_place
from spikecli.view.drawing.canvas import Sheet, pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 200  # pixels an inch of a still picture: sharp on a dense screen
PICTURES = (".png", ".svg", ".pdf")
# Nothing in a file depends on when it was made: the same figure is the same file.
_SAME = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
STYLE: Any = {"svg.hashsalt": "spikecli", "pdf.fonttype": 42}  # 42: letters that a journal's tools can select


def check_picture(path: Path | None, endings: Iterable[str] = PICTURES) -> None:
    """Raise SpikeError unless `path` is None, or its ending is that of a picture and it can be written there."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise SpikeError(
            f"cannot write {path}: its suffix is {path.suffix!r}; name a file that ends in one of {', '.join(endings)}"
        )
    demand_place(path)


def save_picture(sheet: Sheet, path: Path) -> None:
    """Write the sheet as a picture, by the ending of `path`."""
    save_figure(sheet.figure(), path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a picture, by the ending of `path`; dots of clouds are pixels in every one."""
    from matplotlib import rc_context

    kind = path.suffix.lower()
    with atomic_path(path) as temporary:
        if kind == ".png":
            pixels(figure, DOTS).save(temporary, format="PNG", optimize=True)
            return
        with rc_context(STYLE):
            figure.savefig(temporary, format=kind[1:], dpi=DOTS, metadata=_SAME[kind], facecolor=figure.get_facecolor())
