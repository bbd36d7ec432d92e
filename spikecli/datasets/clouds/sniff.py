"""Decide whether a file holds points or a recording, for suffixes that both use."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import name_columns
from spikecli.datasets.clouds.kitti import looks_like_scan
from spikecli.datasets.clouds.text import first_table
from spikecli.errors import SpikeError
from spikecli.files.gate import DAMAGE
from spikecli.files.numbers import plain_lines

SHARED = (".npy", ".npz", ".bin", ".txt", ".csv")  # suffixes of points and of recordings
_LOOK = 1 << 16  # bytes of a text, rows of an array
_MARKS = bytes.maketrans(b"\"'()[]|", b" " * 7)
_YES = re.compile(rb"\b(true|on|pos(itive)?)\b", re.IGNORECASE)
_NO = re.compile(rb"\b(false|off|neg(ative)?)\b", re.IGNORECASE)


def holds_points(path: Path) -> bool:
    """Return whether a .npy, .npz, .bin, .txt or .csv file holds points. If it cannot be read at all, return
    the default of its suffix: recordings for .bin and .npz.

    Events have whole pixels and polarities, so that at least three of their four columns are whole numbers; a scan
    with an intensity has fractions.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            return _is_table_of_points(np.load(path, mmap_mode="r", allow_pickle=False))
        if suffix == ".npz":
            return _holds_points(path)
        if suffix == ".bin":
            return looks_like_scan(path.read_bytes())
        with path.open("rb") as file:
            return _is_table_of_points(first_table(path, _numbers_alone(file.read(_LOOK))))
    except SpikeError:
        return True
    except DAMAGE:
        return suffix not in (".bin", ".npz")  # their reader says what is wrong with it


def _holds_points(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).stem: name for name in archive.namelist()}
        if {"pos", "neg"} <= set(names):  # events by sign, as in ES-ImageNet
            return False
        if {"x", "y"} <= set(names) and names.keys() & {"t", "ts", "p", "z"}:
            return "z" in names
        for name in names.values():
            found = np.lib.format.read_magic(file := io.BytesIO(archive.open(name).read(1 << 12)))
            reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[found]
            shape, _, kind = reader(file)
            if len(shape) == 2 and shape[1] in (3, 6) and kind.kind in "fiu":
                return True
    return False


def _numbers_alone(data: bytes) -> bytes:
    """Return text whose rows are numbers alone: events may stand in brackets, with polarities as words."""
    lines = plain_lines(data).translate(_MARKS).split(b"\n")
    rows = (_YES.sub(b"1", _NO.sub(b"0", line)) if re.match(rb"\s*[-+.]?\d", line) else line for line in lines)
    return b"\n".join(rows)


def _is_table_of_points(table: np.ndarray) -> bool:
    if table.dtype.names:
        return name_columns(table.dtype.names) is not None
    if table.ndim != 2 or table.shape[1] not in (4, 5):
        return True
    some = np.asarray(table[:_LOOK], dtype=np.float64)
    whole = int((some == np.floor(some)).all(axis=0).sum())
    if table.shape[1] == 4:
        return whole < 3
    # Events with numbers of rows, or with a fifth column as v2e adds one: a polarity, and times that do not go back.
    polarities = any(np.isin(column, (-1, 0, 1)).all() and len(np.unique(column)) == 2 for column in some.T)
    times = any(len(np.unique(column)) > 2 and (np.diff(column) >= 0).mean() >= 0.9 for column in some.T)
    return whole < 4 or not polarities or not times
