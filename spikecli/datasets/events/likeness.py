"""Notes on a recording that is far from those a network was trained on: its sensor, or its rate of events."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.recording import Recording
from spikecli.datasets.events.split import EventSplit

FAR = 1.5  # factor on a side of the sensor from which a recording is said to be unlike the training data
FAR_RATE = 3.0  # factor beyond the slowest or fastest of them, in events a second
_LOOKED_AT = 200  # recordings of a split, spread over it


def far_notes(recording: Recording, facts: EventFacts, sensor: bool = True) -> tuple[str, ...]:
    """Return the notes on a recording for a network trained on the data set of `facts`; none if it is like them.

    `sensor` is False if the reader has compared the sensors.
    """
    size = unlike(recording.width, recording.height, facts.sensor) if sensor else ""
    notes = size, unlike_rate(rate_of(recording), facts.rates)
    return tuple(note for note in notes if note)


def unlike(width: int, height: int, sensor: tuple[int, int]) -> str:
    """Return a note if a recording's sensor is far from that of the training data (width, height), else nothing."""
    if not min(sensor) or all(1 / FAR < a / b < FAR for a, b in zip((width, height), sensor, strict=True)):
        return ""
    return (
        f"its sensor of {width} × {height} pixels is far from the {sensor[0]} × {sensor[1]} of the recordings that the "
        "network was trained on"
    )


def unlike_rate(rate: float | None, rates: tuple[float, float]) -> str:
    """Return a note if a rate is far below or above those of the training data (slowest, fastest), else nothing.

    All are in events a second; a rate of None, or of (0, 0), is not known.
    """
    if rate is None or not rates[1] or rates[0] / FAR_RATE < rate < rates[1] * FAR_RATE:
        return ""
    side = "below" if rate < rates[0] else "above"
    return (
        f"its {rate:,.0f} events a second are far {side} the {rates[0]:,.0f} to {rates[1]:,.0f} of the recordings that "
        "the network was trained on: another camera setting, another scene, or a wrong unit of time"
    )


def rate_of(recording: Recording) -> float | None:
    """Return the events a second of a recording; None if it has no length."""
    t = recording.events["t"]
    return _rate(len(t), int(t[-1] - t[0]) if len(t) else 0)


def _rate(events: int, span: int) -> float | None:
    """Return the events a second of so many within `span` µs; None without a length."""
    return events / (span / 1e6) if span > 0 else None


def rates_of(split: EventSplit) -> tuple[float, float]:
    """Return the slowest and fastest rate of a split in events a second, of some recordings spread over it."""
    if not len(split):
        return 0.0, 0.0
    places = np.unique(np.linspace(0, len(split) - 1, _LOOKED_AT).astype(np.int64))
    counts = np.diff(split.offsets)[places].tolist()
    return _ends(map(_rate, counts, split.spans(places)))


def _ends(rates: Iterable[float | None]) -> tuple[float, float]:
    known = [rate for rate in rates if rate is not None]
    return (float(f"{min(known):.4g}"), float(f"{max(known):.4g}")) if known else (0.0, 0.0)
