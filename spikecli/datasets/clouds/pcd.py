"""Point Cloud Library files: ascii, binary, and binary with LZF compression."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import POSITION, checked_cloud
from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError
from spikecli.files.numbers import number_table

_KINDS = {"F": "f", "I": "i", "U": "u"}
_NORMALS = ("normal_x", "normal_y", "normal_z")
_LARGEST_RATIO = 264  # one LZF back-reference of three bytes yields at most 264


def read_pcd(path: Path, data: bytes) -> Cloud:
    """Return the points of a PCD file's bytes, with normals where it has them; raise SpikeError if damaged."""
    header, body = _split_header(path, data)
    row = _row_type(path, header)
    count = _count(path, header)
    encoding = header.get("DATA", ["?"])[0].lower()
    if encoding == "ascii":
        return checked_cloud(path, _from_text(path, body, row, count))
    if encoding == "binary":
        if count * row.itemsize > len(body):
            raise _truncated(path, f"{count} points of {row.itemsize} bytes, found {len(body)} bytes")
        table = np.frombuffer(body, dtype=row, count=count)
        return checked_cloud(path, np.stack([table[name] for name in _wanted(path, row)], axis=1))
    if encoding == "binary_compressed":
        return checked_cloud(path, _from_compressed(path, body, row, count))
    raise SpikeError(f"{path} has DATA {encoding!r}; wanted ascii, binary or binary_compressed; write the file again")


def _split_header(path: Path, data: bytes) -> tuple[dict[str, list[str]], bytes]:
    header: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in header:
        end = data.find(b"\n", position)
        if end < 0 or position > 65_536:
            raise SpikeError(f"{path} has no PCD header that ends in a DATA line; remove the file or write it again")
        words = data[position:end].decode("latin-1").split()
        position = end + 1
        if words and not words[0].startswith("#"):
            header[words[0].upper()] = words[1:]
    return header, data[position:]


def _row_type(path: Path, header: dict[str, list[str]]) -> np.dtype:
    fields = header.get("FIELDS", header.get("COLUMNS", []))
    fields = fields if set(POSITION) & set(fields) else [name.lower() for name in fields]
    try:
        sizes, kinds = header["SIZE"], header["TYPE"]
        repeats = [int(word) for word in header.get("COUNT", ["1"] * len(fields))]
        if min(repeats, default=1) < 0:
            raise ValueError("a count below 0")
        # The field `_` is padding, and other names may come twice: unused fields are named by their position.
        names = [name if fields.count(name) == 1 else f"{name}#{index}" for index, name in enumerate(fields)]
        parts = [
            (name, f"<{_KINDS[kind]}{size}", (repeat,)) if repeat > 1 else (name, f"<{_KINDS[kind]}{size}")
            for name, kind, size, repeat in zip(names, kinds, sizes, repeats, strict=True)
            if repeat
        ]
        row = np.dtype(parts)
    except (KeyError, ValueError, TypeError) as error:
        raise SpikeError(f"{path} has a PCD header that does not add up ({error}); write the file again") from None
    if not set(POSITION) <= set(row.names or ()):
        raise SpikeError(f"{path} has the fields {' '.join(fields)[:80]}; wanted x, y and z once; write the file again")
    return row


def _count(path: Path, header: dict[str, list[str]]) -> int:
    try:
        sizes = [int(word) for name in ("WIDTH", "HEIGHT") for word in header.get(name, ["1"])]
        count = int(header["POINTS"][0]) if "POINTS" in header else sizes[0] * sizes[1]
    except (ValueError, IndexError):
        count = -1
    if count < 0:
        raise SpikeError(f"{path} has a PCD header without a count of points; write the file again")
    return count


def _from_text(path: Path, body: bytes, row: np.dtype, count: int) -> np.ndarray:
    width = sum(int(np.prod(row[name].shape)) for name in row.names or ())
    starts = np.cumsum([0] + [int(np.prod(row[name].shape)) for name in row.names or ()])
    wanted = _wanted(path, row)
    places = [int(starts[(row.names or ()).index(name)]) for name in wanted]
    table = number_table(path, body, 0, count, width, places)
    if len(table) < count:
        raise _truncated(path, f"{count} points of {width} numbers, found {len(table)}")
    return table


def _from_compressed(path: Path, body: bytes, row: np.dtype, count: int) -> np.ndarray:
    """Return the points of a compressed body, which is stored field by field, not point by point."""
    packed, size = (int(number) for number in np.frombuffer(body[:8].ljust(8, b"\0"), dtype="<u4"))
    if packed > len(body) - 8 or size != count * row.itemsize or size > packed * _LARGEST_RATIO or not packed:
        raise _truncated(path, f"{count} points in {packed} packed bytes, found {len(body)} bytes")
    plain = _unpack_lzf(path, body[8 : 8 + packed], size)
    columns, position = {}, 0
    for name in row.names or ():
        part = row[name]
        columns[name] = np.frombuffer(plain, dtype=part, count=count, offset=position)
        position += count * part.itemsize
    return np.stack([columns[name] for name in _wanted(path, row)], axis=1)


def _wanted(path: Path, row: np.dtype) -> tuple[str, ...]:
    """Return the names of the fields to read; raise SpikeError if one holds several numbers."""
    wanted = (*POSITION, *_NORMALS) if set(_NORMALS) <= set(row.names or ()) else POSITION
    if any(row[name].shape for name in wanted):
        raise SpikeError(f"{path} has several numbers in one of x, y, z; wanted one each; write the file again")
    return wanted


def _unpack_lzf(path: Path, data: bytes, size: int) -> bytes:
    """Return LZF-packed `data` unpacked to `size` bytes; raise SpikeError if it has another size.

    HDF5's own filter unpacks it, at native speed. It does not say how many bytes came out, so a seal is packed at the
    end of the data: it comes out at its place if and only if all before it has the right length.
    """
    import h5py

    seal = hashlib.sha256(data).digest()
    try:
        with h5py.File(io.BytesIO(), "w") as file:
            whole = (size + len(seal),)
            store = file.create_dataset("packed", shape=whole, chunks=whole, dtype="u1", compression="lzf")
            store.id.write_direct_chunk((0,), data + bytes([len(seal) - 1]) + seal)
            found = store[()].tobytes()
    except (OSError, ValueError):
        found = b""
    if found[size:] != seal:
        raise _truncated(path, f"{size} bytes, which its packed points do not yield")
    return found[:size]


def _truncated(path: Path, wanted: str) -> SpikeError:
    return SpikeError(f"{path} is damaged or cut short: its header promises {wanted}; write the file again")
