"""Decoders of events stored as arrays: .npy, .npz and HDF5, with the usual names and orders; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, broken, claimed, one_stream, other_streams
from spikecli.datasets.events.names import columns_by_name, with_unit
from spikecli.datasets.events.sensors import SENSOR_NAMES, sensor_among
from spikecli.datasets.events.tables import checked_columns, columns_of_table
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.gate import DAMAGE, allowed_bytes, reason_of
from spikecli.files.hdf5 import Stored, stored
from spikecli.files.npy import plain_array

_GROUPS = ("", "events/", "CD/events/", "prophesee/left/", "prophesee/right/")  # DSEC, event_utils; M3ED
# One array of events: v2e and others, Metavision, N-ImageNet, MVSEC with a camera left and right.
_ARRAYS = ("events", "CD/events", "event_data", "data", "arr_0", "davis/left/events", "davis/right/events")
_SIDE, _STEP = 256, 1000  # of ES-ImageNet: pixels, and µs that one of its eight steps is given
_SMALL = 1 << 10  # bytes of an array that may name the sensor


def read_npy(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of a .npy file: fields x, y, t, p, or four columns (see `columns_of_table`)."""
    data = path.read_bytes()
    try:
        array = plain_array(data)
    except DAMAGE as error:
        broken(path, f"no plain array ({reason_of(error)})", "an array of numbers saved by numpy, without objects")
    return _from_array(path, array, options)


def read_npz(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of a .npz file: arrays x, y, t, p, or one array of events as in a .npy file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(info.filename).stem: info for info in archive.infolist()}
            if sum(info.file_size for info in members.values()) > allowed_bytes(path):
                broken(path, "arrays that unpack to far more than the file holds", "the arrays of a recording")

            def load(key: str) -> np.ndarray:
                return plain_array(archive.read(members[key]))  # no more than the size that was looked at

            if {"pos", "neg"} <= set(members) and not _sources(set(members)):
                return _by_sign(path, load)
            columns, _ = _from_keys(path, set(members), load, options)
            small = [name for name in members if members[name].file_size < _SMALL and name.lower() in SENSOR_NAMES]
            return columns._replace(size=sensor_among(path, {name.lower(): load(name) for name in small}, columns))
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # not to be opened, which says nothing of its contents
            raise
        broken(path, f"no plain arrays ({reason_of(error)})", "arrays of numbers saved by numpy, without objects")


def _by_sign(path: Path, load: Callable[[str], np.ndarray]) -> Columns:
    """Return the events of ES-ImageNet's arrays `neg` and `pos`: row, column and step, 1 to 8, of each event.

    A step counts as one millisecond, and the sensor has 256 × 256 pixels, as its makers say (arXiv 2110.12211). Raise
    SpikeError if an array has other columns.
    """
    parts = [load(name) for name in ("neg", "pos")]
    if any(part.ndim != 2 or part.shape[1] != 3 or part.dtype.kind not in "ui" for part in parts):
        shapes = " and ".join(str(part.shape) for part in parts)
        broken(path, f"arrays neg and pos of shapes {shapes}", "three whole numbers an event: row, column and step")
    y, x, step = np.concatenate(parts).astype(np.int64).T
    p = np.repeat(np.arange(2, dtype=np.uint8), [len(part) for part in parts])
    order = np.argsort(step, kind="stable")
    found = {"x": x[order], "y": y[order], "t": (step[order] - 1) * _STEP, "p": p[order]}
    size = (_SIDE, _SIDE) if not len(x) or max(x.max(), y.max()) < _SIDE else None
    return checked_columns(path, found, ReadOptions(time_unit="us"))._replace(size=size)


