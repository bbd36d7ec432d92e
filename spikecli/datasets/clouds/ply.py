"""Polygon files: ascii, and binary of either byte order; clouds with or without normals, and meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import POSITION, checked_cloud
from spikecli.datasets.clouds.geometry import Cloud, Mesh
from spikecli.datasets.clouds.meshes import check_mesh, polygon_fans, strip_triangles
from spikecli.datasets.clouds.ply_body import Columns, from_binary, from_numbers, part_numbers, truncated
from spikecli.datasets.clouds.ply_header import Element, doubled, read_header
from spikecli.errors import SpikeError
from spikecli.files.numbers import number_table, numbers

_NORMAL = ("nx", "ny", "nz")
_CORNERS = ("vertex_indices", "vertex_index")


def read_ply(path: Path, data: bytes) -> Mesh | Cloud:
    """Return a mesh if the file has faces or strips, else points and any normals. Raise SpikeError if damaged."""
    order, elements, start = read_header(path, data)
    if not order and _is_long_cloud(elements):
        return _long_cloud(path, data, start, elements)
    found = _binary(path, data, start, elements, order) if order else _text(path, data, start, elements)
    vertex = _vertices(path, elements, found)
    triangles = _triangles(path, found)
    if triangles is not None:
        return check_mesh(path, np.stack([vertex[name] for name in POSITION], axis=1).astype(np.float64), triangles)
    wanted = POSITION + _NORMAL if set(_NORMAL) <= set(vertex) else POSITION
    return checked_cloud(path, np.stack([vertex[name] for name in wanted], axis=1))


def _binary(path: Path, data: bytes, position: int, elements: list[Element], order: str) -> dict[str, Columns]:
    found: dict[str, Columns] = {}
    for element in elements:
        found[element.name], position = from_binary(path, data, position, element, order)
    return found


def _text(path: Path, data: bytes, start: int, elements: list[Element]) -> dict[str, Columns]:
    """Return the columns of each element of a text file.

    Almost every file has one item a line. Then lists of whole numbers are parsed as such, ten times faster.
    """
    found: dict[str, Columns] = {}
    try:
        for element, part in zip(elements, _parts(path, data, start, elements), strict=True):
            values = part_numbers(path, part, element)
            found[element.name], end = from_numbers(path, values, 0, element)
            if end != len(values):
                raise truncated(path, element)
        return found
    except SpikeError:  # items over several lines, or damage, which is found again below
        body, position = numbers(path, data[start:]), 0
    for element in elements:
        found[element.name], position = from_numbers(path, body, position, element)
    return found


def _parts(path: Path, data: bytes, start: int, elements: list[Element]) -> list[bytes]:
    """Return the lines of each element, a line an item; raise SpikeError where there are not as many."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8)[start:] == ord("\n")) + start + 1
    ends = np.concatenate([[start], breaks, [len(data)]])
    parts: list[bytes] = []
    line = 0
    for element in elements:
        if line + element.count >= len(ends):
            raise truncated(path, element)
        parts.append(data[ends[line] : ends[line + element.count]])
        line += element.count
    return parts


def _vertices(path: Path, elements: list[Element], found: dict[str, Columns]) -> dict[str, np.ndarray]:
    """Return the vertices' properties of single numbers; raise SpikeError without x, y and z."""
    vertex = {name: column for name, column in found.get("vertex", {}).items() if isinstance(column, np.ndarray)}
    if not set(POSITION) & set(vertex):
        vertex = {name.lower(): column for name, column in vertex.items()}
    twice = {name for element in elements if element.name == "vertex" for name in doubled(element)}
    if not set(POSITION) <= set(vertex) or twice & {*POSITION, *_NORMAL}:
        raise SpikeError(f"{path} has no vertices with one x, y and z each; write the file again")
    return vertex


def _triangles(path: Path, found: dict[str, Columns]) -> np.ndarray | None:
    """Return the triangles (F, 3) of faces and strips, None if there are neither.

    Raise SpikeError if it is not known which list holds the corners: a mesh is more than its vertices.
    """
    triangles = []
    for name, columns in found.items():
        lists = {key: column for key, column in columns.items() if isinstance(column, tuple) and len(column[0])}
        corners = next((lists[key] for key in _CORNERS if key in lists), None)
        if name == "face" and corners is None and columns:
            if len(lists) != 1:
                raise SpikeError(f"{path} has faces without a list vertex_indices; wanted one; write the file again")
            (corners,) = lists.values()
        if corners is None or name == "vertex":
            continue
        if name not in _EXPAND:
            raise SpikeError(f"{path} has a mesh of {name[:40]}; wanted face or tristrips; write the file again")
        triangles.append(_EXPAND[name](*corners))
    return np.concatenate(triangles) if triangles else None


def _strips(sizes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    ends = np.cumsum(sizes)[:-1]
    return np.concatenate([strip_triangles(part) for part in np.split(corners.astype(np.int64), ends)])


_EXPAND = {"face": polygon_fans, "tristrips": _strips}


def _is_long_cloud(elements: list[Element]) -> bool:
    """Return whether the file has only vertices of single numbers, so that it can be read in blocks."""
    first, *others = [element for element in elements if element.count] or [Element("", 0, ())]
    plain = first.name == "vertex" and not any(item.length for item in first.properties)
    meshes = [
        element for element in others if element.name == "face" or any(item.length for item in element.properties)
    ]
    return plain and not meshes


def _long_cloud(path: Path, data: bytes, start: int, elements: list[Element]) -> Cloud:
    """Return the points of a text file with only vertices, read in blocks to save memory."""
    element = next(element for element in elements if element.count)
    names = [item.name for item in element.properties]
    names = names if set(POSITION) & set(names) else [name.lower() for name in names]
    _vertices(path, elements, {"vertex": {name: np.empty(0) for name in names}})
    wanted = POSITION + _NORMAL if set(_NORMAL) <= set(names) else POSITION
    table = number_table(path, data, start, element.count, len(names), [names.index(name) for name in wanted])
    if len(table) < element.count:
        raise truncated(path, element)
    return checked_cloud(path, table)
