"""Seeded damage to clouds and to recordings, each kind in five severities.

The kinds for clouds are those of ModelNet-C (2202.03377); the levels are our own, so scores do not compare with its
tables. A seed draws from the same numbers at every severity: what severity 1 does to a sample, severity 5 does more of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikecli.datasets.events import EVENT, Recording
from spikecli.datasets.geometry import normalize_unit_sphere
from spikecli.errors import SpikeError

SEVERITIES = (1, 2, 3, 4, 5)
PATCHES = 3  # places of a cloud that the local kinds act on
CLUMP = 0.1  # deviation of the outliers about such a place, in radii of the cloud

Generator = np.random.Generator


def jitter(points: np.ndarray, deviation: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) whose every coordinate is off by N(0, deviation²), in radii of the cloud."""
    return points + deviation * rng.standard_normal(points.shape, dtype=np.float32)


def scale(points: np.ndarray, factor: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) stretched along each axis by a factor of its own, log-uniform in 1/factor … factor."""
    return points * np.float32(factor) ** rng.uniform(-1, 1, (len(points), 1, 3)).astype(np.float32)


def rotate(points: np.ndarray, degrees: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N, 3) each turned by `degrees` about an axis of any direction (Rodrigues' formula)."""
    x, y, z = _directions(rng, len(points), 1)[:, 0].T
    zero, angle = np.zeros_like(x), np.deg2rad(degrees)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)  # cross @ p is axis × p
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return points @ turn.transpose(0, 2, 1).astype(points.dtype)


def drop_globally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, n, 3) that lack a share of their points, drawn from the whole cloud."""
    kept = points.shape[1] - round(share * points.shape[1])
    order = rng.random(points.shape[:2]).argsort(1)[:, :kept]
    return np.take_along_axis(points, order[..., None], 1)


def drop_locally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, n, 3) that lack a share of their points: those about three places, an equal number at each."""
    for gone in _shared_out(round(share * points.shape[1]), PATCHES):
        centers = _places(points, 1, rng)
        order = np.square(points - centers).sum(-1).argsort(1, kind="stable")[:, gone:]
        points = np.take_along_axis(points, order[..., None], 1)
    return points


def add_globally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N + n, 3) with outliers, a share of their number, uniform in the unit ball."""
    count = round(share * points.shape[1])
    radius = np.cbrt(rng.random((len(points), count, 1)))
    return _joined(points, radius * _directions(rng, len(points), count))


def add_locally(points: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return clouds (S, N + n, 3) with outliers, a share of their number, normal about three of the cloud's points.

    Those that would lie beyond the unit sphere lie on it.
    """
    counts = _shared_out(round(share * points.shape[1]), PATCHES)
    centers = np.repeat(_places(points, PATCHES, rng), counts, axis=1)
    outliers = centers + CLUMP * rng.standard_normal(centers.shape)
    return _joined(points, outliers / np.linalg.norm(outliers, axis=-1, keepdims=True).clip(1))


