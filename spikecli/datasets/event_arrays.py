"""Decoders of events kept as arrays: .npy, .npz and HDF5, by the names and orders in use; nothing is unpickled."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from spikecli.datasets.event_columns import Columns, Size, broken, claimed
from spikecli.errors import SpikeError

# What numpy's parser of headers raises on bytes that are none.
_DAMAGE = (ValueError, TypeError, KeyError, EOFError, OverflowError, SyntaxError, tokenize.TokenError)
_NAMES = {
    "x": ("x", "X", "xs"),
    "y": ("y", "Y", "ys"),
    "t": ("t", "ts", "timestamp", "timestamps", "time"),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
_GROUPS = ("", "events/", "CD/events/")
_ARRAYS = ("events", "CD/events", "data", "arr_0")
_ORDERS = ("xytp", "txyp")  # besides tonic's xypt, whose time is in ms


def read_npy(path: Path) -> Columns:
    """Return the events of a .npy file: fields x, y, t, p, or four columns (see `_from_table`)."""
    try:
        # Mapped, not read: a header that claims more than the file holds fails here and takes no memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        broken(path, f"no plain array ({_reason(error)})", "an array of numbers saved by numpy, without objects")
    return _from_array(path, np.asarray(array))


def read_npz(path: Path) -> Columns:
    """Return the events of a .npz file: arrays x, y, t, p, or one array of events as in a .npy file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(info.filename).stem: info for info in archive.infolist()}

            def load(key: str) -> np.ndarray:
                with archive.open(members[key]) as stream:
                    _check_header(path, stream, members[key].file_size)
                with archive.open(members[key]) as stream:
                    return np.lib.format.read_array(stream, allow_pickle=False)

            return _from_keys(path, set(members), load)
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        broken(path, f"no plain arrays ({_reason(error)})", "arrays of numbers saved by numpy, without objects")


def _check_header(path: Path, stream: IO[bytes], size: int) -> None:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        broken(path, f"an array of format {version}", "format (1, 0) or (2, 0)")
    shape, _, kind = readers[version](stream)
    count = int(np.prod([int(side) for side in shape], dtype=object))
    if kind.hasobject or count * kind.itemsize > size:
        broken(path, f"an array of {kind} {shape} in {size} bytes", "arrays of numbers, as long as the header says")


def read_h5(path: Path) -> Columns:
    """Return the events of an HDF5 file: data sets x, y, t, p at the top or under events/, or one compound data set."""
    try:
        with h5py.File(path, "r") as file:
            keys: set[str] = set()
            file.visititems(lambda name, item: keys.add(name) if isinstance(item, h5py.Dataset) else None)

            def load(key: str) -> np.ndarray:
                claimed(path, int(np.prod(file[key].shape, dtype=object)))
                return file[key][()]

            columns = _from_keys(path, keys, load)
            width, height = (file.attrs.get(name) for name in ("width", "height"))
            offset = int(file["t_offset"][()]) if "t_offset" in keys and file["t_offset"].shape == () else 0
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:  # HDF5's own complaints are all of these
        broken(path, f"no HDF5 that can be read ({_reason(error)})", "data sets x, y, t, p")
    size: Size | None = (int(width), int(height)) if width is not None and height is not None else None
    return columns._replace(t=columns.t + offset, size=size)


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
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            broken(path, f"{axis} that is not finite", "numbers")
    p = arrays["p"].astype(np.int64)
    if len(p) and int(p.min()) == -1:
        p = (p > 0).astype(np.int64)  # −1 and 1 are in use as well as 0 and 1
    return Columns(arrays["x"].astype(np.int64), arrays["y"].astype(np.int64), arrays["t"].astype(np.int64), p)


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
