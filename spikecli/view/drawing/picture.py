"""Saving a picture of panels."""

from __future__ import annotations

from pathlib import Path

from spikecli.files.atomic import atomic_path
from spikecli.view.drawing.canvas import Sheet, pixels

DOTS = 200  # pixels an inch of a still picture: sharp on a dense screen


def save_picture(sheet: Sheet, path: Path) -> None:
    """Write the sheet as a PNG."""
    image = pixels(sheet.figure(), DOTS)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)