def _shared_out(total: int, parts: int) -> list[int]:
    return [total // parts + (part < total % parts) for part in range(parts)]


def _places(points: np.ndarray, count: int, rng: Generator) -> np.ndarray:
    """Return `count` points (S, count, 3) of each cloud."""
    chosen = (rng.random((len(points), count)) * points.shape[1]).astype(np.int64)
    return np.take_along_axis(points, chosen[..., None], 1)


def _directions(rng: Generator, clouds: int, count: int) -> np.ndarray:
    """Return unit vectors (clouds, count, 3), uniform over the sphere."""
    normal = rng.standard_normal((clouds, count, 3))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _joined(points: np.ndarray, more: np.ndarray) -> np.ndarray:
    return np.concatenate([points, more.astype(points.dtype)], axis=1)


def add_noise(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording with events, a share of their number, anywhere on the sensor at any time."""
    events = recording.events
    noise = np.empty(round(share * len(events)), EVENT)
    first, last = _span(events)
    for axis, low, high in (("x", 0, recording.width), ("y", 0, recording.height), ("t", first, last + 1), ("p", 0, 2)):
        noise[axis] = rng.integers(low, high, len(noise))
    return _in_time(recording, np.concatenate([events, noise]))


def drop_events(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording without a share of its events, each dropped by chance."""
    return replace(recording, events=recording.events[rng.random(len(recording)) >= share])


def kill_pixels(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording without the events of a share of the sensor's pixels."""
    alive = rng.random((recording.height, recording.width)) >= share
    return replace(recording, events=recording.events[alive[recording.events["y"], recording.events["x"]]])


def jitter_time(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording whose times are off by N(0, σ²), σ a share of its duration; none leaves its span."""
    first, last = _span(recording.events)
    events = recording.events.copy()
    late = rng.standard_normal(len(events)) * share * (last - first)
    events["t"] = (events["t"] + np.rint(late).astype(np.int64)).clip(first, last)
    return _in_time(recording, events)


def flip_polarity(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording in which a share of the events, by chance, have the other polarity."""
    events = recording.events.copy()
    events["p"] ^= rng.random(len(events)) < share
    return replace(recording, events=events)


def _span(events: np.ndarray) -> tuple[int, int]:
    return (int(events["t"][0]), int(events["t"][-1])) if len(events) else (0, 0)


def _in_time(recording: Recording, events: np.ndarray) -> Recording:
    return replace(recording, events=events[events["t"].argsort(kind="stable")])


@dataclass(frozen=True)
class Corruption:
    """A kind of damage: the function, how far it goes at each of the five severities, and what that number is."""

    damage: Callable[[Any, float, Generator], Any]
    levels: tuple[float, float, float, float, float]
    unit: str


CLOUD_CORRUPTIONS: dict[str, Corruption] = {
    "jitter": Corruption(jitter, (0.01, 0.02, 0.04, 0.06, 0.08), "deviation in radii"),
    "scale": Corruption(scale, (1.2, 1.4, 1.6, 1.8, 2.0), "largest factor along an axis"),
    "rotation": Corruption(rotate, (10, 20, 30, 45, 60), "degrees about a random axis"),
    "dropout-global": Corruption(drop_globally, (0.25, 0.5, 0.75, 0.9, 0.95), "share of the points"),
    "dropout-local": Corruption(drop_locally, (0.1, 0.2, 0.35, 0.5, 0.65), "share of the points"),
    "outliers-global": Corruption(add_globally, (0.01, 0.02, 0.04, 0.08, 0.16), "share of the points"),
    "outliers-local": Corruption(add_locally, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the points"),
}
EVENT_CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption(add_noise, (0.1, 0.25, 0.5, 1.0, 2.0), "share of the events"),
    "dropped-events": Corruption(drop_events, (0.25, 0.5, 0.7, 0.8, 0.9), "share of the events"),
    "dead-pixels": Corruption(kill_pixels, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the pixels"),
    "time-jitter": Corruption(jitter_time, (0.01, 0.03, 0.1, 0.2, 0.4), "deviation, as a share of the duration"),
    "polarity-flips": Corruption(flip_polarity, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the events"),
}


def corrupt_clouds(points: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return damaged clouds float32 (S, n, 3), centred and in the unit sphere again, as every cloud that is read is.

    n is the same for all clouds of a severity: points are really taken away or added, none is a copy.
    """
    kind = CLOUD_CORRUPTIONS[name]
    damaged = kind.damage(points, kind.levels[severity - 1], np.random.default_rng([seed, *name.encode()]))
    return normalize_unit_sphere(damaged)


def corrupt_recording(recording: Recording, name: str, severity: int, seed: int, index: int = 0) -> Recording:
    """Return a damaged recording; `index` is its place in the split, which gives each one draws of its own."""
    kind = EVENT_CORRUPTIONS[name]
    return kind.damage(recording, kind.levels[severity - 1], np.random.default_rng([seed, index, *name.encode()]))


def chosen_kinds(text: str, known: Mapping[str, Corruption]) -> tuple[str, ...]:
    """Return the names in "a,b" in the table's order, all of them for "all"; SpikeError when one is not known."""
    names = list(known) if text.strip() == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise SpikeError(f"found --corrupt {name!r}; wanted all, or some of {', '.join(known)}")
    return tuple(name for name in known if name in names)


def chosen_severities(text: str) -> tuple[int, ...]:
    """Return the sorted severities in "1,3,5"; SpikeError when one is none of 1 to 5."""
    parts: Sequence[str] = [part.strip() for part in text.split(",")]
    for part in parts:
        if part not in map(str, SEVERITIES):
            raise SpikeError(f"found --severities {text!r}; wanted some of {','.join(map(str, SEVERITIES))}")
    return tuple(sorted({int(part) for part in parts}))
