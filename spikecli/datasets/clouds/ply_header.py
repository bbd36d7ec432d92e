"""The header of a polygon file: its elements and their properties, and where the body begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spikecli.errors import SpikeError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST = 1 << 20  # bytes of a header
_BEGIN = re.compile(rb"(\xef\xbb\xbf)?ply[ \t]*")
_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Property:
    """A property of each item of an element, or a list of values; a repeated name gets a number."""

    name: str
    kind: str  # numpy's letter and size, without byte order
    length: str = ""  # of a list: the type of its count


@dataclass(frozen=True)
class Element:
    """A number of items of one kind, such as vertices."""

    name: str
    count: int
    properties: tuple[Property, ...]


def read_header(path: Path, data: bytes) -> tuple[str, list[Element], int]:
    """Return the byte order ("" for text), the elements, and where the body begins.

    Raise SpikeError if there is no whole header, or a line of it is not understood: the body would be misread.
    """
    lines, start = _lines(path, data)
    order: str | None = None
    elements: list[Element] = []
    for line in lines:
        try:
            match line.split():
                case [] | ["comment", *_] | ["obj_info", *_]:
                    pass
                case ["format", name, _]:
                    order = _ORDERS[name]
                case ["element", name, count]:
                    elements.append(Element(name, int(count), ()))
                case ["property", "list", length, kind, name]:
                    _add(elements, Property(name, _TYPES[kind], _TYPES[length]))
                case ["property", kind, name]:
                    _add(elements, Property(name, _TYPES[kind]))
                case _:
                    raise ValueError("unknown line")
        except (KeyError, ValueError, IndexError):
            raise SpikeError(
                f"{path} has a PLY header that does not add up (line {line[:60]!r}); write the file again"
            ) from None
    if order is None or any(element.count < 0 for element in elements):
        raise SpikeError(
            f"{path} has a PLY header without a format line, or with a count below 0; write the file again"
        )
    return order, elements, start


def _lines(path: Path, data: bytes) -> tuple[list[str], int]:
    """Return the lines between `ply` and `end_header`, and where the line after that begins."""
    begin = _BEGIN.match(data)
    position = begin.end() if begin else len(data)
    lines: list[str] = []
    mark = _END.match(data, position)
    while mark is not None and position < min(len(data), _LONGEST):
        # A file ends its lines in one way: a byte of the body is no part of the header's last.
        end = data.find(mark[0], position)
        if end < 0:
            break
        line = data[position:end].decode("latin-1").strip()
        position = end + len(mark[0])
        if line == "end_header":
            return lines[1:], position
        lines.append(line)
    raise SpikeError(f"{path} has no PLY header; remove the file or write it again")


def _add(elements: list[Element], added: Property) -> None:
    last = elements[-1]
    names = {item.name for item in last.properties}
    name = added.name if added.name not in names else f"{added.name}#{len(names)}"
    elements[-1] = Element(last.name, last.count, (*last.properties, Property(name, added.kind, added.length)))


def doubled(element: Element) -> set[str]:
    """Return the names that several properties of an element share."""
    return {item.name.partition("#")[0] for item in element.properties if "#" in item.name}
