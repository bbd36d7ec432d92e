"""Event-camera recordings: one structured array and the sensor size, for every file format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import EVENT, Bounds, Columns, Size
from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.formats import DECODERS
from spikecli.datasets.events.sensors import sensor_around
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError, named
from spikecli.files.gate import reading

__all__ = ["EVENT", "Recording", "check_events", "decode", "read_events", "read_own"]

# Cameras deliver packets, and two packets may overlap by a little: steps back of up to a millisecond are sorted out,
# anything longer is a broken file (a timestamp reset, two recordings in one, a wrong format).
BACKWARD_TOLERANCE = 1_000


@dataclass(frozen=True)
class Recording:
    """The events of one recording in time order, EVENT dtype: x, y in pixels, t in µs, p 0 (darker) or 1 (brighter).

    `notes` say what was guessed or passed over in reading it, a line each.
    """

    events: np.ndarray
    width: int
    height: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.events)


def read_events(
    path: Path | str, size: Size | None = None, options: ReadOptions = AS_FOUND, expected: Size | None = None
) -> Recording:
    """Return the recording in `path`; `options` override the file and any guess.

    `size` (width, height) is that of the data set the file is from; `expected` is the sensor of the data that a network
    was trained on, taken where the file names none and its events fit. Raise SpikeError if the format is unknown, the
    file is broken or empty, a coordinate lies outside the sensor, or time runs backwards by more than
    BACKWARD_TOLERANCE.
    """
    path = Path(path)
    return check_events(decode(path, options), path, options.sensor or size, expected)


def read_own(path: Path, options: ReadOptions = AS_FOUND, facts: EventFacts | None = None) -> Recording:
    """Return the recording in `path`, for a network trained on the data set of `facts`, if known.

    If the file names no sensor, it is that data set's. A file of the data set itself is turned as in preparation.
    `options.on_note` is called with the guesses. Raise SpikeError as `read_events` does.
    """
    columns = decode(path, options)
    if facts is not None and columns.format in facts.turned and re.fullmatch(facts.pattern, path.name):
        note = f"turned, as the camera of {facts.name} lay on its side"
        columns = columns.turned()._replace(notes=(*columns.notes, note))
    recording = check_events(columns, path, options.sensor, facts.sensor if facts else None)
    if recording.notes:
        options.on_note(path, recording.notes)
    return recording


def decode(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the columns of `path`, unchanged and in the file's order; raise SpikeError as `read_events` does."""
    decoder = DECODERS.get(path.suffix.lower())
    if decoder is None:
        known = " ".join(DECODERS)
        raise SpikeError(f"{path} is no event recording that can be read here; wanted one of {known}; convert it")
    with reading(path, "check that it is an event recording, or cut it into shorter ones"):
        return decoder(path, options)


def check_events(columns: Columns, path: Path, size: Size | None = None, expected: Size | None = None) -> Recording:
    """Return the recording of `columns`, sorted by time; raise SpikeError if they are invalid or time runs far back."""
    count = len(columns.t)
    if count == 0:
        raise SpikeError(f"{path} holds no events; wanted at least one; remove this recording, or record it again")
    bounds = columns.extremes()
    (width, height), note = (size, "") if size else _sensor(columns.size, bounds, path, expected)
    _check_inside(columns, bounds, width, height, path)
    events = _in_order(columns, None if bounds.in_order else _time_order(columns.t, path))
    return Recording(events, width, height, (*columns.notes, *([note] if note else [])))


def _in_order(columns: Columns, order: np.ndarray | None) -> np.ndarray:
    """Return the events in this order, or unchanged without one; those that are one array already are not copied."""
    if columns.events is not None:
        return columns.events if order is None else columns.events[order]
    events = np.empty(len(columns.t), EVENT)
    for name, column in zip("xytp", (columns.x, columns.y, columns.t, columns.p), strict=True):
        events[name] = column if order is None else column[order]
    return events


def _sensor(named_in_file: Size | None, bounds: Bounds, path: Path, expected: Size | None) -> tuple[Size, str]:
    """Return the sensor that the file names, the expected one, or a guess; and a note on a guess or a difference."""
    fits = expected is not None and bounds.right < expected[0] and bounds.bottom < expected[1]
    beside = f"; the network was trained on {expected[0]} x {expected[1]}" if expected else ""
    if named_in_file:
        width, height = named_in_file
        differs = expected is not None and expected != named_in_file
        cure = f"; {named('sensor')} {expected[0]}x{expected[1]} reads it so" if expected and fits else ""
        return named_in_file, f"its sensor has {width} x {height} pixels{beside}{cure}" if differs else ""
    if expected and fits:
        return expected, ""
    size, note = sensor_around(bounds.right, bounds.bottom, path)
    return size, note + beside


def _check_inside(columns: Columns, bounds: Bounds, width: int, height: int, path: Path) -> None:
    left, top, least = (_least(column) for column in (columns.x, columns.y, columns.p))
    right, bottom, most, _ = bounds
    if left < 0 or top < 0 or right >= width or bottom >= height:
        corner = (left if left < 0 else right, top if top < 0 else bottom)
        raise SpikeError(
            f"{path} has events out to {corner}, outside its sensor; wanted 0 to {width - 1} and 0 to {height - 1}; "
            "check that the recording is of this data set and format"
        )
    if least < 0 or most > 1:
        raise SpikeError(f"{path} has polarities beyond 0 and 1; wanted 0 for darker and 1 for brighter; convert them")


def _least(column: np.ndarray) -> int:
    return 0 if column.dtype.kind == "u" else int(column.min())


def _time_order(t: np.ndarray, path: Path) -> np.ndarray:
    """Return the stable order by time, of events that are not in it."""
    # Against the latest time so far: many small steps back must not add up to a large one unseen.
    latest = np.maximum.accumulate(t)
    worst = int(np.argmax(latest - t))
    step = int(latest[worst] - t[worst])
    if step > BACKWARD_TOLERANCE:
        raise SpikeError(
            f"{path}: time runs backwards by {step} µs at event {worst}; wanted events in order of time "
            f"(up to {BACKWARD_TOLERANCE} µs are sorted out); cut or sort the recording"
        )
    return np.argsort(t, kind="stable")
