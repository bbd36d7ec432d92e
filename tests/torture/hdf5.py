"""Well-formed HDF5 files of ill will: other types and shapes, sizes that are claimed and not there, links out."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np

from torture.mutations import Rng, damaged

TYPES = ("<f4", ">f8", "<i2", "u1", "<i8", "S3", "<c8", "?", "V5", h5py.string_dtype("utf-8"), h5py.ref_dtype)
HUGE = (1 << 20, 1 << 30, 1 << 34, 1 << 40, 1 << 62)


def damaged_hdf5(whole: bytes, rng: Rng) -> bytes:
    """Return a file in which one to three data sets or attributes of `whole` are others, or are gone."""
    memory = io.BytesIO(whole)
    with h5py.File(memory, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(int(rng.integers(1, 4))):
            name = names[int(rng.integers(len(names)))]
            _change(file, name, rng)
        for key in list(file.attrs):
            if rng.random() < 0.15:
                _attribute(file, key, rng)
    data = memory.getvalue()
    return damaged(data, rng) if rng.random() < 0.1 else data


def _change(file: h5py.File, name: str, rng: Rng) -> None:
    old = file.get(name)
    if not isinstance(old, h5py.Dataset) or old.external or old.size > 1 << 16:
        return
    shape, text = old.shape, old.dtype.kind == "O" and h5py.check_string_dtype(old.dtype) is not None
    if 0 in shape or not (text or old.dtype.kind in "iuf"):  # an earlier change: it may stay
        return
    values = np.asarray(old[()], object if text else None)
    del file[name]
    match int(rng.integers(9)):
        case 0:
            return
        case 1:  # claimed and not there: takes no room in the file
            huge = HUGE[int(rng.integers(len(HUGE)))]
            file.create_dataset(name, (huge, *shape[1:]), old_type(values), chunks=(16, *shape[1:]))
        case 2:  # zeros, a thousand of them in a byte
            rows = int(rng.choice([1 << 16, 1 << 22]))
            kind = np.dtype("u1") if values.dtype.kind == "O" else values.dtype
            file.create_dataset(name, (rows, *shape[1:]), kind, compression="gzip", chunks=(1 << 12, *shape[1:]))
        case 3:
            file[name] = h5py.ExternalLink("elsewhere.h5", "/points")
        case 4:
            file[name] = h5py.SoftLink("/nowhere")
        case 5:
            file.create_group(name)
        case 6:
            file.create_dataset(name, shape, "<f4", external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)])
        case 7:
            side = tuple(int(rng.integers(4)) for _ in range(int(rng.integers(4))))
            file.create_dataset(name, side, TYPES[int(rng.integers(len(TYPES)))])
        case _:
            _values(file, name, values, rng)


def old_type(values: Any) -> Any:
    """Return the type of `values`, text where they are objects."""
    return h5py.string_dtype("utf-8") if values.dtype.kind == "O" else values.dtype


def _values(file: h5py.File, name: str, values: np.ndarray, rng: Rng) -> None:
    if values.dtype.kind == "O":
        file.create_dataset(name, data=[b"\xff\xfe" * 2] * values.size, dtype=h5py.string_dtype("ascii"))
        return
    changed = np.array(values)
    flat = changed.reshape(-1)
    for _ in range(int(rng.integers(1, 4))):
        if flat.size:
            top = np.finfo(flat.dtype) if flat.dtype.kind == "f" else np.iinfo(flat.dtype)
            extremes = [top.max, top.min, 0] + ([np.nan, np.inf] if flat.dtype.kind == "f" else [])
            flat[int(rng.integers(flat.size))] = extremes[int(rng.integers(len(extremes)))]
    file[name] = changed


def _attribute(file: h5py.File, key: str, rng: Rng) -> None:
    del file.attrs[key]
    choices: tuple[Any, ...] = (b"\xff", "x", -1, 0, 1 << 60, 2.5, float("nan"), [1, 2], np.zeros(3), "9" * 99)
    if rng.random() < 0.8:
        file.attrs[key] = choices[int(rng.integers(len(choices)))]
