"""Damage to clouds (S, N, 3), or (S, N, 6) with normals, seeded, in five severities."""

from __future__ import annotations

import numpy as np

from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.clouds.normals import PLACE, moved, rotated, scaled
from spikecli.datasets.corrupt import CLUMP, PATCHES, Corruption, Generator


def jitter(points: np.ndarray, deviation: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) with noise N(0, deviation²) on every coordinate, in radii of the cloud."""
    return moved(points, deviation * rng.standard_normal((*points.shape[:2], PLACE), dtype=np.float32))


def scale(points: np.ndarray, factor: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) stretched along each axis by a factor of its own, log-uniform in 1/factor … factor."""
    return scaled(points, np.float32(factor) ** rng.uniform(-1, 1, (len(points), 1, 3)).astype(np.float32))


def rotate(points: np.ndarray, degrees: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) each turned by `degrees` about an axis of any direction (Rodrigues' formula)."""
    x, y, z = _directions(rng, len(points), 1)[:, 0].T
    zero, angle = np.zeros_like(x), np.deg2rad(degrees)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)  # cross @ p is axis × p
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotated(points, turn)


def drop_globally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, n, 3) that lack a share of their points, drawn from the whole cloud."""
    kept = points.shape[1] - round(share * points.shape[1])
    order = rng.random(points.shape[:2]).argsort(1)[:, :kept]
    return np.take_along_axis(points, order[..., None], 1)


def drop_locally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, n, 3) that lack a share of their points: those about three places, an equal number at each."""
    for gone in _shared_out(round(share * points.shape[1]), PATCHES):
        centers = _places(points, 1, rng)
        order = np.square(points[..., :PLACE] - centers).sum(-1).argsort(1, kind="stable")[:, gone:]
        points = np.take_along_axis(points, order[..., None], 1)
    return points


def add_globally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N + n, 3) with outliers, a share of their number, uniform in the unit ball."""
    count = round(share * points.shape[1])
    radius = np.cbrt(rng.random((len(points), count, 1)))
    return _with_outliers(points, radius * _directions(rng, len(points), count), rng)


def add_locally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N + n, 3) with outliers, a share of their number, normal about three of the cloud's points.

    Those that would lie beyond the unit sphere lie on it.
    """
    counts = _shared_out(round(share * points.shape[1]), PATCHES)
    centers = np.repeat(_places(points, PATCHES, rng), counts, axis=1)
    outliers = centers + CLUMP * rng.standard_normal(centers.shape)
    return _with_outliers(points, outliers / np.linalg.norm(outliers, axis=-1, keepdims=True).clip(1), rng)


def _shared_out(total: int, parts: int) -> list[int]:
    return [total // parts + (part < total % parts) for part in range(parts)]


def _places(points: np.ndarray, count: int, rng: Generator) -> np.ndarray:
    """Return the positions (S, count, 3) of `count` points of each cloud."""
    chosen = (rng.random((len(points), count)) * points.shape[1]).astype(np.int64)
    return np.take_along_axis(points[..., :PLACE], chosen[..., None], 1)


def _directions(rng: Generator, clouds: int, count: int) -> np.ndarray:
    """Return unit vectors (clouds, count, 3), uniform over the sphere."""
    normal = rng.standard_normal((clouds, count, 3))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _with_outliers(points: np.ndarray, places: np.ndarray, rng: Generator) -> np.ndarray:
    """Return clouds with more points at `places` (S, n, 3); where points have normals, theirs are of any direction."""
    if points.shape[-1] > PLACE:
        places = np.concatenate([places, _directions(rng, *places.shape[:2])], axis=-1)
    return np.concatenate([points, places.astype(points.dtype)], axis=1)


CLOUD_CORRUPTIONS: dict[str, Corruption] = {
    "jitter": Corruption(jitter, (0.01, 0.02, 0.04, 0.06, 0.08), "deviation in radii"),
    "scale": Corruption(scale, (1.2, 1.4, 1.6, 1.8, 2.0), "largest factor along an axis"),
    "rotation": Corruption(rotate, (10, 20, 30, 45, 60), "degrees about a random axis"),
    "dropout-global": Corruption(drop_globally, (0.25, 0.5, 0.75, 0.9, 0.95), "share of the points"),
    "dropout-local": Corruption(drop_locally, (0.1, 0.2, 0.35, 0.5, 0.65), "share of the points"),
    "outliers-global": Corruption(add_globally, (0.01, 0.02, 0.04, 0.08, 0.16), "share of the points"),
    "outliers-local": Corruption(add_locally, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the points"),
}


def corrupt_clouds(points: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return damaged clouds float32 (S, n, 3), centered and in the unit sphere again, as every cloud is after reading.

    n is the same for all clouds of a severity: points are really taken away or added, none is a copy.
    """
    return normalize_unit_sphere(CLOUD_CORRUPTIONS[name].applied(points, severity, seed, *name.encode()))
