"""Damage to pictures, seeded, in five severities; of the kinds of ImageNet-C (1903.12261), at levels of our own."""

from __future__ import annotations

import numpy as np

from spikecli.datasets.corrupt import Corruption, Generator

Image = np.ndarray  # uint8 (3, H, W)
_GRAY = 128


def add_noise(image: Image, deviation: float, rng: Generator) -> Image:
    """Return the picture with noise N(0, σ²) on each value, σ a share of white."""
    return _as_pixels(image + 255 * deviation * rng.standard_normal(image.shape))


def blur(image: Image, deviation: float, rng: Generator) -> Image:
    """Return the picture under a Gaussian of a deviation in pixels; its border is mirrored."""
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    soft = image.astype(np.float64)
    for axis in (1, 2):
        border = [(0, 0), (0, 0), (0, 0)]
        border[axis] = (reach, reach)
        wide = np.pad(soft, border, "symmetric")
        soft = np.tensordot(np.lib.stride_tricks.sliding_window_view(wide, len(weights), axis), weights, 1)
    return _as_pixels(soft)


def dim(image: Image, share: float, rng: Generator) -> Image:
    """Return the picture without a share of its brightness."""
    return _as_pixels(image * (1 - share))


def flatten(image: Image, share: float, rng: Generator) -> Image:
    """Return the picture without a share of its contrast about its mean."""
    mean = image.mean()
    return _as_pixels(mean + (image - mean) * (1 - share))


def cover(image: Image, share: float, rng: Generator) -> Image:
    """Return the picture with a gray rectangle of a share of its height and width at a random place."""
    height, width = image.shape[-2:]
    tall, wide = max(1, round(share * height)), max(1, round(share * width))
    y, x = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    covered = image.copy()
    covered[:, y : y + tall, x : x + wide] = _GRAY
    return covered


def _as_pixels(values: np.ndarray) -> Image:
    return np.rint(values).clip(0, 255).astype(np.uint8)


IMAGE_CORRUPTIONS: dict[str, Corruption] = {
    "pixel-noise": Corruption(add_noise, (0.04, 0.08, 0.12, 0.18, 0.26), "deviation, as a share of white"),
    "blur": Corruption(blur, (0.5, 0.75, 1.0, 1.5, 2.0), "deviation in pixels"),
    "dimmed": Corruption(dim, (0.15, 0.3, 0.45, 0.6, 0.75), "share of the brightness"),
    "low-contrast": Corruption(flatten, (0.25, 0.5, 0.65, 0.8, 0.9), "share of the contrast"),
    "covered": Corruption(cover, (0.2, 0.3, 0.4, 0.5, 0.6), "share of height and width"),
}


def corrupt_images(images: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return damaged pictures (S, 3, H, W) uint8; the place of each in the split seeds its random draws."""
    kind = IMAGE_CORRUPTIONS[name]
    return np.stack([kind.applied(image, severity, seed, index, *name.encode()) for index, image in enumerate(images)])
