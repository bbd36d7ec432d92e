"""Augmentation of whole batches with torch on their device; it replaces numpy's on a GPU.

The draws come from torch's generator of that device, so that a recorded step draws again at each replay. Distributions
are those of `datasets`; what is thinned keeps one of eight numbers of points, since each takes a graph of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.augment_maps import FARTHEST, SHIFTED, reach
from spikecli.datasets.clouds.augment import MAX_CUT, MAX_DROPOUT, MAX_NOISE
from spikecli.datasets.clouds.normals import PLACE
from spikecli.training.chosen import Chosen

GRAINS = 8  # numbers of points that a thinned cloud may keep


def thinned_size(inputs: np.ndarray, rng: np.random.Generator) -> int:
    """Return the number of points that a batch of clouds (S, N, 3) keeps: N·(1 − U(0, 0.875)), in eighths of N."""
    points = inputs.shape[1]
    grain = -(-points // GRAINS)
    kept = points * (1 - rng.uniform(0, MAX_DROPOUT))
    return min(points, max(1, round(kept / grain)) * grain)


def overwrite(points: Tensor, size: int) -> Tensor:
    """Return clouds (B, N, 3) in which a share U(0, 0.875) of each one's points is overwritten by its first."""
    share = _uniform(points, len(points), 1) * MAX_DROPOUT
    gone = _uniform(points, *points.shape[:2]) <= share
    return torch.where(gone.unsqueeze(2), points[:, :1], points)


def thin(points: Tensor, size: int) -> Tensor:
    """Return clouds (B, size, 3) of the same random points of each."""
    chosen = _uniform(points, points.shape[1]).argsort()[:size]
    return points.index_select(1, chosen)


def scale_and_shift(points: Tensor, axes: int = 1) -> Tensor:
    """Return clouds each scaled by U(0.8, 1.25), all axes alike or each by its own, and shifted by U(−0.1, 0.1)³."""
    scale = _uniform(points, len(points), 1, axes) * 0.45 + 0.8
    shift = _uniform(points, len(points), 1, 3) * 0.2 - 0.1
    if points.shape[2] == PLACE:
        return points * scale + shift
    found = scaled(points, scale)
    return torch.cat([found[..., :PLACE] + shift, found[..., PLACE:]], 2)


def scaled(points: Tensor, factors: Tensor) -> Tensor:
    """Return clouds (B, N, 3 or 6) times `factors` (B, 1, 1 or 3); a normal n becomes n/s, of length 1 or 0."""
    if points.shape[2] == PLACE:
        return points * factors
    places, normals = points.split(PLACE, 2)
    if factors.shape[2] > 1:
        normals = nn.functional.normalize(normals / factors, dim=2)
    return torch.cat([places * factors, normals], 2)


def mirror(points: Tensor) -> Tensor:
    """Return clouds each reflected, with probability ½ each, along x and along y."""
    sign = (_uniform(points, len(points), 1, 3) < 0.5).to(points.dtype) * 2 - 1
    upright = torch.arange(3, device=points.device) == 2
    return scaled(points, torch.where(upright, 1.0, sign))


def stretch(points: Tensor) -> Tensor:
    """Return clouds each with its points in a random order, and stretched along each axis by U(2/3, 3/2)."""
    order = _uniform(points, *points.shape[:2]).argsort(1)
    scale = _uniform(points, len(points), 1, 3) * (3 / 2 - 2 / 3) + 2 / 3
    return scaled(_picked(points, order), scale)


def points_drawn(points: Tensor, count: int) -> Tensor:
    """Return clouds (B, count, 3) of points drawn from each of (B, N, 3), no point twice, in the unit sphere."""
    chosen = _uniform(points, *points.shape[:2]).argsort(1)[:, :count]
    return _in_the_unit_sphere(_picked(points, chosen))


def damage(points: Tensor) -> Tensor:
    """Return clouds each turned about z, cut by a plane and shaken, in the unit sphere again, as `datasets` does it."""
    clouds, total = points.shape[:2]
    angle = 2 * math.pi * _uniform(points, clouds) * (_uniform(points, clouds) < 0.5)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([cos, sin, zero, -sin, cos, zero, zero, zero, zero + 1], 1).view(clouds, 3, 3)
    places = points[..., :PLACE]
    order = (places @ torch.randn(clouds, 3, 1, dtype=points.dtype, device=points.device)).squeeze(2).argsort(1)
    gone = (MAX_CUT * total * _uniform(points, clouds, 1)).floor() * (_uniform(points, clouds, 1) < 0.5)
    place = torch.arange(total, device=points.device).expand(clouds, -1)
    copied = (_uniform(points, clouds, total) * (total - gone)).floor().clamp(max=total - 1)
    chosen = order.gather(1, torch.where(place < total - gone, place, copied.long()))
    kept = torch.cat([part @ turn for part in _picked(points, chosen).split(PLACE, 2)], 2)
    noise = MAX_NOISE * _uniform(points, clouds, 1, 1) * torch.randn_like(places)
    return _in_the_unit_sphere(torch.cat([kept[..., :PLACE] + noise, kept[..., PLACE:]], 2))


