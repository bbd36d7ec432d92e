"""Decoders of events kept as arrays: .npy, .npz and HDF5, by the names and orders in use; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, broken, claimed
from spikecli.errors import SpikeError
from spikecli.files.gate import DAMAGE, allowed_bytes, reason_of
from spikecli.files.hdf5 import Stored, stored
from spikecli.files.npy import plain_array

_NAMES = {
    "x": ("x", "X", "xs"),
    "y": ("y", "Y", "ys"),
    "t": ("t", "ts", "timestamp", "timestamps", "time"),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
_GROUPS = ("", "events/", "CD/events/")
_ARRAYS = ("events", "CD/events", "data", "arr_0")
_LARGEST = 2.0**62  # of a number that becomes an int64
_ORDERS = ("xytp", "txyp")  # besides tonic's xypt, whose time is in ms


def read_npy(path: Path) -> Columns:
    """Return the events of a .npy file: fields x, y, t, p, or four columns (see `_from_table`)."""
    data = path.read_bytes()
    try:
        array = plain_array(data)
    except DAMAGE as error:
        broken(path, f"no plain array ({reason_of(error)})", "an array of numbers saved by numpy, without objects")
    return _from_array(path, array)


def read_npz(path: Path) -> Columns:
    """Return the events of a .npz file: arrays x, y, t, p, or one array of events as in a .npy file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(info.filename).stem: info for info in archive.infolist()}
            if sum(info.file_size for info in members.values()) > allowed_bytes(path):
                broken(path, "arrays that unpack to far more than the file holds", "the arrays of a recording")

            def load(key: str) -> np.ndarray:
                return plain_array(archive.read(members[key]))  # no more than the size that was looked at

            return _from_keys(path, set(members), load)
    except DAMAGE as error:
        broken(path, f"no plain arrays ({reason_of(error)})", "arrays of numbers saved by numpy, without objects")


def read_h5(path: Path) -> Columns:
    """Return the events of an HDF5 file: data sets x, y, t, p at the top or under events/, or one compound data set."""
    with stored(path, "give an HDF5 file with data sets x, y, t, p") as file:
        keys = file.names()

        def load(key: str) -> np.ndarray:
            dataset = file.dataset(key, "fiubV")
            claimed(path, math.prod(dataset.shape or ()))
            return np.asarray(dataset[()])

        columns = _from_keys(path, keys, load)
        offset = int(file.array("t_offset", "iu")) if "t_offset" in keys and file.file["t_offset"].shape == () else 0
        return columns._replace(t=columns.t + offset, size=_sensor(file))


def _sensor(file: Stored) -> Size | None:
    """Return the sensor that a file names, if it does."""
    if not {"width", "height"} <= set(file.file.attrs):
        return None
    return file.number("width", 1, 1 << 15), file.number("height", 1, 1 << 15)


def _from_keys(path: Path, keys: set[str], load: Callable[[str], np.ndarray]) -> Columns:
    """Return the columns kept as four arrays x, y, t, p or as one array of events, in a file of named arrays."""
    for group in _GROUPS:
        found = {axis: next((group + n for n in names if group + n in keys), "") for axis, names in _NAMES.items()}
        if all(found.values()):
            return _columns(path, {axis: load(key) for axis, key in found.items()})
    for key in _ARRAYS:
        if key in keys:
            return _from_array(path, load(key))
    raise SpikeError(
        f"{path} has {', '.join(sorted(keys)[:8]) or 'nothing'}; wanted arrays x, y, t (µs), p, or events; rename them"
    )


def _from_array(path: Path, array: np.ndarray) -> Columns:
    names = array.dtype.names
    if names is None:
        return _columns(path, _from_table(path, array))
    found = {axis: next((name for name in choices if name in names), "") for axis, choices in _NAMES.items()}
    if not all(found.values()):
        raise SpikeError(f"{path} has fields {', '.join(names)}; wanted x, y, t (µs), p; rename them")
    return _columns(path, {axis: array[name] for axis, name in found.items()})


def _from_table(path: Path, table: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of an (N, 4) table: x y t p or t x y p in µs, or tonic's x y p t in ms, told by its values."""
    if table.ndim != 2 or table.shape[1] != 4:
        raise SpikeError(f"{path} has an array of shape {table.shape}; wanted fields x, y, t, p or four columns")
    polarity = [bool(np.isin(table[:, column], (-1, 0, 1)).all()) for column in range(4)]
    if polarity[3]:
        forward = [bool((table[1:, column] >= table[:-1, column]).all()) for column in (2, 0)]
        if forward[0] != forward[1]:
            return dict(zip(_ORDERS[0] if forward[0] else _ORDERS[1], table.T, strict=True))
    elif polarity[2]:
        x, y, p, milliseconds = table.T
        return {"x": x, "y": y, "t": milliseconds * 1000, "p": p}
    raise SpikeError(
        f"{path} has four columns whose order cannot be told; wanted x y t p, t x y p or x y p t; name the fields"
    )


def _columns(path: Path, found: dict[str, np.ndarray]) -> Columns:
    arrays = {axis: np.ravel(array) for axis, array in found.items()}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        broken(path, f"columns of {' and '.join(map(str, sorted(lengths)))} values", "x, y, t, p of equal length")
    for axis, array in arrays.items():
        if array.dtype.kind not in "iufb":
            broken(path, f"{axis} of type {array.dtype}", "numbers")
        if array.dtype.kind == "f" and not (np.abs(array) < _LARGEST).all():
            broken(path, f"{axis} that is not finite", "numbers")
    p = arrays["p"].astype(np.int64)
    if len(p) and int(p.min()) == -1:
        p = (p > 0).astype(np.int64)  # −1 and 1 are in use as well as 0 and 1
    return Columns(arrays["x"].astype(np.int64), arrays["y"].astype(np.int64), arrays["t"].astype(np.int64), p)
