"""Saving a figure by its ending, with title and caption: .png in pixels, .svg and .pdf as curves and text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError
from spikecli.files.atomic import atomic_path, demand_place
from spikecli.view.drawing.canvas import Sheet, pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

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
    save_figure(sheet.figure(), path, title_of(sheet), sheet.caption)


def title_of(sheet: Sheet) -> str:
    """Return the headings of all panels, in their order."""
    return " · ".join(panel.title for panel in sheet.panels if panel.title)


def save_figure(figure: Figure, path: Path, title: str = "", caption: str = "") -> None:
    """Write a figure as a picture, by the ending of `path`; dots of clouds are pixels in every one."""
    from matplotlib import rc_context

    kind = path.suffix.lower()
    if kind == ".png":
        save_png(pixels(figure, DOTS), path, title, caption)
        return
    words = {"Title": title, "Description" if kind == ".svg" else "Subject": caption}
    about = _SAME[kind] | {name: text for name, text in words.items() if text}
    with atomic_path(path) as temporary, rc_context(STYLE):
        figure.savefig(temporary, format=kind[1:], dpi=DOTS, metadata=about, facecolor=figure.get_facecolor())


def save_png(image: Image, path: Path, title: str, caption: str = "") -> None:
    """Write an image as a PNG whose metadata hold title and caption: who finds the file knows what it shows."""
    from PIL.PngImagePlugin import PngInfo

    words = PngInfo()
    for name, text in (("Title", title), ("Description", caption), ("Software", "spikecli")):
        if text:
            words.add_itxt(name, text)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True, pnginfo=words)
