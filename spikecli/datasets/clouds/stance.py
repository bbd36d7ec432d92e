"""How the clouds of a data set stand: which proportions each class has, and whether another cloud lies another way.

A cloud has 21 proportions: log variance, log kurtosis and log extent along each axis, the correlations of axes, and the
means of squares along one axis times another: how its width changes with height. Each class is a Gaussian of them. A
cloud that lies on its side is less like every class than once it is turned.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.errors import SpikeError, named

_SIZE = 21  # proportions of a cloud
_LOWER = np.tril_indices(_SIZE)
_LEAST = 2 * _SIZE  # clouds that are enough to know proportions
_POINTS = 1024  # of a cloud that are looked at
_AT_ONCE = 512  # clouds
_MARGIN = 15.0  # gain in squared distance that is noted
_BUILT_IN = Path(__file__).with_name("stances.json")  # of the data sets of the reference weights
_NAMES = {(1, 0, 0): "x", (0, 1, 0): "y"}  # the ways up that --up names


@dataclass(frozen=True)
class Stance:
    """The Gaussians of K classes, means (K, 21) and covariances (K, 21, 21), and the `limit` of 99 % of their clouds.

    The limit is one of the squared Mahalanobis distance, plus the log determinant, to the nearest class.
    """

    means: np.ndarray
    covariances: np.ndarray
    limit: float

    def distance(self, found: np.ndarray) -> np.ndarray:
        """Return how far proportions (..., 21) are from the nearest class (...)."""
        apart = found[..., None, :] - self.means
        inverse = np.linalg.inv(self.covariances)
        spread = np.linalg.slogdet(self.covariances)[1]
        squared = np.einsum("...ki,kij,...kj->...k", apart, inverse, apart)
        return np.asarray((squared + spread - spread.mean()).min(axis=-1))

    def doubt(self, points: np.ndarray, as_in_file: bool = True) -> str | None:
        """Return a note if a cloud (N, 3) is far from how these stand and would be like them turned; else None.

        The note names the axis for --up if the cloud lies `as_in_file`.
        """
        turns = _turns()
        poses = points[:_POINTS].astype(np.float64) @ np.stack(list(turns.values())).transpose(0, 2, 1)
        here, *others = self.distance(proportions(np.concatenate([points[None, :_POINTS], poses])))
        best = int(np.argmin(others))
        if others[best] > self.limit or here - others[best] < _MARGIN:
            return None
        up = list(turns)[best]
        # A cloud seldom says which end of an axis is up, and a user knows.
        axis = next((name for along, name in _NAMES.items() if set(up) <= {0, 1, -1} and _along(up, along)), None)
        axis = axis if as_in_file else None
        turn = f"with {axis} up it would be like them: {named('up')} {axis}" if axis else "turned it would be like them"
        stand = ", which have z up" if as_in_file else ""
        return f"its orientation seems far from the training data's{stand}; {turn}"

    def as_values(self) -> dict[str, Any]:
        """Return the stance for JSON, as `stance_from` reads it."""
        lower = [covariance[_LOWER] for covariance in self.covariances]
        return {
            "means": _short(self.means),
            "covariances": _short(np.stack(lower)),
            "limit": float(f"{self.limit:.4g}"),
        }


def stance_of(points: np.ndarray, labels: np.ndarray) -> Stance | None:
    """Return how the clouds (S, N, 3) of `labels` (S,) stand; None if they are too few to say."""
    if len(points) < _LEAST:
        return None
    parts = [points[start : start + _AT_ONCE, :_POINTS] for start in range(0, len(points), _AT_ONCE)]
    found = np.concatenate([proportions(part) for part in parts])
    classes, places = np.unique(labels, return_inverse=True)
    means = np.stack([found[places == place].mean(axis=0) for place in range(len(classes))])
    within = np.cov((found - means[places]).T) + 1e-3 * np.eye(_SIZE)
    covariances = []
    for place in range(len(classes)):  # a class of few clouds borrows from the others
        apart = (found - means[places])[places == place]
        covariances.append((apart.T @ apart + _SIZE * within) / (len(apart) + _SIZE))
    stance = Stance(means, np.stack(covariances), 0.0)
    return Stance(means, stance.covariances, float(np.quantile(stance.distance(found), 0.99)))


def stance_from(values: Any, where: str) -> Stance:
    """Return the stance of JSON values; raise SpikeError, with `where`, if they are none."""
    try:
        means, lower = (np.array(values[name], np.float64) for name in ("means", "covariances"))
        covariances = np.zeros((len(means), _SIZE, _SIZE))
        covariances[:, _LOWER[0], _LOWER[1]] = covariances[:, _LOWER[1], _LOWER[0]] = lower
        np.linalg.cholesky(covariances)
        stance = Stance(means.reshape(len(covariances), _SIZE), covariances, float(values["limit"]))
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError):
        raise SpikeError(f"{where} does not say how its training clouds stand; it is damaged, copy it again") from None
    return stance


@cache
def built_in_stances() -> Mapping[str, Any]:
    """Return the values of the stances that come with the program, by data set: weights from before know none."""
    found: dict[str, Any] = json.loads(_BUILT_IN.read_text(encoding="utf-8"))
    return found


def proportions(points: np.ndarray) -> np.ndarray:
    """Return the proportions (..., 21) of clouds (..., N, 3)."""
    apart = points - points.mean(axis=-2, keepdims=True, dtype=np.float64)
    variance = np.square(apart).mean(axis=-2) + 1e-6
    extent = points.max(axis=-2) - points.min(axis=-2)
    scaled = apart / np.sqrt(variance)[..., None, :]
    square = np.square(scaled)
    # 1 along an axis on which the cloud is flat
    kurtosis = np.square(square).mean(axis=-2) + 1e-12 / np.square(variance)
    mixed = np.einsum("...na,...nb->...ab", square, scaled) / points.shape[-2]  # on the diagonal the skewness
    products = np.einsum("...na,...nb->...ab", scaled, scaled)[..., *np.triu_indices(3, 1)] / points.shape[-2]
    flat = mixed.reshape(*mixed.shape[:-2], 9)
    return np.concatenate([np.log(variance), np.log(kurtosis), np.log(extent + 1e-3), products, flat], axis=-1)


@cache
def _turns() -> dict[tuple[int, ...], np.ndarray]:
    """Return the rotations (3, 3) that turn an axis, a diagonal of a face or of a cube from up to z."""
    ways = (way for way in itertools.product((-1, 0, 1), repeat=3) if any(way) and way != (0, 0, 1))
    return {way: _to_z(np.array(way, np.float64)) for way in ways}


def _to_z(up: np.ndarray) -> np.ndarray:
    """Return the smallest rotation from `up` to z, by Rodrigues' formula."""
    up = up / np.linalg.norm(up)
    if up[2] < -0.999:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, 0, -up[0]], [0, 0, -up[1]], [up[0], up[1], 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + up[2]))


def _along(up: tuple[int, ...], axis: tuple[int, ...]) -> bool:
    return up in (axis, tuple(-part for part in axis))


def _short(values: np.ndarray) -> list[list[float]]:
    return [[float(f"{value:.4g}") for value in row] for row in values]
