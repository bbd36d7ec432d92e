"""Recordings for `view`, and their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.events.recording import Recording, read_own
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.sets import known_names
from spikecli.errors import SpikeError
from spikecli.progress import Progress
from spikecli.view.sources import split_source

BINS = 120  # of the rate over time


@dataclass(frozen=True)
class NamedRecording:
    """A recording with its name; `label` is its class and `dataset` its data set where they are known."""

    name: str
    recording: Recording
    label: str = ""
    dataset: str = ""

    @property
    def ms(self) -> np.ndarray:
        """Return the time (N,) of each event in ms since the first, float64."""
        t = self.recording.events["t"]
        return (t - t[0]) / 1e3

    @property
    def duration(self) -> float:
        """Return the time from the first event to the last in ms."""
        t = self.recording.events["t"]
        return float(t[-1] - t[0]) / 1e3

    @property
    def facts(self) -> str:
        """Return size, length and rate in one line."""
        size = f"{self.recording.width} × {self.recording.height} pixels"
        words = [self.name] if self.label else []
        words += [f"{len(self.recording):,} events", size, f"{self.duration:,.0f} ms"]
        if self.duration:
            words.append(f"{len(self.recording) / self.duration:,.1f} events a ms")
        return " · ".join(words)

    @property
    def title(self) -> str:
        return self.label or self.name


def read_take(
    source: str, data_dir: Path, progress: Progress = Progress(), reading: ReadOptions = AS_FOUND
) -> NamedRecording:
    """Return the recording that `source`, a file or DATASET:SPLIT:INDEX, names; raise SpikeError if there is none.

    The built-in `digits` is prepared if needed.
    """
    if source.split(":")[0] not in known_names(data_dir):
        return NamedRecording(Path(source).stem, read_own(Path(source), reading))
    from spikecli.neuroclip.zeroshot import open_split

    dataset, split, index = split_source(source)
    recordings = open_split(data_dir, dataset, split, progress)
    found = recordings.recording(index)
    if not len(found):
        raise SpikeError(f"{source} holds no events; wanted at least one; look at another recording")
    return NamedRecording(source, found, recordings.classnames[int(recordings.labels[index])], dataset)


def rates(take: NamedRecording) -> tuple[np.ndarray, np.ndarray]:
    """Return bin edges (B + 1,) in ms and the events a ms in each bin, (2, B): darker, brighter."""
    edges = np.linspace(0, max(take.duration, 1e-3), BINS + 1)
    counts = [np.histogram(take.ms[take.recording.events["p"] == p], edges)[0] for p in (0, 1)]
    return edges, np.stack(counts) / (edges[1] - edges[0])


def thin_events(take: NamedRecording, most: int, seed: int) -> np.ndarray:
    """Return the indices of at most `most` events in order of time, drawn at random if there are more."""
    count = len(take.recording)
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def record_of(take: NamedRecording) -> dict[str, Any]:
    """Return the record of a recording for `view --json`."""
    events = take.recording.events
    return {
        "name": take.name,
        "label": take.label or None,
        "events": len(events),
        "brighter": int(events["p"].sum()),
        "duration_ms": take.duration,
        "events_per_ms": len(events) / take.duration if take.duration else None,
        "width": take.recording.width,
        "height": take.recording.height,
        "notes": list(take.recording.notes),
    }
