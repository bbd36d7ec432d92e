"""Pictures of a user's own, a folder a class, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def pictures(
    folder: Path, classes: Sequence[str], number: int, size: tuple[int, int], rng: np.random.Generator
) -> Path:
    """Write `number` random pictures (height, width) of each class into the folder of its name."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
