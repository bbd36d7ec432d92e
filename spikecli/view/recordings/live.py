"""A film of a stream: the events of each window, with the answer above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
    from PIL import Image as images
    from PIL import ImageDraw, ImageFont

    full = max(full_count(counts) for counts, _ in windows)
    height, width = windows[0][0].shape[1:]
    tall = 2 * round(SIDE * height / width / 2)
    font = ImageFont.load_default(18)
    for counts, text in windows:
        picture = images.fromarray((255 * colored(counts, full, theme)).round().clip(0, 255).astype(np.uint8))
        whole = images.new("RGB", (SIDE, tall + HEAD), theme.paper)
        whole.paste(picture.resize((SIDE, tall), images.Resampling.NEAREST), (0, HEAD))
        ImageDraw.Draw(whole).text((10, 5), text, fill=theme.ink, font=font)
        yield whole
