"""Decide whether a file holds points or a recording, for suffixes that both use."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import name_columns
from spikecli.datasets.clouds.kitti import looks_like_scan
from spikecli.datasets.clouds.text import first_table
from spikecli.errors import SpikeError
from spikecli.files.gate import DAMAGE

SHARED = (".npy", ".npz", ".bin", ".txt", ".csv")  # suffixes of points and of recordings
_LOOK = 1 << 16  # bytes of a text, rows of an array


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
            return _is_table_of_points(first_table(path, file.read(_LOOK)))
    except SpikeError:
        return True
    except DAMAGE:
        return suffix not in (".bin", ".npz")  # their reader says what is wrong with it


def _holds_points(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).stem: name for name in archive.namelist()}
        if {"x", "y"} <= set(names) and names.keys() & {"t", "ts", "p", "z"}:
            return "z" in names
        for name in names.values():
            found = np.lib.format.read_magic(file := io.BytesIO(archive.open(name).read(1 << 12)))
            reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[found]
            shape, _, kind = reader(file)
            if len(shape) == 2 and shape[1] in (3, 6) and kind.kind in "fiu":
                return True
    return False


def _is_table_of_points(table: np.ndarray) -> bool:
    if table.dtype.names:
        return name_columns(table.dtype.names) is not None
    if table.ndim != 2 or table.shape[1] != 4:
        return True
    some = np.asarray(table[:_LOOK], dtype=np.float64)
    return int((some == np.floor(some)).all(axis=0).sum()) < 3
