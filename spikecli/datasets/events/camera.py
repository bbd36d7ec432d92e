"""A simulated event camera that moves in front of still pictures, as N-MNIST's did."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikecli.datasets.events.recording import EVENT

_AT_ONCE = 64  # pictures: their brightness then stays in the processor's cache


@dataclass(frozen=True)
class Camera:
    """The sensor, its path and its faults; the defaults give recordings like N-MNIST's in number and length."""

    side: int = 34  # pixels
    saccade: float = 100_000.0  # µs, each of three
    step: float = 2_000.0  # µs between two looks at the brightness
    path: tuple[tuple[float, float], ...] = ((0, 0), (3.5, 7), (7, 0), (0, 0))  # x, y in pixels: N-MNIST's triangle
    scale: float = 2.6  # pixels of the sensor to a pixel of the picture
    darkness: float = 0.12  # brightness of the black ground, the full white being 1
    threshold: float = 0.4  # of log brightness
    mismatch: float = 0.04  # relative spread of the thresholds over the pixels
    noise: float = 0.5  # events per pixel and second that nothing in the picture causes


def film(pictures: np.ndarray, camera: Camera, seed: int, numbers: np.ndarray) -> list[np.ndarray]:
    """Return the events (EVENT dtype, in order of time) of each of `pictures` (S, h, w) in 0 … 1.

    `numbers` (S,) name the pictures: noise is drawn from the seed and the number, so a recording does not depend on
    what else is filmed.
    """
    thresholds = camera.threshold * np.exp(
        camera.mismatch * np.random.default_rng(seed).standard_normal((camera.side, camera.side))
    )
    recordings = []
    for start in range(0, len(pictures), _AT_ONCE):
        some = pictures[start : start + _AT_ONCE]
        signals = _changes(some, camera, thresholds.astype(np.float32))
        for signal, number in zip(signals, numbers[start : start + _AT_ONCE], strict=True):
            events = np.concatenate([signal, _noise(camera, np.random.default_rng([seed, int(number)]))])
            recordings.append(events[np.argsort(events["t"], kind="stable")])
    return recordings


def _changes(pictures: np.ndarray, camera: Camera, thresholds: np.ndarray) -> list[np.ndarray]:
    """Return for each picture an event at every crossing of a threshold."""
    offsets = _positions(camera)
    before = _brightness(pictures, camera, offsets[0])
    reference = before.copy()  # the brightness at each pixel's last event
    places, found = [], []
    for step, offset in enumerate(offsets[1:]):
        now = _brightness(pictures, camera, offset)
        crossings = np.trunc((now - reference) / thresholds)
        picture, y, x = np.unravel_index(np.flatnonzero(crossings), crossings.shape)
        signed = crossings[picture, y, x]
        count = np.abs(signed).astype(np.int64)
        # Each crossing of a pixel lies where its brightness, taken as linear within the step, meets the threshold.
        rank = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
        level = np.repeat(reference[picture, y, x], count) + np.repeat(np.sign(signed) * thresholds[y, x], count) * rank
        rise = np.repeat(now[picture, y, x] - before[picture, y, x], count)
        share = np.clip((level - np.repeat(before[picture, y, x], count)) / rise, 0, 1)
        events = np.empty(len(rank), EVENT)
        events["x"], events["y"], events["p"] = np.repeat(x, count), np.repeat(y, count), np.repeat(signed > 0, count)
        events["t"] = np.minimum((step + share) * camera.step, (step + 1) * camera.step - 1)
        places.append(np.repeat(picture, count))
        found.append(events)
        reference += crossings * thresholds
        before = now
    place = np.concatenate(places)
    ordered = np.concatenate(found)[np.argsort(place, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(place, minlength=len(pictures)))[:-1])


def _positions(camera: Camera) -> np.ndarray:
    """Return the position of the picture's middle at each look, (looks, 2) x, y in pixels; it rests at every corner."""
    steps = round(camera.saccade / camera.step)
    share = np.arange(steps + 1) / steps
    eased = share**3 * (10 - 15 * share + 6 * share**2)
    corners = np.asarray(camera.path, np.float64)
    legs = [start + eased[1:, None] * (end - start) for start, end in pairwise(corners)]
    middle = (corners.max(axis=0) + corners.min(axis=0)) / 2
    return np.concatenate([corners[:1], *legs]) - middle + (camera.side - 1) / 2


def _brightness(pictures: np.ndarray, camera: Camera, offset: np.ndarray) -> np.ndarray:
    """Return the log brightness at each pixel, (S, side, side) float32, with the picture's middle at `offset`."""
    across = _weights(camera, offset[0], pictures.shape[2])
    down = _weights(camera, offset[1], pictures.shape[1])
    seen = np.clip(down @ pictures.astype(np.float32) @ across.T, 0, 1)
    return np.log(camera.darkness + (1 - camera.darkness) * seen)


def _weights(camera: Camera, middle: float, size: int) -> np.ndarray:
    """Return the weight of each of `size` picture pixels at each sensor pixel, (side, size): Keys' cubic kernel."""
    place = (np.arange(camera.side) - middle) / camera.scale + (size - 1) / 2
    far = np.abs(place[:, None] - np.arange(size))
    near = (1.5 * far - 2.5) * far**2 + 1
    outer = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return np.where(far < 1, near, np.where(far < 2, outer, 0)).astype(np.float32)


def _noise(camera: Camera, generator: np.random.Generator) -> np.ndarray:
    duration = camera.saccade * (len(camera.path) - 1)
    events = np.empty(generator.poisson(camera.noise * camera.side**2 * duration / 1e6), EVENT)
    for axis, top in (("x", camera.side), ("y", camera.side), ("t", int(duration)), ("p", 2)):
        events[axis] = generator.integers(0, top, len(events))
    return events
