"""Augmentation of whole batches of event frames (B, T, 2, H, W) and of images (B, 3, H, W) uint8."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Batch = np.ndarray
FARTHEST = 5  # pixels that frames are rolled by, as released for DVS-CIFAR10, whose frames are of 48 x 48
SHIFTED = FARTHEST / 48  # of a side, that frames of any size are shifted by
BORDER = 4 / 32  # of a side, around an image, of which as much is cropped away: 4 pixels of CIFAR's 32
HOLE = 16 / 32  # of the shorter side: what is cut out
GRAY = 128


def reach(share: float, shape: Sequence[int]) -> tuple[int, int]:
    """Return the pixels in y and in x that are `share` of the sides of maps of a shape (..., H, W)."""
    return round(share * shape[-2]), round(share * shape[-1])


def roll(frames: Batch, rng: np.random.Generator) -> Batch:
    """Return frames, each recording moved by up to ±5 pixels in x and in y; what leaves comes in at the other side."""
    moves = rng.integers(-FARTHEST, FARTHEST + 1, (len(frames), 2))
    return np.stack([np.roll(one, tuple(move), (-2, -1)) for one, move in zip(frames, moves, strict=True)])


def shift(frames: Batch, rng: np.random.Generator) -> Batch:
    """Return frames, each recording moved by up to ±5/48 of its sides; no events come in where it left."""
    return _moved(frames, *reach(SHIFTED, frames.shape), rng)


def _moved(batch: Batch, tall: int, wide: int, rng: np.random.Generator) -> Batch:
    """Return maps (B, ..., H, W), each moved by up to ±`tall` and ±`wide` pixels, with zeros where it left."""
    height, width = batch.shape[-2:]
    bordered = np.pad(batch, [(0, 0)] * (batch.ndim - 2) + [(tall, tall), (wide, wide)])
    corners = rng.integers(0, (2 * tall + 1, 2 * wide + 1), (len(batch), 2))
    return np.stack([one[..., y : y + height, x : x + width] for one, (y, x) in zip(bordered, corners, strict=True)])


def flip(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return images or frames (B, ..., W), each mirrored left to right with probability ½."""
    mirrored = rng.random(len(batch)) < 0.5
    batch = batch.copy()
    batch[mirrored] = batch[mirrored][..., ::-1]
    return batch


def crop(images: Batch, rng: np.random.Generator) -> Batch:
    """Return random crops of images padded with black by an eighth of each side, at the same size."""
    return _moved(images, *reach(BORDER, images.shape), rng)


def auto_augment(images: Batch, rng: np.random.Generator) -> Batch:
    """Return images changed by AutoAugment's policy for CIFAR-10 (1805.09501), from torchvision."""
    import torch

    from spikecli.machine.torchvision import import_torchvision

    transforms = import_torchvision().transforms
    policy = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10, fill=[GRAY] * 3)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng.integers(2**63)))
        return torch.stack([policy(torch.from_numpy(one)) for one in images]).numpy()


def cut_out(images: Batch, rng: np.random.Generator) -> Batch:
    """Return images, each with a gray square of half the shorter side at a random place (1708.04552)."""
    height, width = images.shape[-2:]
    half = HOLE * min(height, width) / 2
    middle = rng.random((len(images), 2)) * (height, width)
    rows = np.abs(np.arange(height) + 0.5 - middle[:, :1]) < half
    columns = np.abs(np.arange(width) + 0.5 - middle[:, 1:]) < half
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return np.where(hole, np.uint8(GRAY), images)


def _cifar(images: Batch, rng: np.random.Generator) -> Batch:
    return cut_out(auto_augment(flip(crop(images, rng), rng), rng), rng)


EVENT_AUGMENTATIONS: dict[str, Callable[[Batch, np.random.Generator], Batch]] = {
    "roll": roll,
    "flip-roll": lambda frames, rng: roll(flip(frames, rng), rng),
    "shift": shift,
    "flip-shift": lambda frames, rng: shift(flip(frames, rng), rng),
    "none": lambda batch, rng: batch,
}
IMAGE_AUGMENTATIONS: dict[str, Callable[[Batch, np.random.Generator], Batch]] = {
    "cifar": _cifar,
    "crop": crop,
    "flip-crop": lambda images, rng: crop(flip(images, rng), rng),
    "none": lambda batch, rng: batch,
}
