"""Damage to recordings, seeded, in five severities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikecli.datasets.corrupt import Corruption, Generator
from spikecli.datasets.events.recording import EVENT, Recording


def add_noise(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording with extra events, a share of their number, at random pixels and times."""
    events = recording.events
    noise = np.empty(round(share * len(events)), EVENT)
    first, last = _span(events)
    for axis, low, high in (("x", 0, recording.width), ("y", 0, recording.height), ("t", first, last + 1), ("p", 0, 2)):
        noise[axis] = rng.integers(low, high, len(noise))
    return _in_time(recording, np.concatenate([events, noise]))


def drop_events(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording without a random share of its events."""
    return replace(recording, events=recording.events[rng.random(len(recording)) >= share])


def kill_pixels(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording without the events of a random share of the sensor's pixels."""
    alive = rng.random((recording.height, recording.width)) >= share
    return replace(recording, events=recording.events[alive[recording.events["y"], recording.events["x"]]])


def jitter_time(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording with noise N(0, σ²) on its times, σ a share of its duration; times stay in its span."""
    first, last = _span(recording.events)
    events = recording.events.copy()
    late = rng.standard_normal(len(events)) * share * (last - first)
    events["t"] = (events["t"] + np.rint(late).astype(np.int64)).clip(first, last)
    return _in_time(recording, events)


def flip_polarity(recording: Recording, share: float, rng: Generator) -> Recording:
    """Return the recording with the polarity of a random share of its events flipped."""
    events = recording.events.copy()
    events["p"] ^= rng.random(len(events)) < share
    return replace(recording, events=events)


def _span(events: np.ndarray) -> tuple[int, int]:
    return (int(events["t"][0]), int(events["t"][-1])) if len(events) else (0, 0)


def _in_time(recording: Recording, events: np.ndarray) -> Recording:
    return replace(recording, events=events[events["t"].argsort(kind="stable")])


EVENT_CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption(add_noise, (0.1, 0.25, 0.5, 1.0, 2.0), "share of the events"),
    "dropped-events": Corruption(drop_events, (0.25, 0.5, 0.7, 0.8, 0.9), "share of the events"),
    "dead-pixels": Corruption(kill_pixels, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the pixels"),
    "time-jitter": Corruption(jitter_time, (0.01, 0.03, 0.1, 0.2, 0.4), "deviation, as a share of the duration"),
    "polarity-flips": Corruption(flip_polarity, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the events"),
}


def corrupt_recording(recording: Recording, name: str, severity: int, seed: int, index: int = 0) -> Recording:
    """Return a damaged recording; `index`, its place in the split, seeds its random draws."""
    damaged: Recording = EVENT_CORRUPTIONS[name].applied(recording, severity, seed, index, *name.encode())
    return damaged
