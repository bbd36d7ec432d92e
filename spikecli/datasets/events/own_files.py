"""Read a user's recordings for a network that was trained on a data set."""

from __future__ import annotations

import re
from pathlib import Path

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.recording import Recording, check_events, decode
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions


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
