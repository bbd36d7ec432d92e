"""Polygon files: ascii, and binary of either byte order; clouds with or without normals, and meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Mesh
from spikecli.datasets.clouds.off import check_mesh
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_POSITION, _NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")


@dataclass(frozen=True)
class _Property:
    name: str
    kind: str  # numpy's letter and size, without byte order
    length: str = ""  # of a list: the type of its count


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


_Columns = dict[str, np.ndarray]  # a list property is (count, k) when all its lists are k long, else flat objects


def read_ply(path: Path, data: bytes) -> Mesh | np.ndarray:
    """Return a mesh where the file has faces, else points (N, 3) or (N, 6) with normals; SpikeError when damaged."""
    order, elements, body = _header(path, data)
    found: dict[str, _Columns] = {}
    lines = [line for line in body.splitlines() if line.strip()] if not order else []
    position = 0
    for element in elements:
        if order:
            found[element.name], position = _from_binary(path, body, position, element, order)
        else:
            found[element.name] = _from_text(path, lines[position : position + element.count], element)
            position += element.count
    vertex, face = found.get("vertex", {}), found.get("face", {})
    if not set(_POSITION) <= set(vertex):
        raise SpikeError(f"{path} has no vertices with x, y and z; write the file anew")
    corners = next((face[name] for name in ("vertex_indices", "vertex_index") if name in face), None)
    if corners is not None and len(corners):
        vertices = np.stack([vertex[name] for name in _POSITION], axis=1).astype(np.float64)
        return check_mesh(path, vertices, _fans(corners))
    wanted = _POSITION + _NORMAL if set(_NORMAL) <= set(vertex) else _POSITION
    return np.stack([vertex[name] for name in wanted], axis=1)


def _header(path: Path, data: bytes) -> tuple[str, list[_Element], bytes]:
    end = data.find(b"end_header")
    start = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or not start:
        raise SpikeError(f"{path} has no PLY header; remove the file or write it anew")
    order: str | None = None
    elements: list[_Element] = []
    try:
        for line in data[:end].decode("latin-1").splitlines():
            match line.split():
                case ["format", name, *_]:
                    order = _ORDERS[name]
                case ["element", name, count]:
                    elements.append(_Element(name, int(count), ()))
                case ["property", "list", length, kind, name]:
                    elements[-1] = _with(elements[-1], _Property(name, _TYPES[kind], _TYPES[length]))
                case ["property", kind, name]:
                    elements[-1] = _with(elements[-1], _Property(name, _TYPES[kind]))
    except (KeyError, ValueError, IndexError) as error:
        raise SpikeError(f"{path} has a PLY header that does not add up ({error}); write the file anew") from None
    if order is None or any(element.count < 0 for element in elements):
        raise SpikeError(f"{path} has a PLY header without a format line, or with a count below 0; write the file anew")
    return order, elements, data[start:]


def _with(element: _Element, added: _Property) -> _Element:
    return _Element(element.name, element.count, (*element.properties, added))


def _from_binary(path: Path, body: bytes, position: int, element: _Element, order: str) -> tuple[_Columns, int]:
    """Return the element's columns and where the next one starts; lists of one length are read in one go."""
    if not element.count:
        return {}, position
    lengths = _first_lengths(path, body, position, element, order)
    parts: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for item in element.properties:
        if item.length:
            parts += [(f"#{item.name}", order + item.length), (item.name, order + item.kind, (lengths[item.name],))]
        else:
            parts.append((item.name, order + item.kind))
    row = np.dtype(parts)
    if element.count * row.itemsize <= len(body) - position:
        table = np.frombuffer(body, dtype=row, count=element.count, offset=position)
        if all((table[f"#{name}"] == length).all() for name, length in lengths.items()):
            return {item.name: table[item.name] for item in element.properties}, position + table.nbytes
    if not lengths:
        raise _truncated(path, element)
    return _walk(path, body, position, element, order)


def _first_lengths(path: Path, body: bytes, position: int, element: _Element, order: str) -> dict[str, int]:
    one = _Element(element.name, 1, element.properties)
    if not any(item.length for item in element.properties):
        return {}
    columns, _ = _walk(path, body, position, one, order)
    return {item.name: len(columns[item.name][0]) for item in element.properties if item.length}


def _walk(path: Path, body: bytes, position: int, element: _Element, order: str) -> tuple[_Columns, int]:
    """Return the element's columns row by row, for lists of changing length."""
    columns: dict[str, list[np.ndarray]] = {item.name: [] for item in element.properties}
    try:
        for _ in range(element.count):
            for item in element.properties:
                size = 1
                if item.length:
                    size = int(np.frombuffer(body, order + item.length, 1, position)[0])
                    position += int(item.length[1])
                columns[item.name].append(np.frombuffer(body, order + item.kind, size, position) if size else _NONE)
                position += size * int(item.kind[1])
    except ValueError:
        raise _truncated(path, element) from None
    return {name: _ragged(rows) for name, rows in columns.items()}, position


_NONE = np.zeros(0, dtype=np.int64)


def _from_text(path: Path, lines: list[bytes], element: _Element) -> _Columns:
    if len(lines) < element.count:
        raise _truncated(path, element)
    if not element.count:
        return {}
    if any(item.length for item in element.properties):
        return _lists_from_text(path, lines, element)
    table = numbers(path, b"\n".join(lines))
    if table.size != element.count * len(element.properties):
        raise _truncated(path, element)
    table = table.reshape(element.count, -1)
    return {item.name: table[:, index] for index, item in enumerate(element.properties)}


def _lists_from_text(path: Path, lines: list[bytes], element: _Element) -> _Columns:
    columns: dict[str, list[np.ndarray]] = {item.name: [] for item in element.properties}
    for line in lines:
        values, position = numbers(path, line), 0
        for item in element.properties:
            size = 1
            if item.length:
                size = int(values[position]) if position < values.size else 0
                position += 1
            if size < 0 or position + size > values.size:
                raise _truncated(path, element)
            columns[item.name].append(values[position : position + size])
            position += size
    return {name: _ragged(rows) for name, rows in columns.items()}


def _ragged(rows: list[np.ndarray]) -> np.ndarray:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows if len({len(row) for row in rows}) > 1 else None
    if column[0] is None:
        return np.stack(rows)
    return column


def _fans(corners: np.ndarray) -> np.ndarray:
    """Return triangles (F, 3) that cover the polygons, each a row of vertex numbers."""
    if corners.dtype != object:
        fans = [corners[:, [0, k, k + 1]] for k in range(1, corners.shape[1] - 1)]
        return np.concatenate(fans) if fans else np.zeros((0, 3))
    by_length: dict[int, list[np.ndarray]] = {}
    for row in corners:
        by_length.setdefault(len(row), []).append(row)
    return np.concatenate([_fans(np.stack(rows)) for _, rows in sorted(by_length.items())])


def _truncated(path: Path, element: _Element) -> SpikeError:
    return SpikeError(f"{path} is cut short: wanted {element.count} of {element.name}; fetch the file again")