def read_h5(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of an HDF5 file: data sets x, y, t, p at the top or under events/, or one of events."""
    with stored(path, "give an HDF5 file with data sets x, y, t, p") as file:
        keys = file.names()

        def load(key: str) -> np.ndarray:
            dataset = file.dataset(key, "fiubV")
            claimed(path, math.prod(dataset.shape or ()))
            return file.values(dataset)

        columns, place = _from_keys(path, keys, load, options)
        around = [place.rsplit("/", up)[0] if up else place for up in range(place.count("/") + 1)] + [""]
        offset = _offset(
            file, [f"{one}/t_offset".lstrip("/") for one in around if f"{one}/t_offset".lstrip("/") in keys]
        )
        sizes = (sensor_among(path, _beside(file, one, keys), columns) for one in around)
        return columns._replace(t=columns.t + offset, size=next((size for size in sizes if size), None))


def _offset(file: Stored, names: list[str]) -> int:
    """Return the µs that DSEC adds to all times, 0 without them; raise ValueError if they are several numbers."""
    return int(np.ravel(file.array(names[0], "iu")).item()) if names else 0


def _beside(file: Stored, place: str, keys: set[str]) -> dict[str, object]:
    """Return what the group or data set at `place` says of the sensor, as attributes or small data sets, by name."""
    there = file.file[place] if place else file.file
    known = (name for name in there.attrs if name.lower() in SENSOR_NAMES)
    found: dict[str, object] = {name.lower(): file.attribute(there, name) for name in known}
    for key in keys:
        group, _, name = key.rpartition("/")
        if group == place and name.lower() in SENSOR_NAMES and file.dataset(key, "fiuSO").size < 4:
            found.setdefault(name.lower(), file.values(file.dataset(key, "fiuSO")))
    return found


def _sources(keys: set[str]) -> list[tuple[str, dict[str, str]]]:
    """Return where a file of named arrays has events: groups with the four arrays of each, and single arrays."""
    sources: list[tuple[str, dict[str, str]]] = []
    for group in dict.fromkeys((*_GROUPS, *sorted(f"{key.rpartition('/')[0]}/".lstrip("/") for key in keys))):
        inside = [key.removeprefix(group) for key in keys if key.startswith(group)]
        named = columns_by_name([name for name in inside if "/" not in name])
        if len(named) == 4:
            sources.append((group.strip("/"), {axis: group + name for axis, name in named.items()}))
    others = sorted(key for key in keys if key.rpartition("/")[2] == "events")
    return sources + [(key, {}) for key in dict.fromkeys((*_ARRAYS, *others)) if key in keys]


def _from_keys(
    path: Path, keys: set[str], load: Callable[[str], np.ndarray], options: ReadOptions
) -> tuple[Columns, str]:
    """Return the events of a file of named arrays, four arrays x, y, t, p, or one; and their group or array."""
    sources = _sources(keys)
    if not sources:
        found = ", ".join(sorted(keys)[:8]) or "nothing"
        raise SpikeError(f"{path} has {found}; wanted arrays x, y, t (µs), p, or events; rename them")
    streams = {number: f" ({name})" if name else "" for number, (name, _) in enumerate(sources)}
    for chosen in one_stream(path, streams, options.stream):
        name, four = sources[chosen]
        if name.startswith("CD/") or any(key.endswith("t_offset") for key in keys):  # Metavision and DSEC say µs
            options = replace(options, time_unit=options.time_unit or "us")
        if four:
            columns = checked_columns(
                path, {axis: load(key) for axis, key in four.items()}, with_unit(options, four["t"].rpartition("/")[2])
            )
        else:
            columns = _from_array(path, load(name), options)
        if len(columns.t):
            break
    return columns._replace(notes=(*columns.notes, *other_streams(streams, chosen, options.stream))), name


def _from_array(path: Path, array: np.ndarray, options: ReadOptions) -> Columns:
    if array.dtype.names is None:
        return columns_of_table(path, array, options)
    named = columns_by_name(array.dtype.names)
    if len(named) < 4:
        raise SpikeError(f"{path} has fields {', '.join(array.dtype.names)}; wanted x, y, t (µs), p; rename them")
    return checked_columns(path, {axis: array[name] for axis, name in named.items()}, with_unit(options, named["t"]))
