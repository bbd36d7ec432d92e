"""Point Cloud Library files: ascii, binary, and binary with LZF compression."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers

_KINDS = {"F": "f", "I": "i", "U": "u"}
_NORMALS = ("normal_x", "normal_y", "normal_z")
_LARGEST_RATIO = 264  # one LZF back-reference of three bytes yields at most 264


def read_pcd(path: Path, data: bytes) -> np.ndarray:
    """Return the points of a PCD file's bytes, float (N, 3), or (N, 6) with normals; SpikeError when damaged."""
    header, body = _split_header(path, data)
    row = _row_type(path, header)
    count = _count(path, header)
    encoding = header.get("DATA", ["?"])[0].lower()
    if encoding == "ascii":
        return _from_text(path, body, row, count)
    if encoding == "binary":
        if count * row.itemsize > len(body):
            raise _truncated(path, f"{count} points of {row.itemsize} bytes, found {len(body)} bytes")
        table = np.frombuffer(body, dtype=row, count=count)
        return _columns(path, row, [table[name] for name in row.names or ()])
    if encoding == "binary_compressed":
        return _from_compressed(path, body, row, count)
    raise SpikeError(f"{path} has DATA {encoding!r}; wanted ascii, binary or binary_compressed; write the file anew")


def _split_header(path: Path, data: bytes) -> tuple[dict[str, list[str]], bytes]:
    header: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in header:
        end = data.find(b"\n", position)
        if end < 0 or position > 65_536:
            raise SpikeError(f"{path} has no PCD header that ends in a DATA line; remove the file or write it anew")
        words = data[position:end].decode("latin-1").split()
        position = end + 1
        if words and not words[0].startswith("#"):
            header[words[0].upper()] = words[1:]
    return header, data[position:]


def _row_type(path: Path, header: dict[str, list[str]]) -> np.dtype:
    fields = header.get("FIELDS", header.get("COLUMNS", []))
    try:
        sizes, kinds = header["SIZE"], header["TYPE"]
        repeats = [int(word) for word in header.get("COUNT", ["1"] * len(fields))]
        # The field `_` is padding and may come more than once, so names get their position.
        names = [name if name != "_" else f"_{index}" for index, name in enumerate(fields)]
        parts = [
            (name, f"<{_KINDS[kind]}{size}", (repeat,)) if repeat > 1 else (name, f"<{_KINDS[kind]}{size}")
            for name, kind, size, repeat in zip(names, kinds, sizes, repeats, strict=True)
        ]
        row = np.dtype(parts)
    except (KeyError, ValueError, TypeError) as error:
        raise SpikeError(f"{path} has a PCD header that does not add up ({error}); write the file anew") from None
    if not {"x", "y", "z"} <= set(fields):
        raise SpikeError(f"{path} has the fields {' '.join(fields)}; wanted x, y and z; write the file anew")
    return row


def _count(path: Path, header: dict[str, list[str]]) -> int:
    try:
        sizes = [int(word) for name in ("WIDTH", "HEIGHT") for word in header.get(name, ["1"])]
        count = int(header["POINTS"][0]) if "POINTS" in header else sizes[0] * sizes[1]
    except (ValueError, IndexError):
        count = -1
    if count < 0:
        raise SpikeError(f"{path} has a PCD header without a count of points; write the file anew")
    return count


def _from_text(path: Path, body: bytes, row: np.dtype, count: int) -> np.ndarray:
    width = sum(int(np.prod(row[name].shape)) for name in row.names or ())
    values = numbers(path, body)
    if values.size < count * width:
        raise _truncated(path, f"{count} points of {width} numbers, found {values.size} numbers")
    table = values[: count * width].reshape(count, width)
    starts = np.cumsum([0] + [int(np.prod(row[name].shape)) for name in row.names or ()])
    return _columns(path, row, [table[:, start] for start in starts[:-1]])


def _from_compressed(path: Path, body: bytes, row: np.dtype, count: int) -> np.ndarray:
    """Return the points of a compressed body, which keeps each field's values together instead of each point's."""
    packed, size = (int(number) for number in np.frombuffer(body[:8].ljust(8, b"\0"), dtype="<u4"))
    if packed > len(body) - 8 or size != count * row.itemsize or size > packed * _LARGEST_RATIO:
        raise _truncated(path, f"{count} points in {packed} packed bytes, found {len(body)} bytes")
    plain = _unpack_lzf(path, body[8 : 8 + packed], size)
    columns, position = [], 0
    for name in row.names or ():
        part = row[name]
        columns.append(np.frombuffer(plain, dtype=part, count=count, offset=position))
        position += count * part.itemsize
    return _columns(path, row, columns)


def _columns(path: Path, row: np.dtype, columns: list[np.ndarray]) -> np.ndarray:
    by_name = dict(zip(row.names or (), columns, strict=True))
    wanted = ("x", "y", "z", *_NORMALS) if set(_NORMALS) <= set(by_name) else ("x", "y", "z")
    if any(by_name[name].ndim > 1 for name in wanted):
        raise SpikeError(f"{path} has several numbers in one of x, y, z; wanted one each; write the file anew")
    return np.stack([by_name[name] for name in wanted], axis=1)


def _unpack_lzf(path: Path, data: bytes, size: int) -> bytes:
    """Return the `size` bytes that LZF-packed `data` stands for; SpikeError when it does not unpack to that."""
    out = bytearray()
    position = 0
    try:
        while position < len(data) and len(out) <= size:
            control = data[position]
            position += 1
            if control < 32:  # a run of literal bytes
                out += data[position : position + control + 1]
                position += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            start = len(out) - ((control & 31) << 8) - data[position] - 1
            position += 1
            if start < 0:
                raise _truncated(path, "packed points; found a reference to before their start")
            for offset in range(start, start + length + 2):  # may overlap what it writes
                out.append(out[offset])
    except IndexError:
        raise _truncated(path, f"{size} bytes, found {len(out)}") from None
    if len(out) != size:
        raise _truncated(path, f"{size} bytes, found {len(out)}")
    return bytes(out)


def _truncated(path: Path, wanted: str) -> SpikeError:
    return SpikeError(f"{path} is damaged or cut short: its header promises {wanted}; fetch the file again")
