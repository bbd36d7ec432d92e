"""Pictures of a stream, the events of each window with the answer above: a film of them, or a window that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError, named
from spikecli.view.drawing.film import FILMS
from spikecli.view.drawing.theme import THEMES, Theme
from spikecli.view.recordings.colors import colored, full_count

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 480  # pixels of the picture's width
HEAD = 32  # pixels of the line above
RATE = 10.0  # frames a second


def save_live(path: Path, windows: Sequence[tuple[np.ndarray, str]], rate: float = RATE) -> None:
    """Write a .gif or .mp4 of windows, counts (2, H, W) with a line of text each; raise SpikeError if that fails."""
    FILMS[path.suffix](live_images(windows, THEMES["light"]), path, rate)


def live_images(windows: Sequence[tuple[np.ndarray, str]], theme: Theme) -> Iterator[Image]:
    """Yield a picture a window, all of one size with even sides, as films need them."""
    full = max(full_count(counts) for counts, _ in windows)
    for counts, text in windows:
        yield live_image(counts, text, full, theme)


def live_image(counts: np.ndarray, text: str, full: float, theme: Theme) -> Image:
    """Return the picture of counts (2, H, W) under a line of text; a count of `full` gets the full color."""
    from PIL import Image as images
    from PIL import ImageDraw, ImageFont

    height, width = counts.shape[1:]
    tall = 2 * round(SIDE * height / width / 2)
    picture = images.fromarray((255 * colored(counts, full, theme)).round().clip(0, 255).astype(np.uint8))
    whole = images.new("RGB", (SIDE, tall + HEAD), theme.paper)
    whole.paste(picture.resize((SIDE, tall), images.Resampling.NEAREST), (0, HEAD))
    ImageDraw.Draw(whole).text((10, 5), text, fill=theme.ink, font=ImageFont.load_default(18))
    return whole


@contextmanager
def live_window(title: str) -> Iterator[Callable[[np.ndarray, str], bool]]:
    """Yield a function that shows counts (2, H, W) and a text in a window, and returns False once that is closed.

    Raise SpikeError if no window can be opened.
    """
    try:
        import tkinter

        from PIL import ImageTk
    except ImportError as error:
        raise SpikeError(f"found no tkinter ({error}); install python3-tk, or leave out {named('picture')}") from error
    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise SpikeError(
            f"cannot open a window: {error}; leave out {named('picture')}, or give {named('record')}"
        ) from error
    root.title(title)
    label, closed, full = tkinter.Label(root), [], 1.0
    label.pack()
    root.protocol("WM_DELETE_WINDOW", lambda: closed.append(True))

    def show(counts: np.ndarray, text: str) -> bool:
        nonlocal full
        full = max(full_count(counts), 0.9 * full)  # follows the brightest window of late
        image: Any = ImageTk.PhotoImage(live_image(counts, text, full, THEMES["light"]), master=root)
        label.configure(image=image)
        setattr(label, "picture", image)  # noqa: B010  (tkinter keeps no reference to it)
        root.update()
        return not closed

    try:
        yield show
    finally:
        root.destroy()
