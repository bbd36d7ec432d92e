"""Events of a video: the contrast-threshold model of v2e (arXiv 2006.07722) and ESIM, seeded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import SpikeError

Frames = Iterator[tuple[float, np.ndarray]]  # time in µs, gray (H, W) in 0 … 255
LEAST = 0.01  # of a pixel's threshold
MOST_NOISE = 100_000  # Hz
LINEAR_BELOW = 20.0  # of 255: where v2e's logarithm gives way to a line


@dataclass(frozen=True)
class Pixel:
    """The pixels of a simulated camera; the noise is off at first, so that a video gives the same events again.

    `on` and `off` are thresholds of log intensity, `mismatch` the standard deviation of each over the pixels. A pixel
    is silent for `refractory` µs after an event. `leak` is a rate in Hz of events that nothing causes and that are all
    brighter, `shot` one of events of either sign.
    """

    on: float = 0.2
    off: float = 0.2
    mismatch: float = 0.0
    refractory: float = 0.0
    leak: float = 0.0
    shot: float = 0.0

    def __post_init__(self) -> None:
        noises = self.mismatch, self.refractory, self.leak, self.shot
        fine = min(self.on, self.off) >= LEAST and min(noises) >= 0 and max(self.leak, self.shot) <= MOST_NOISE
        if not fine or not all(map(math.isfinite, (self.on, self.off, *noises))):
            raise SpikeError(
                f"found a threshold below {LEAST}, a noise below 0 or above {MOST_NOISE:,} Hz; wanted thresholds such "
                "as 0.2, noise such as 1"
            )


def log_intensity(gray: np.ndarray) -> np.ndarray:
    """Return v2e's lin-log of gray values (H, W) in 0 … 255: ln(I) from 20 on, a line through 0 below."""
    gray = gray.astype(np.float64)
    # L = ln I for I > 20, else I · ln(20)/20 (2006.07722, section 3).
    return np.where(gray > LINEAR_BELOW, np.log(np.maximum(gray, 1)), gray * math.log(LINEAR_BELOW) / LINEAR_BELOW)


def simulate(frames: Iterable[tuple[float, np.ndarray]], pixel: Pixel, seed: int) -> Iterator[np.ndarray]:
    """Yield the events (n,), dtype EVENT, between each two frames (time in µs, gray (H, W) in 0 … 255), by time.

    Raise SpikeError if the frames differ in size or their times do not rise.
    """
    rng = np.random.default_rng(seed)
    last: tuple[float, np.ndarray] | None = None
    for when, gray in frames:
        now = log_intensity(gray)
        if last is None:
            on, off = (_thresholds(mean, pixel.mismatch, now.shape, rng) for mean in (pixel.on, pixel.off))
            memory, fired = now.copy(), np.full(now.shape, -math.inf)
            last = when, now
            continue
        if now.shape != last[1].shape or when <= last[0]:
            raise SpikeError(
                f"found a frame of {now.shape[1]} x {now.shape[0]} pixels at {when:.0f} µs after one of "
                f"{last[1].shape[1]} x {last[1].shape[0]} at {last[0]:.0f} µs; wanted one size, and times that rise"
            )
        span = when - last[0]
        memory = memory - on * pixel.leak * span / 1e6  # a leak lowers the memory, so that ON events come
        events, memory = _crossings(last, (when, now), memory, (on, off))
        if pixel.shot:
            events = np.concatenate([events, _shot(pixel.shot, now.shape, last[0], span, rng)])
        events = events[np.lexsort((events["x"], events["y"], events["t"]))]
        yield _rested(events, fired, pixel.refractory) if pixel.refractory else events
        last = when, now


def _thresholds(mean: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return np.maximum(mean + spread * rng.standard_normal(shape), LEAST)


def _crossings(
    before: tuple[float, np.ndarray],
    after: tuple[float, np.ndarray],
    memory: np.ndarray,
    thresholds: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return an event at each crossing of a threshold, and the memory afterwards.

    n = ⌊|L − m|/θ⌋ events (2006.07722). The k-th lies where L, taken as linear between the frames, meets m ± k·θ.
    """
    (begin, old), (end, new) = before, after
    rise = new - memory
    theta = np.where(rise > 0, *thresholds)
    count = np.floor(np.abs(rise) / theta + 1e-9).astype(np.int64)
    y, x = np.nonzero(count)
    n = count[y, x]
    rank = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + 1
    sign = np.sign(rise)
    level = np.repeat(memory[y, x], n) + np.repeat((sign * theta)[y, x], n) * rank
    slope = np.repeat(new[y, x] - old[y, x], n)
    away = level - np.repeat(old[y, x], n)
    share = np.divide(away, slope, out=np.ones_like(away), where=slope != 0).clip(0, 1)
    events = np.empty(len(rank), EVENT)
    events["x"], events["y"], events["p"] = np.repeat(x, n), np.repeat(y, n), np.repeat(rise[y, x] > 0, n)
    events["t"] = (begin + share * (end - begin)).round()
    return events, memory + sign * theta * count


def _shot(rate: float, shape: tuple[int, ...], begin: float, span: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of `rate` Hz a pixel, anywhere in the span."""
    events = np.empty(rng.poisson(rate * shape[0] * shape[1] * span / 1e6), EVENT)
    events["t"] = (begin + rng.random(len(events)) * span).round()
    for axis, top in (("x", shape[1]), ("y", shape[0]), ("p", 2)):
        events[axis] = rng.integers(0, top, len(events))
    return events


def _rested(events: np.ndarray, fired: np.ndarray, refractory: float) -> np.ndarray:
    """Return the events that come at least `refractory` µs after the last one of their pixel; `fired` is updated."""
    kept = np.zeros(len(events), bool)
    for number, (x, y, t, _) in enumerate(events.tolist()):
        if t - fired[y, x] >= refractory:
            kept[number], fired[y, x] = True, t
    return events[kept]
