"""Prepared event recordings: one HDF5 file a split under DATA_DIR/NAME, and the record that names the current ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from spikecli.datasets.event_columns import Size
from spikecli.datasets.hdf5 import anew, atomic_hdf5
from spikecli.datasets.record import file_hash
from spikecli.errors import SpikeError
from spikecli.reading import at_least, is_plain_name, read_json
from spikecli.storage import write_text

FORMAT = 1  # raise it when the meaning of a prepared file changes
_RECORD = "prepared.json"
_PART = {"file": is_plain_name, "samples": at_least(0), "sha256": str}
_ROWS = 1 << 16  # events in a chunk of the file


class Batch(NamedTuple):
    """Some recordings one after the other: columns in the types they are stored in, t since each one's first event."""

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray  # uint32, µs
    p: np.ndarray  # uint8
    counts: np.ndarray  # int64, events of each recording
    starts: np.ndarray  # int64, time of each one's first event, µs


def current_entry(data_dir: Path, name: str, kind: str = "events") -> tuple[Path, dict[str, Any]]:
    """Return the folder of a data set and what was prepared there last; SpikeError when nothing was."""
    place = data_dir / name
    entry = read_record(place, kind)
    if entry is None:
        raise SpikeError(f"{name} is not prepared in {data_dir}; run `spikecli data prepare {name}`")
    gone = [part["file"] for part in entry["splits"].values() if not (place / part["file"]).is_file()]
    if gone:
        raise SpikeError(f"{place / gone[0]} has gone; run `spikecli data prepare {name}` again")
    return place, entry


def read_record(place: Path, kind: str = "events") -> dict[str, Any] | None:
    """Return what was prepared last in the folder `place`, or None; SpikeError when its record is damaged."""
    path = place / _RECORD
    if not path.is_file():
        return None
    part = {**_PART, "events": at_least(0)} if kind == "events" else _PART
    shape = {"kind": lambda found: found == kind, "settings": dict, "splits": {str: part}}
    record: dict[str, Any] = read_json(path, shape, f"remove it and prepare {place.name} again")
    return record


def check_file(path: Path, part: dict[str, Any]) -> None:
    """SpikeError when a bit of a prepared file has changed, be it one that lies between its contents.

    Records of the first days have no sum of the whole file: theirs is of the content alone.
    """
    if part.get("file_sha256") not in (None, file_hash(path)):
        raise SpikeError(f"{path} is damaged: its sha256 is not the one it was prepared with; {anew(path)}")


def write_record(place: Path, entry: dict[str, Any], kind: str = "events") -> None:
    """Write `entry` as what was prepared last in the folder `place`, and remove the files of other settings."""
    write_text(place / _RECORD, json.dumps({"kind": kind, **entry}, indent=2) + "\n")
    kept = {part["file"] for part in entry["splits"].values()}
    for path in sorted(place.glob("*-*.h5")):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def write_split(
    path: Path,
    batches: Iterable[Batch],
    labels: Sequence[int],
    names: Sequence[str],
    classnames: Sequence[str],
    size: Size,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Write `batches` to an HDF5 file, whole or not at all; return its name, numbers of recordings and events, sums."""
    narrow = "u1" if max(size) <= 256 else "<u2"
    kinds = {"x": narrow, "y": narrow, "t": "<u4", "p": "u1"}
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
    sums = {"sha256": digest.hexdigest(), "file_sha256": file_hash(path)}
    return {"file": path.name, "samples": len(labels), "events": total, **sums}


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
