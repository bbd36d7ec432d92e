"""Pictures of any kind as colors of 8 bits, the right way up: for pictures of classes, and frames of films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


def upright(picture: Image) -> Image:
    """Return a picture in colors of 8 bits, turned as its note of the camera's orientation says."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits of gray, of which PIL would make white all above the lowest 255
        picture = Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
    return picture.convert("RGB")
