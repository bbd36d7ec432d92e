"""Prepared event recordings: one HDF5 file a split under DATA_DIR/NAME, and the record that names the current ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spikecli.datasets.events.columns import Size
from spikecli.datasets.record import RecordOf, part_of
from spikecli.files.gate import at_least
from spikecli.files.hdf5 import atomic_hdf5

FORMAT = 1  # raise it when the meaning of a prepared file changes
RECORD = RecordOf("events", part={"events": at_least(0)})
_ROWS = 1 << 16  # events in a chunk of the file


class Batch(NamedTuple):
    """Some recordings one after the other: columns in the types they are stored in, t since each one's first event."""

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray  # uint32, µs
    p: np.ndarray  # uint8
    counts: np.ndarray  # int64, events of each recording
    starts: np.ndarray  # int64, time of each one's first event, µs


def write_split(
    path: Path,
    batches: Iterable[Batch],
    labels: Sequence[int],
    names: Sequence[str],
    classnames: Sequence[str],
    size: Size,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Write `batches` to an HDF5 file, whole or not at all; return what the record says of it."""
    narrow = "u1" if max(size) <= 256 else "<u2"
    kinds = {"x": narrow, "y": narrow, "t": "<u4", "p": "u1"}
    import h5py

    text = h5py.string_dtype("utf-8")
    counts, starts = [np.zeros(1, np.int64)], [np.empty(0, np.int64)]
    digest = begin_hash(labels, names, classnames, size)
    with atomic_hdf5(path) as file:
        columns = {
            axis: file.create_dataset(axis, (0,), k, maxshape=(None,), chunks=(_ROWS,)) for axis, k in kinds.items()
        }
        total = 0
        for batch in batches:
            total += len(batch.t)
            for axis, column in columns.items():
                column.resize((total,))
                column[total - len(batch.t) :] = getattr(batch, axis)
            hash_batch(digest, batch)
            counts.append(batch.counts)
            starts.append(batch.starts)
        offsets = np.cumsum(np.concatenate(counts))
        file.create_dataset("offsets", data=offsets)
        file.create_dataset("starts", data=np.concatenate(starts))
        file.create_dataset("labels", data=np.asarray(labels, np.int64))
        file.create_dataset("names", data=list(names), dtype=text)
        file.create_dataset("classnames", data=list(classnames), dtype=text)
        file.attrs.update(width=size[0], height=size[1], sha256=digest.hexdigest(), settings=json.dumps(settings))
    return part_of(path, len(labels), digest.hexdigest(), events=total)


def begin_hash(labels: Sequence[int], names: Sequence[str], classnames: Sequence[str], size: Size) -> hashlib._Hash:
    """Return a sha256 that has taken in everything of a split but its events."""
    return hashlib.sha256(json.dumps([list(labels), list(names), list(classnames), list(size)]).encode())


def hash_batch(digest: hashlib._Hash, batch: Batch) -> None:
    """Add a batch recording by recording, so that the hash does not depend on how recordings were batched."""
    ends = np.cumsum(batch.counts)
    for begin, end, start in zip(ends - batch.counts, ends, batch.starts, strict=True):
        digest.update(int(start).to_bytes(8, "little", signed=True))
        for column in batch[:4]:
            digest.update(np.ascontiguousarray(column[begin:end]).data)
