"""Augmentation of whole batches of event frames (B, T, 2, H, W) and of images (B, 3, H, W) uint8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Batch = np.ndarray
FARTHEST = 5  # pixels that frames are rolled by
BORDER = 4  # pixels around an image, of which as many are cropped away
HOLE = 16  # side of what is cut out
GRAY = 128


def roll(frames: Batch, rng: np.random.Generator) -> Batch:
    """Return frames, each recording rolled by up to ±5 pixels in x and in y."""
    shifts = rng.integers(-FARTHEST, FARTHEST + 1, (len(frames), 2))
    return np.stack([np.roll(one, tuple(shift), (-2, -1)) for one, shift in zip(frames, shifts, strict=True)])


def flip(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return images or frames (B, ..., W), each mirrored left to right with probability ½."""
    mirrored = rng.random(len(batch)) < 0.5
    batch = batch.copy()
    batch[mirrored] = batch[mirrored][..., ::-1]
    return batch


def crop(images: Batch, rng: np.random.Generator) -> Batch:
    """Return random crops of images padded with 4 black pixels, at the same size."""
    height, width = images.shape[-2:]
    bordered = np.pad(images, ((0, 0), (0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    corners = rng.integers(0, 2 * BORDER + 1, (len(images), 2))
    return np.stack([one[:, y : y + height, x : x + width] for one, (y, x) in zip(bordered, corners, strict=True)])


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
    """Return images, each with a gray square of side 16 at a random place (1708.04552)."""
    height, width = images.shape[-2:]
    middle = rng.random((len(images), 2)) * (height, width)
    rows = np.abs(np.arange(height) + 0.5 - middle[:, :1]) < HOLE / 2
    columns = np.abs(np.arange(width) + 0.5 - middle[:, 1:]) < HOLE / 2
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return np.where(hole, np.uint8(GRAY), images)


def _cifar(images: Batch, rng: np.random.Generator) -> Batch:
    return cut_out(auto_augment(flip(crop(images, rng), rng), rng), rng)


EVENT_AUGMENTATIONS: dict[str, Callable[[Batch, np.random.Generator], Batch]] = {
    "roll": roll,
    "flip-roll": lambda frames, rng: roll(flip(frames, rng), rng),
    "none": lambda batch, rng: batch,
}
IMAGE_AUGMENTATIONS: dict[str, Callable[[Batch, np.random.Generator], Batch]] = {
    "cifar": _cifar,
    "none": lambda batch, rng: batch,
}