def _picked(points: Tensor, chosen: Tensor) -> Tensor:
    """Return the rows `chosen` (B, count) of each cloud (B, N, 3 or 6)."""
    return points.gather(1, chosen.unsqueeze(2).expand(-1, -1, points.shape[2]))


def _in_the_unit_sphere(points: Tensor) -> Tensor:
    places = points[..., :PLACE]
    centered = places - places.mean(1, keepdim=True)
    unit = centered / centered.square().sum(2).amax(1).sqrt().clamp_min(1e-12)[:, None, None]
    return unit if points.shape[2] == PLACE else torch.cat([unit, points[..., PLACE:]], 2)


def roll(frames: Tensor) -> Tensor:
    """Return frames (B, T, 2, H, W), each recording moved by up to ±5 pixels in x and in y, around the edges."""
    moves = torch.randint(-FARTHEST, FARTHEST + 1, (2, len(frames), 1), device=frames.device)
    rows, columns = _moved_places(frames, moves)
    return _gathered(frames, rows % frames.shape[-2], columns % frames.shape[-1])


def shift(frames: Tensor) -> Tensor:
    """Return frames (B, T, 2, H, W), each recording moved by up to ±5/48 of its sides, with zeros where it left."""
    height, width = frames.shape[-2:]
    shape, device = (len(frames), 1), frames.device
    far = reach(SHIFTED, frames.shape)
    rows, columns = _moved_places(frames, [torch.randint(-most, most + 1, shape, device=device) for most in far])
    inside = ((rows >= 0) & (rows < height)).unsqueeze(2) & ((columns >= 0) & (columns < width)).unsqueeze(1)
    moved = _gathered(frames, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
    return moved * inside[:, None, None]


def _moved_places(frames: Tensor, moves: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return where rows (B, H) and columns (B, W) come from after `moves` (B, 1) in y and x; it may be outside."""
    sides = zip(frames.shape[-2:], moves, strict=True)
    rows, columns = (torch.arange(side, device=frames.device) - move for side, move in sides)
    return rows, columns


def _gathered(frames: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return frames (B, T, 2, H, W) with the pixels of `rows` (B, H) and `columns` (B, W)."""
    places = (rows.unsqueeze(2) * frames.shape[-1] + columns.unsqueeze(1)).flatten(1)  # (B, H·W)
    flat = frames.flatten(-2)
    return flat.gather(-1, places[:, None, None].expand(flat.shape)).view(frames.shape)


def flip(maps: Tensor) -> Tensor:
    """Return images or frames (B, ..., W), each mirrored left to right with probability ½."""
    mirrored = torch.rand(len(maps), device=maps.device) < 0.5
    return torch.where(mirrored.view(-1, *[1] * (maps.dim() - 1)), maps.flip(-1), maps)


def _uniform(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=like.dtype, device=like.device)


ON_DEVICE: dict[str, Callable[[Tensor, int], Tensor]] = {
    "paper": lambda points, size: scale_and_shift(overwrite(points, size)),
    "thin": lambda points, size: scale_and_shift(thin(points, size)),
    "mirror": lambda points, size: scale_and_shift(mirror(overwrite(points, size)), axes=3),
    "stretch": lambda points, size: stretch(points),
    "robust": lambda points, size: stretch(damage(points)),
    "roll": lambda frames, size: roll(frames),
    "flip-roll": lambda frames, size: roll(flip(frames)),
    "shift": lambda frames, size: shift(frames),
    "flip-shift": lambda frames, size: shift(flip(frames)),
    "none": lambda batch, size: batch,
}
SIZES: dict[str, Callable[[np.ndarray, np.random.Generator], int]] = {"thin": thinned_size}
_BY_AXES = {
    3: {"paper", "thin", "mirror", "stretch", "robust", "none"},
    4: {"none"},
    5: {"roll", "flip-roll", "shift", "flip-shift", "none"},
}


def augmentations_of(inputs: np.ndarray | Chosen) -> set[str]:
    """Return the names of the augmentations available on a device for samples (S, ...) like these."""
    known = inputs.dtype.kind == "f" or inputs.dtype in (np.uint8, np.int16, np.int32, np.int64)
    return _BY_AXES.get(inputs.ndim, set()) if known else set()
