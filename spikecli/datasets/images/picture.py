"""Pictures in files of their own."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from spikecli.datasets.upright import upright
from spikecli.errors import SpikeError
from spikecli.files.gate import reading

_MOST_PIXELS = 1 << 26  # 200 MB as colors; a small file may claim any number


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of the picture in a file; raise SpikeError if it cannot be read."""
    _, height, width = read_picture(path, None).shape
    return width, height


def read_picture(path: Path, size: tuple[int, int] | None, fit: str = "squeeze") -> np.ndarray:
    """Return the picture in a file as (3, H, W) uint8, scaled to `size` (None: its own size).

    A picture of another shape is squeezed; with `fit` crop, only its middle is taken. A photograph stands as its camera
    was held. Raise SpikeError if it cannot be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    cure = "give a .png or .jpg"
    with reading(path, cure, Image.DecompressionBombError), warnings.catch_warnings(action="ignore"):
        try:
            picture = Image.open(path)
        except UnidentifiedImageError:
            raise SpikeError(f"{path} is no picture that can be read here; {cure}") from None
        with picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise SpikeError(f"{path} claims {picture.width} x {picture.height} pixels; wanted fewer; {cure}")
            colors = upright(picture)
            if size is not None:
                wanted, how = (size[1], size[0]), Image.Resampling.BILINEAR
                colors = ImageOps.fit(colors, wanted, how) if fit == "crop" else colors.resize(wanted, how)
            pixels = np.asarray(colors)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
