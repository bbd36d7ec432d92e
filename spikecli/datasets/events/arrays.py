"""Decoders of events stored as arrays: .npy, .npz and HDF5, with the usual names and orders; nothing is unpickled."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, broken, claimed, one_stream, other_streams, sensor_of
from spikecli.datasets.events.tables import checked_columns, columns_by_name, columns_of_table
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.gate import DAMAGE, allowed_bytes, reason_of
from spikecli.files.hdf5 import Stored, stored
from spikecli.files.npy import plain_array

_GROUPS = ("", "events/", "CD/events/", "prophesee/left/", "prophesee/right/")  # DSEC, event_utils; M3ED
# One array of events: v2e and others, Metavision, N-ImageNet, MVSEC with a camera left and right.
_ARRAYS = ("events", "CD/events", "event_data", "data", "arr_0", "davis/left/events", "davis/right/events")


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

            return _from_keys(path, set(members), load, options)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # not to be opened, which says nothing of its contents
            raise
        broken(path, f"no plain arrays ({reason_of(error)})", "arrays of numbers saved by numpy, without objects")


def read_h5(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of an HDF5 file: data sets x, y, t, p at the top or under events/, or one of events."""
    with stored(path, "give an HDF5 file with data sets x, y, t, p") as file:
        keys = file.names()

        def load(key: str) -> np.ndarray:
            dataset = file.dataset(key, "fiubV")
            claimed(path, math.prod(dataset.shape or ()))
            return file.values(dataset)

        columns = _from_keys(path, keys, load, options)
        offset = int(file.array("t_offset", "iu")) if "t_offset" in keys and file.file["t_offset"].shape == () else 0
        return columns._replace(t=columns.t + offset, size=_sensor(file, columns))


def _sensor(file: Stored, columns: Columns) -> Size | None:
    """Return the sensor that a file names by width and height, geometry, or sensor_resolution; else None."""
    attributes = file.file.attrs
    if {"width", "height"} <= set(attributes):
        return sensor_of(file.path, str(file.number("width", 1, 1 << 15)), str(file.number("height", 1, 1 << 15)))
    if isinstance(words := attributes.get("geometry"), str | bytes):  # Metavision: "1280x720"
        text = words.decode("latin-1") if isinstance(words, bytes) else words
        match = re.fullmatch(r"\s*(\d+)\s*[x×,]\s*(\d+)\s*", text)
        return sensor_of(file.path, match[1], match[2]) if match else None
    for name, rows_first in (("sensor_resolution", True), ("geometry", False), ("resolution", False)):
        sides = np.ravel(np.asarray(attributes.get(name, ())))
        if len(sides) in (2, 3) and sides.dtype.kind in "iuf" and (sides[:2] > 0).all():
            return _sides(int(sides[0]), int(sides[1]), rows_first, columns)
    return None


def _sides(first: int, second: int, rows_first: bool, columns: Columns) -> Size | None:
    """Return two sides as width and height: event_utils writes height first, some writers width."""
    choices = [(second, first), (first, second)] if rows_first else [(first, second), (second, first)]
    right, bottom = (int(axis.max(initial=0)) for axis in (columns.x, columns.y))
    return next((size for size in choices if right < size[0] and bottom < size[1]), None)


def _from_keys(path: Path, keys: set[str], load: Callable[[str], np.ndarray], options: ReadOptions) -> Columns:
    """Return the events of a file of named arrays: four arrays x, y, t, p, or one."""
    sources: list[tuple[str, dict[str, str]]] = []
    for group in _GROUPS:
        named = columns_by_name(tuple(key.removeprefix(group) for key in keys if key.startswith(group)))
        if len(named) == 4:
            sources.append((group.strip("/"), {axis: group + name for axis, name in named.items()}))
    sources += [(key, {}) for key in _ARRAYS if key in keys]
    if not sources:
        found = ", ".join(sorted(keys)[:8]) or "nothing"
        raise SpikeError(f"{path} has {found}; wanted arrays x, y, t (µs), p, or events; rename them")
    streams = {number: f" ({name})" if name else "" for number, (name, _) in enumerate(sources)}
    for chosen in one_stream(path, streams, options.stream):
        name, four = sources[chosen]
        if name.startswith("CD/") or "t_offset" in keys:  # Metavision and DSEC, whose times are µs however slow
            options = replace(options, time_unit=options.time_unit or "us")
        if four:
            columns = checked_columns(path, {axis: load(key) for axis, key in four.items()}, options)
        else:
            columns = _from_array(path, load(name), options)
        if len(columns.t):
            break
    return columns._replace(notes=(*columns.notes, *other_streams(streams, chosen, options.stream)))


def _from_array(path: Path, array: np.ndarray, options: ReadOptions) -> Columns:
    if array.dtype.names is None:
        return columns_of_table(path, array, options)
    named = columns_by_name(array.dtype.names)
    if len(named) < 4:
        raise SpikeError(f"{path} has fields {', '.join(array.dtype.names)}; wanted x, y, t (µs), p; rename them")
    return checked_columns(path, {axis: array[name] for axis, name in named.items()}, options)
