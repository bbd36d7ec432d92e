"""The body of a polygon file: an element's properties as columns, from bytes or from the numbers of a text."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.ply_header import Element
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers

# A property of single numbers is (count,); a list is its lengths (count,) and all its values in a row.
Lists = tuple[np.ndarray, np.ndarray]
Columns = dict[str, np.ndarray | Lists]


def from_binary(path: Path, body: bytes, position: int, element: Element, order: str) -> tuple[Columns, int]:
    """Return the element's columns and where the next one starts; lists of one length are read in one go."""
    if not element.count:
        return {}, position
    lengths = _first_lengths(path, body, position, element, order)
    parts: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for item in element.properties:
        if item.length:
            parts += [(f"{item.name}:", order + item.length), (item.name, order + item.kind, (lengths[item.name],))]
        else:
            parts.append((item.name, order + item.kind))
    row = np.dtype(parts)
    if element.count * row.itemsize <= len(body) - position:
        table = np.frombuffer(body, dtype=row, count=element.count, offset=position)
        if all((table[f"{name}:"] == length).all() for name, length in lengths.items()):
            columns: Columns = {
                item.name: (table[f"{item.name}:"].astype(np.int64), table[item.name].reshape(-1))
                if item.length
                else table[item.name]
                for item in element.properties
            }
            return columns, position + table.nbytes
    if not lengths:
        raise truncated(path, element)
    return _walk(path, body, position, element, order)


def _first_lengths(path: Path, body: bytes, position: int, element: Element, order: str) -> dict[str, int]:
    if not any(item.length for item in element.properties):
        return {}
    columns, _ = _walk(path, body, position, Element(element.name, 1, element.properties), order)
    return {item.name: int(columns[item.name][0][0]) for item in element.properties if item.length}


def _walk(path: Path, body: bytes, position: int, element: Element, order: str) -> tuple[Columns, int]:
    """Return the element's columns row by row, for lists of changing length."""
    rows: dict[str, list[np.ndarray]] = {item.name: [] for item in element.properties}
    try:
        for _ in range(element.count):
            for item in element.properties:
                size = 1
                if item.length:
                    size = int(np.frombuffer(body, order + item.length, 1, position)[0])
                    position += int(item.length[1])
                rows[item.name].append(np.frombuffer(body, order + item.kind, size, position) if size else _NONE)
                position += size * int(item.kind[1])
    except ValueError:
        raise truncated(path, element) from None
    return {item.name: _gathered(rows[item.name], bool(item.length)) for item in element.properties}, position


_NONE = np.zeros(0, dtype=np.int64)


def _gathered(rows: list[np.ndarray], lists: bool) -> np.ndarray | Lists:
    values = np.concatenate(rows)
    return (np.array([len(row) for row in rows], dtype=np.int64), values) if lists else values


def part_numbers(path: Path, text: bytes, element: Element) -> np.ndarray:
    """Return the numbers of an element's lines: int64 if its properties are whole; raise SpikeError if one is none."""
    if not all(item.kind[0] in "iu" for item in element.properties):
        return numbers(path, text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise SpikeError(f"{path} has a {element.name} with a fraction; write the file again") from None


def from_numbers(path: Path, body: np.ndarray, position: int, element: Element) -> tuple[Columns, int]:
    """Return the element's columns and where the next one starts among all numbers of a text file."""
    if not element.count:
        return {}, position
    widths: list[int] = []
    for item in element.properties:  # of the first item: most files have lists of one length
        place = position + sum(widths)
        size = 1 + body[place] if item.length and place < len(body) else 1
        widths.append(int(size) if 1 <= size <= len(body) else len(body) + 1)
    width, starts = sum(widths), np.cumsum([0, *widths])
    if element.count * width <= len(body) - position:
        table = body[position : position + element.count * width].reshape(element.count, width)
        lists = [start for start, item in zip(starts[:-1], element.properties, strict=True) if item.length]
        if all((table[:, start] == table[0, start]).all() for start in lists):
            columns: Columns = {}
            for start, end, item in zip(starts[:-1], starts[1:], element.properties, strict=True):
                lengths = table[:, start].astype(np.int64)
                columns[item.name] = (
                    (lengths, table[:, start + 1 : end].reshape(-1)) if item.length else table[:, start]
                )
            return columns, position + table.size
    return _step(path, body, position, element)


def _step(path: Path, body: np.ndarray, position: int, element: Element) -> tuple[Columns, int]:
    """Return the element's columns from a walk over its items, for lists of changing length."""
    places: dict[str, list[int]] = {item.name: [] for item in element.properties}
    plan = [(places[item.name], bool(item.length)) for item in element.properties]
    values, end = body[position:].tolist(), len(body) - position
    at = 0
    for _ in range(element.count):
        for found, is_list in plan:
            if at >= end:
                raise truncated(path, element)
            found.append(at)
            if is_list:
                size = int(values[at])
                if size < 0:
                    raise truncated(path, element)
                at += size
            at += 1
    if at > end or not plan:
        raise truncated(path, element)
    columns: Columns = {}
    for item in element.properties:
        starts = np.array(places[item.name]) + position
        columns[item.name] = _lists_at(body, starts) if item.length else body[starts]
    return columns, position + at


def _lists_at(body: np.ndarray, starts: np.ndarray) -> Lists:
    """Return the lists that start at `starts` (count,), each a length followed by its values."""
    sizes = body[starts].astype(np.int64)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return sizes, body[np.repeat(starts + 1, sizes) + within]


def truncated(path: Path, element: Element) -> SpikeError:
    """Return the error of a file that ends before its element does."""
    return SpikeError(f"{path} is cut short: wanted {element.count} of {element.name}; write the file again")
