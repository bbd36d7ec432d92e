"""Decoder of events as text, one a line: `t x y p` of the Event Camera Dataset, `x,y,p,t` of Metavision, and others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, sensor_of
from spikecli.datasets.events.names import columns_by_name, names_in, with_unit
from spikecli.datasets.events.sensors import sensor_in_words
from spikecli.datasets.events.tables import checked_columns, columns_of_table
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers, plain_lines

_SEPARATORS = bytes.maketrans(b",;\t\"'|()[]", b" " * 10)
_DECIMAL_COMMA = re.compile(rb"[-+]?\d+,\d+([eE][-+]?\d+)?")
_WORDS = {
    **dict.fromkeys((b"true", b"on", b"pos", b"positive"), b"1"),
    **dict.fromkeys((b"false", b"off", b"neg", b"negative"), b"0"),
}  # polarities as words
_COMMENTS = (b"#", b"%", b"//")
_LONGEST_HEAD = 200  # lines before the first event


class _Head(NamedTuple):
    """The head of a file: where the first event begins, the number and names of columns, and the sensor."""

    start: int
    width: int
    names: tuple[str, ...]
    size: Size | None


def read_text(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of a text file, separated by spaces, tabs, commas or semicolons.

    Before them may come comments, the names of the columns, and width and height of the sensor. A fifth column, as v2e
    adds one, is not read, with a note, nor a first that numbers the rows. Numbers may have a decimal comma between
    semicolons or tabs. Of a file that a crash has cut, the whole lines are read. Raise SpikeError if lines differ or a
    word is no number.
    """
    data = _with_points(plain_lines(path.read_bytes()))
    head = _head(path, data)
    body, cut = _whole_lines(_numbers_alone(data[head.start :]).translate(_SEPARATORS), head.width)
    values = numbers(path, body)
    if values.size % head.width or values.size // head.width != _lines(body):
        raise SpikeError(
            f"{path} has lines of other lengths than its first, which has {head.width} numbers; wanted one event a "
            "line; remove or complete those lines"
        )
    table = values.reshape(-1, head.width)
    named = columns_by_name(head.names) if len(head.names) == head.width else {}
    if len(named) == 4 and options.columns is None:
        found = {axis: table[:, head.names.index(name)] for axis, name in named.items()}
        columns = checked_columns(path, found, with_unit(options, named["t"]))
        others = [name for name in head.names if name and name not in named.values()]
    else:
        counted = _without_numbers(table)
        columns = columns_of_table(path, counted[:, :4], options)
        others = [f"number {place + 1}" for place in range(4, counted.shape[1])]
    return columns._replace(size=head.size, notes=(*cut, *_left_out(others), *columns.notes))


def _left_out(columns: list[str]) -> tuple[str, ...]:
    """Return a note on columns that are not read."""
    if not columns:
        return ()
    what, verb = ("column", "is") if len(columns) == 1 else ("columns", "are")
    return (f"the {what} {', '.join(columns)} {verb} not read: an event is x, y, t and p",)


def _whole_lines(body: bytes, width: int) -> tuple[bytes, tuple[str, ...]]:
    """Return lines without a last one that has no end and fewer than `width` words, and a note if there was one."""
    start = body.rfind(b"\n") + 1
    if start == 0 or not 0 < len(body[start:].split()) < width:
        return body, ()
    return body[:start], ("the last line is cut off, as by a crash: the whole ones before it are read",)


def _without_numbers(table: np.ndarray) -> np.ndarray:
    """Return a table of five columns without the first if that only numbers the rows."""
    first = table[:, 0]
    is_count = table.shape[1] == 5 and len(table) > 2 and bool((np.diff(first) == 1).all()) and first[0] in (0, 1)
    return table[:, 1:] if is_count else table


def _with_points(data: bytes) -> bytes:
    """Return text with decimal points if it has decimal commas: numbers of fractions between semicolons or tabs."""
    line = next((one for one in data[:16_384].split(b"\n") if re.match(rb"\s*[-+]?\d", one)), b"")
    mark = b";" if b";" in line else b"\t"
    parts = [part.strip() for part in line.split(mark)]
    found = len(parts) >= 4 and any(_DECIMAL_COMMA.fullmatch(part) for part in parts)
    return data.replace(b",", b".") if found and b"." not in line else data


def _numbers_alone(body: bytes) -> bytes:
    """Return lines of numbers without the comments between them, polarities as digits."""
    if any(mark in body for mark in _COMMENTS):
        body = b"\n".join(line for line in body.split(b"\n") if not line.lstrip().startswith(_COMMENTS))
    first = body[:64].split(b"\n")[0].lower()
    if re.search(rb"[a-df-z]", first):  # words, not only exponents
        pattern = re.compile(rb"\b(" + b"|".join(_WORDS) + rb")\b", re.IGNORECASE)
        body = pattern.sub(lambda found: _WORDS[found[0].lower()], body)
    return body


def _head(path: Path, data: bytes) -> _Head:
    """Return the start of the events and the head before it; raise SpikeError if no line looks like an event."""
    names: tuple[str, ...] = ()
    size, start = None, 0
    for _ in range(_LONGEST_HEAD):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end].strip()
        words = line.translate(_SEPARATORS).split()
        if words and all(map(_is_value, words)):
            if len(words) == 2 and size is None:
                size = sensor_of(path, words[0].decode(), words[1].decode())
            elif len(words) in (4, 5) or (len(words) > 3 and len(words) == len(names)):
                return _Head(start, len(words), names, size)
            else:
                break
        elif words:
            comment, text = line.startswith(_COMMENTS), line.decode("utf-8", "replace")
            found = names_in(text)
            names = names if comment and len(columns_by_name(found)) < 4 else tuple(found)
            size = size or (sensor_in_words(path, text) if comment else None)
        start = end + 1
        if start > len(data):
            break
    found_here = data[start : start + 40].split(b"\n")[0]
    raise SpikeError(
        f"{path} has the line {found_here.decode('utf-8', 'replace')!r}; wanted events, four numbers a line such as "
        "t x y p or x,y,p,t; points have three"
    )


def _is_value(word: bytes) -> bool:
    if word.lower() in _WORDS:
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True


def _lines(body: bytes) -> int:
    """Return the non-blank lines."""
    count = body.count(b"\n") + (not body.endswith(b"\n"))
    if b"\n\n" in body or b"\n\r\n" in body or b" \n" in body or not body.strip():
        return sum(1 for line in body.splitlines() if line.strip())
    return count
