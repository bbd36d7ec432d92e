"""Augmentation of whole batches of clouds (B, N, 3), or (B, N, 6) with normals, which turn with the surface.

The random draws come from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.clouds.normals import PLACE, moved, rotated, scaled

Batch = np.ndarray
MAX_DROPOUT = 0.875
MAX_CUT, MAX_NOISE = 0.5, 0.04  # of `robust`: share of the points, and deviation in radii of the cloud


def overwrite_points(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds in which a share U(0, 0.875) of each one's points is overwritten by its first (2310.06232)."""
    share = rng.uniform(0, MAX_DROPOUT, (len(points), 1))
    gone = rng.random(points.shape[:2]) <= share
    return np.where(gone[..., None], points[:, :1], points)


def thin_points(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds (B, n, 3) of a random n = N·(1 − U(0, 0.875)) points: the same loss of points, without the copies.

    A copy wins no maximum and costs as much as a point; it also pulls the batch statistics toward itself, away from
    those of the clean clouds that are met in evaluation.
    """
    total = points.shape[1]
    kept = max(1, int(np.ceil(total * (1 - rng.uniform(0, MAX_DROPOUT)))))
    return points[:, rng.permutation(total)[:kept]]


def scale_and_shift(points: Batch, rng: np.random.Generator, axes: int = 1) -> Batch:
    """Return clouds each scaled by U(0.8, 1.25), all axes alike or with `axes` 3 each by its own, and shifted by
    U(−0.1, 0.1)³."""
    scale = rng.uniform(0.8, 1.25, (len(points), 1, axes)).astype(points.dtype)
    shift = rng.uniform(-0.1, 0.1, (len(points), 1, 3)).astype(points.dtype)
    return moved(scaled(points, scale), shift)


def mirror(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds each reflected, with probability ½ each, along x and along y: z is upright, as in ModelNet."""
    sign = rng.choice(np.array([-1, 1], points.dtype), (len(points), 1, 2))
    return scaled(points, np.concatenate([sign, np.ones_like(sign[..., :1])], axis=-1))


def shuffle(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds each with its points in a random order: DeLA's coarser levels see the first of them."""
    order = rng.random(points.shape[:2], dtype=np.float32).argsort(axis=1)
    return np.take_along_axis(points, order[..., None], axis=1)


def stretch(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds each stretched along each axis by U(2/3, 3/2) (2308.16532)."""
    return scaled(points, rng.uniform(2 / 3, 3 / 2, (len(points), 1, 3)).astype(points.dtype))


def turn(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds each turned about the upright z, with probability ½, by any angle."""
    angle = rng.uniform(0, 2 * np.pi, len(points)) * (rng.random(len(points)) < 0.5)
    turns = np.zeros((len(points), 3, 3), points.dtype)
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angle)
    turns[:, 1, 0] = np.sin(angle)
    turns[:, 0, 1] = -turns[:, 1, 0]
    turns[:, 2, 2] = 1
    return rotated(points, turns)


def cut(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds of which, with probability ½, up to half the points beyond a plane of any direction are
    overwritten by copies of the others."""
    total = points.shape[1]
    direction = rng.standard_normal((len(points), 3, 1)).astype(points.dtype)
    order = (points[..., :PLACE] @ direction)[..., 0].argsort(axis=1)
    kept = total - np.floor(rng.uniform(0, MAX_CUT, len(points)) * total) * (rng.random(len(points)) < 0.5)
    place = np.arange(total) + np.zeros((len(points), 1))
    copied = np.floor(rng.random(points.shape[:2]) * kept[:, None])
    chosen = np.where(place < kept[:, None], place, copied).astype(np.int64)
    return np.take_along_axis(points, np.take_along_axis(order, chosen, axis=1)[..., None], axis=1)


def shake(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds each with noise N(0, σ²) on every coordinate, σ from U(0, 0.04)."""
    deviation = rng.uniform(0, MAX_NOISE, (len(points), 1, 1)).astype(points.dtype)
    return moved(points, deviation * rng.standard_normal((*points.shape[:2], PLACE), dtype=np.float32))


def damage(points: Batch, rng: np.random.Generator) -> Batch:
    """Return clouds turned, cut and shaken, centered and in the unit sphere again."""
    return normalize_unit_sphere(shake(cut(turn(points, rng), rng), rng))


AUGMENTATIONS: dict[str, Callable[[Batch, np.random.Generator], Batch]] = {
    "paper": lambda points, rng: scale_and_shift(overwrite_points(points, rng), rng),
    "thin": lambda points, rng: scale_and_shift(thin_points(points, rng), rng),
    "mirror": lambda points, rng: scale_and_shift(mirror(overwrite_points(points, rng), rng), rng, axes=3),
    "stretch": lambda points, rng: stretch(shuffle(points, rng), rng),
    "robust": lambda points, rng: stretch(shuffle(damage(points, rng), rng), rng),
    "none": lambda points, rng: points,
}
