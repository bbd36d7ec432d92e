"""Decoder of events as text, one a line: `t x y p` of the Event Camera Dataset, `x,y,p,t` of Metavision, and others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from spikecli.datasets.events.columns import Columns, Size, sensor_of
from spikecli.datasets.events.tables import checked_columns, columns_by_name, columns_of_table
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers, plain_lines

_SEPARATORS = bytes.maketrans(b",;\t\"'", b"     ")
_DECIMAL_COMMA = re.compile(rb"[-+]?\d+,\d+([eE][-+]?\d+)?")
_WORDS = {b"true": b"1", b"on": b"1", b"false": b"0", b"off": b"0"}  # polarities as words
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

    Before them may come comments, the names of the columns, and a line with width and height of the sensor. A fifth
    column, as v2e adds one, is not read. Numbers may have a decimal comma between semicolons or tabs. Raise SpikeError
    if lines differ or a word is no number.
    """
    data = _with_points(plain_lines(path.read_bytes()))
    head = _head(path, data)
    body = _numbers_alone(data[head.start :]).translate(_SEPARATORS)
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
        columns = checked_columns(path, found, options)
    else:
        columns = columns_of_table(path, table[:, :4], options)
    return columns._replace(size=head.size)


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
        pattern = re.compile(rb"\b(true|false|on|off)\b", re.IGNORECASE)
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
            comment = line.startswith(_COMMENTS)
            found = _names(line.decode("utf-8", "replace"))
            names = names if comment and len(columns_by_name(tuple(found))) < 4 else tuple(found)
        start = end + 1
        if start > len(data):
            break
    found_here = data[start : start + 40].split(b"\n")[0]
    raise SpikeError(
        f"{path} has the line {found_here.decode('utf-8', 'replace')!r}; wanted events, four numbers a line such as "
        "t x y p or x,y,p,t; points have three"
    )


def _names(line: str) -> list[str]:
    """Return the names of columns in a line; the first is empty where a table has its numbers of rows without one."""
    found = re.findall(r"\w+", line)
    return ["", *found] if re.match(r"\s*(\"\")?[,;\t]", line) else found


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
