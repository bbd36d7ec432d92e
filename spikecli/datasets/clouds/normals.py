"""Points with normals, (..., 6): x y z, then the direction in which the surface faces, of length 1 or 0 (unknown)."""

from __future__ import annotations

import numpy as np

from spikecli.errors import SpikeError, named

PLACE = 3  # numbers of a position; with its normal, twice as many


def joined(points: np.ndarray, normals: np.ndarray | None) -> np.ndarray:
    """Return points (N, 3) and their normals (N, 3) as float32 (N, 6); raise SpikeError if the normals are unknown."""
    if normals is None:
        raise SpikeError(
            f"found points without normals, and normals are wanted; give a mesh, or a file with nx ny nz, or work "
            f"without {named('normals')}"
        )
    return np.concatenate([points, normals], axis=1, dtype=np.float32, casting="same_kind")


def unit_normals(points: np.ndarray) -> np.ndarray | None:
    """Return the normals of points (N, 6), of length 1 or 0; None for points (N, 3), which have none."""
    normals = points[:, PLACE:]
    return _unit(normals) if normals.size else None


def scaled(points: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return clouds (S, N, 3 or 6) with their positions times `factors` (S, 1, 1), or (S, 1, 3) by axis; 0 is none.

    A surface that is stretched by s faces along n/s, of length 1: a factor of all axes leaves the direction, and −1
    mirrors it.
    """
    places, normals = points[..., :PLACE] * factors, points[..., PLACE:]
    if not normals.shape[-1]:
        return places
    return np.concatenate([places, normals if factors.shape[-1] == 1 else _unit(normals / factors)], axis=-1)


def moved(points: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return clouds (S, N, 3 or 6) with their positions plus `shift`, which fits to (S, N, 3); normals stay."""
    places, normals = points[..., :PLACE] + shift, points[..., PLACE:]
    return np.concatenate([places, normals], axis=-1) if normals.shape[-1] else places


def rotated(points: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return clouds (S, N, 3 or 6) whose positions and normals are turned by the rotations (S, 3, 3)."""
    back = turns.transpose(0, 2, 1).astype(points.dtype)
    parts = [points[..., start : start + PLACE] @ back for start in range(0, points.shape[-1], PLACE)]
    return np.concatenate(parts, axis=-1)


def _unit(normals: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, np.asarray(1e-12, lengths.dtype)))
