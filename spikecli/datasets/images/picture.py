"""Pictures in files of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.errors import SpikeError


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of the picture in a file; raise SpikeError if it cannot be read."""
    _, height, width = read_picture(path, None).shape
    return width, height


def read_picture(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Return the picture in a file as (3, H, W) uint8, scaled to `size` (None: its own size).

    Raise SpikeError if it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            colors = picture.convert("RGB")
            if size is not None:
                colors = colors.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(colors)
    except UnidentifiedImageError:
        raise SpikeError(f"{path} is no picture that can be read here; give a .png or .jpg") from None
    except OSError as error:
        raise SpikeError(f"cannot read {path} ({error.strerror or error}); check the path") from None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
