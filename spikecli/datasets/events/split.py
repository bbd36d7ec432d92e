"""A prepared split of event recordings: its attributes, its recordings, and batches of its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.events.frames import Slicing, count_frames
from spikecli.datasets.events.recording import EVENT, Recording
from spikecli.datasets.events.store import RECORD, Batch, begin_hash, hash_batch
from spikecli.datasets.facts_file import prepare_again
from spikecli.datasets.record import current_part
from spikecli.errors import SpikeError
from spikecli.files.hdf5 import Stored, check_labels, stored

_EVENTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class EventSplit:
    """A prepared split: attributes of its recordings in memory; events stay in the file until they are read."""

    path: Path
    dataset: str
    split: str
    classnames: tuple[str, ...]
    labels: np.ndarray  # int64 (S,), places in classnames
    names: tuple[str, ...]
    offsets: np.ndarray  # int64 (S + 1,): recording i holds events offsets[i] … offsets[i + 1] − 1
    starts: np.ndarray  # int64 (S,), time of the first event, µs
    width: int
    height: int
    fingerprint: str  # sha256 of the content

    def __len__(self) -> int:
        return len(self.labels)

    def recording(self, index: int) -> Recording:
        """Return recording `index`, 0 … len − 1; raise SpikeError if it is out of range."""
        if not 0 <= index < len(self):
            raise SpikeError(f"found no recording {index} in {self.dataset}:{self.split}; wanted 0 to {len(self) - 1}")
        with stored(self.path, prepare_again(self.path)) as file:
            begin, end = int(self.offsets[index]), int(self.offsets[index + 1])
            events = np.empty(end - begin, EVENT)
            for axis, column in zip("xytp", self.columns(file, begin, end), strict=True):
                events[axis] = column
        events["t"] += self.starts[index]
        return Recording(events, self.width, self.height)

    def spans(self, indices: np.ndarray) -> list[int]:
        """Return the time in µs from first to last event of the recordings at `indices`; 0 of one without events."""
        with stored(self.path, prepare_again(self.path)) as file:
            t = file.dataset("t", "u", int(self.offsets[-1]))
            ends = [(int(self.offsets[index]), int(self.offsets[index + 1])) for index in indices]
            return [int(t[end - 1]) - int(t[begin]) if begin < end else 0 for begin, end in ends]

    def columns(self, file: Stored, begin: int, end: int) -> list[np.ndarray]:
        """Return x, y, t, p of the events from `begin` to before `end`, all of them on the sensor."""
        x, y, t, p = (file.dataset(axis, "u", int(self.offsets[-1]))[begin:end] for axis in "xytp")
        for column, side in ((x, self.width), (y, self.height), (p, 2)):
            if len(column) and int(column.max()) >= side:
                raise ValueError(f"an event at {int(column.max())} of {side}")
        return [x, y, t, p]


def split_frames(split: EventSplit, slicing: Slicing, indices: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Return the counts (S, T, 2, H, W) int32 of the recordings at `indices` (all unless given), in that order.

    Raise SpikeError if a recording has fewer events than there are slices, or an index is out of range.
    """
    chosen = np.arange(len(split)) if indices is None else np.asarray(indices, np.int64)
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(split)):
        raise SpikeError(f"found an index out of {split.dataset}:{split.split}; wanted 0 to {len(split) - 1}")
    counts = np.diff(split.offsets)[chosen]
    short = np.flatnonzero(counts < slicing.timesteps)
    if len(short):
        raise SpikeError(
            f"{split.dataset}:{split.split} recording {split.names[chosen[short[0]]]} has {counts[short[0]]} events; "
            f"wanted at least one for each of {slicing.timesteps} slices; use fewer time steps"
        )
    frames = np.empty((len(chosen), slicing.timesteps, 2, split.height, split.width), np.int32)
    with stored(split.path, prepare_again(split.path)) as file:
        for first, last in _runs(chosen, split.offsets):
            base, end = int(split.offsets[chosen[first]]), int(split.offsets[chosen[last - 1] + 1])
            x, y, t, p = split.columns(file, base, end)
            for place in range(first, last):
                begin, stop = split.offsets[chosen[place]] - base, split.offsets[chosen[place] + 1] - base
                part = slice(begin, stop)
                frames[place] = count_frames(x[part], y[part], t[part], p[part], slicing, split.height, split.width)
    return frames


def _runs(chosen: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield runs of `chosen` that are contiguous in the file and short enough to read at once."""
    first = 0
    for place in range(1, len(chosen) + 1):
        ends = place == len(chosen) or chosen[place] != chosen[place - 1] + 1
        if ends or offsets[chosen[place] + 1] - offsets[chosen[first]] > _EVENTS_AT_ONCE:
            yield first, place
            first = place


def load_events(data_dir: Path, name: str, split: str) -> EventSplit:
    """Return a split of `name` as prepared last; raise SpikeError if it is not prepared or its file is damaged."""
    path, _, part = current_part(data_dir, name, split, RECORD)
    with stored(path, prepare_again(path)) as file:
        classnames, offsets = file.texts("classnames"), file.array("offsets", "i", None).astype(np.int64)
        count = len(offsets) - 1
        if count < 0 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise ValueError("offsets that do not rise from 0")
        if file.text("sha256") != part["fingerprint"]:
            raise SpikeError(f"{path} holds other recordings than its record says; {prepare_again(path)}")
        return EventSplit(
            path=path,
            dataset=name,
            split=split,
            classnames=classnames,
            labels=check_labels(path, file.array("labels", "i", count), len(classnames)),
            names=file.texts("names", count),
            offsets=offsets,
            starts=file.array("starts", "i", count).astype(np.int64),
            width=file.number("width", 1, 1 << 15),
            height=file.number("height", 1, 1 << 15),
            fingerprint=file.text("sha256"),
        )


def split_hash(split: EventSplit, on_step: Callable[[int], None]) -> str:
    """Return the sha256 of a split's content in the file; it equals the fingerprint unless the file is damaged."""
    digest = begin_hash(split.labels.tolist(), split.names, split.classnames, (split.width, split.height))
    counts = np.diff(split.offsets)
    with stored(split.path, prepare_again(split.path)) as file:
        for index in range(len(split)):
            x, y, t, p = split.columns(file, int(split.offsets[index]), int(split.offsets[index + 1]))
            hash_batch(digest, Batch(x, y, t, p, counts[index : index + 1], split.starts[index : index + 1]))
            on_step(1)
    return digest.hexdigest()
