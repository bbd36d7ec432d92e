"""Decode all recordings of a data set in a fixed order, on every core if that saves time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from spikecli.datasets.events.columns import Columns, Size
from spikecli.datasets.events.layouts import EventItem
from spikecli.datasets.events.recording import check_events, decode
from spikecli.datasets.events.store import Batch
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.machine.workers import cores, pool

_TASK_BYTES = 4 << 20  # of files, for a worker to take at a time
_TASK_ITEMS = 256
_WORTH_A_POOL = 64 << 20  # bytes; less is decoded before a pool has started
_LONGEST = (1 << 32) - 1  # µs, 71 minutes: the time since the first event is kept in 32 bits


T = TypeVar("T")


class Decoded(NamedTuple):
    """Some recordings, and what was guessed or left out in reading their files: lines that begin with the path."""

    batch: Batch
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Decoding:
    """Settings for decoding the files of a data set: `turned` formats were recorded with the camera on its side."""

    turned: tuple[str, ...] = ()
    options: ReadOptions = AS_FOUND


def decode_all(
    items: Sequence[EventItem],
    size: Size,
    on_step: Callable[[int], None],
    workers: int | None = None,
    how: Decoding = Decoding(),
    on_notes: Callable[[tuple[str, ...]], None] = lambda notes: None,
) -> Iterator[Batch]:
    """Yield the recordings of `items` in order; raise SpikeError at the first damaged one."""
    for batch, notes in _shared(decode_batch, items, size, workers, how):
        on_step(len(batch.counts))
        on_notes(notes)
        yield batch


def find_bad(
    items: Sequence[EventItem], size: Size, workers: int | None = None, how: Decoding = Decoding()
) -> dict[EventItem, str]:
    """Return the damaged recordings among `items`, each with the reason; all of them are decoded."""
    return {item: reason for found in _shared(_bad_in, items, size, workers, how) for item, reason in found.items()}


def _bad_in(items: Sequence[EventItem], size: Size, how: Decoding) -> dict[EventItem, str]:
    try:
        decode_batch(items, size, how)
    except SpikeError as problem:
        if len(items) == 1:
            return {items[0]: str(problem)}
        return {item: reason for one in items for item, reason in _bad_in([one], size, how).items()}
    return {}


def _tasks(items: Sequence[EventItem]) -> tuple[list[list[EventItem]], int]:
    """Return shares of the work, with all recordings of a file in one share, and the bytes of all files."""
    tasks: list[list[EventItem]] = []
    room, total = 0, 0
    for path, group in groupby(items, key=lambda item: item.path):
        size, parts = path.stat().st_size, list(group)
        if room <= 0 or len(tasks[-1]) >= _TASK_ITEMS:
            tasks.append([])
            room = _TASK_BYTES
        tasks[-1].extend(parts)
        room -= size
        total += size
    return tasks, total


def _shared(
    work: Callable[[list[EventItem], Size, Decoding], T],
    items: Sequence[EventItem],
    size: Size,
    workers: int | None,
    how: Decoding,
) -> Iterator[T]:
    """Yield the answer of `work` for each share of the items, in order."""
    tasks, total = _tasks(items)
    workers = workers or (1 if total < _WORTH_A_POOL else cores())
    if workers == 1:
        yield from (work(task, size, how) for task in tasks)
        return
    ahead: deque[Future[T]] = deque()
    with pool(workers) as executor:
        for task in tasks:
            ahead.append(executor.submit(work, task, size, how))
            if len(ahead) > 4 * workers:  # the writer must not be outrun by more than fits in memory
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def decode_batch(items: Sequence[EventItem], size: Size, how: Decoding = Decoding()) -> Decoded:
    """Return the recordings of `items`; raise SpikeError if one is damaged or exceeds the sensor `size`."""
    narrow = np.dtype("u1" if max(size) <= 256 else "<u2")
    parts: list[np.ndarray] = []
    notes: list[str] = []
    for path, group in groupby(items, key=lambda item: item.path):
        columns = decode(path, how.options)
        if columns.format in how.turned:
            columns = columns.turned()
        notes += [f"{path}: {note}" for note in columns.notes]
        parts.extend(_part(columns, item, path, size) for item in group)
    counts = np.array([len(events) for events in parts], np.int64)
    starts = np.array([events["t"][0] for events in parts], np.int64)
    events = np.concatenate(parts)
    since = events["t"] - np.repeat(starts, counts)
    batch = Batch(
        events["x"].astype(narrow), events["y"].astype(narrow), since.astype("<u4"), events["p"].copy(), counts, starts
    )
    return Decoded(batch, tuple(notes))


def _part(columns: Columns, item: EventItem, path: Path, size: Size) -> np.ndarray:
    if item.start is not None and item.end is not None:
        columns = columns.between(item.start, item.end)
        if not len(columns.t):
            raise SpikeError(
                f"{path} holds no events from {item.start} to {item.end} µs, where its labels have a recording; "
                "wanted some; unpack the data set again"
            )
    events = check_events(columns, path, size).events
    length = int(events["t"][-1] - events["t"][0])
    if length > _LONGEST:
        raise SpikeError(f"{path} lasts {length} µs; wanted at most {_LONGEST} (71 minutes); cut the recording")
    return events
