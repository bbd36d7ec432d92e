"""Points as text: spaces, tabs, commas or semicolons between the numbers, with or without a header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud, choose_columns, name_columns, refuse_events
from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError
from spikecli.files.numbers import NOT_A_NUMBER, blocks, numbers, plain_lines

_COMMENTS = (b"#", b"//", b"%", b"!")
_HEAD = 50  # lines from which the separator is guessed
_NUMBER = re.compile(
    rb"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)(inity)?|" + NOT_A_NUMBER.pattern, re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(rb"[-+]?\d*,\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class _Head:
    """The layout of a file: the start of its numbers, the separator, and the lines before them."""

    start: int
    separator: bytes  # between numbers, b" " for any white space
    decimal_comma: bool
    names: tuple[str, ...]  # of the columns, empty where none are given
    remark: tuple[str, ...]  # the words of the last comment, which may name the columns too
    count: int | None  # of points, where a line says it


def read_text(path: Path, data: bytes) -> Cloud:
    """Return the points of a text file, x y z first or named in a header; raise SpikeError if a line is no point."""
    data = _unquoted(path, plain_lines(data))
    head = _read_head(path, data)
    table = _read_body(path, data, head)
    refuse_events(path, table)
    if head.count is not None and head.count != len(table):
        raise SpikeError(f"{path} promises {head.count} points, found {len(table)}; write the file again")
    chosen, notes = _choose(path, table, head)
    return checked_cloud(path, table[:, chosen], notes)


def first_table(path: Path, data: bytes) -> np.ndarray:
    """Return the numbers float64 (N, k) of the first whole lines of a text file; raise SpikeError if it is no table."""
    data = _unquoted(path, data[: data.rfind(b"\n") + 1] or data)
    return _read_body(path, data, _read_head(path, data))


def _unquoted(path: Path, data: bytes) -> bytes:
    """Return text without quotes; raise SpikeError where a comma may end a number or part it."""
    if b'"' not in data:
        return data
    if b";" not in data and b"\t" not in data and any(b"," in quoted for quoted in re.findall(rb'"[^"\n]*"', data)):
        raise SpikeError(
            f"{path} has a comma within quotes between commas; wanted decimal points; write the file again"
        )
    return data.replace(b'"', b"")


def _choose(path: Path, table: np.ndarray, head: _Head) -> tuple[list[int], tuple[str, ...]]:
    """Return the columns to read, by the header's names or else by their values, and a note on the others."""
    width = table.shape[1]
    for names in (head.names, head.remark):
        named = name_columns(names) if len(names) == width else None
        if named is not None:
            return named, (
                () if width == len(named) else (f"x, y, z are read, of the columns {', '.join(names)[:80]}",)
            )
    if head.names and (not _are_unnamed(head.names) or len(head.names) == width > 3):
        raise SpikeError(f"{path} has the columns {' '.join(head.names)[:80]}; wanted x, y and z of {width} columns")
    chosen, note = choose_columns(table)
    return chosen, (() if note is None else (note,))


def _are_unnamed(names: tuple[str, ...]) -> bool:
    """Return whether a line before the numbers names no axis, so that it is a remark."""
    return not {name.strip("\"'").lower() for name in names} & {"x", "y", "z"}


def _read_head(path: Path, data: bytes) -> _Head:
    start = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    names: tuple[str, ...] = ()
    count, remark = None, b""
    while True:
        end = data.find(b"\n", start)
        line = data[start : len(data) if end < 0 else end].strip()
        if line and not line.startswith(_COMMENTS):
            if count is None and line.isdigit():
                count = int(line[:18])
            elif names or _has_number(line):
                break
            else:
                names = _names_in(line)
        elif line:
            remark = line
        if end < 0:
            raise SpikeError(f"{path} has no line of numbers; wanted a point a line; write the file again")
        start = end + 1
    lines = [line for line in data[start : start + 16_384].split(b"\n")[:_HEAD] if line.strip()]
    return _Head(start, *_separator(lines), names, _names_in(remark.lstrip(b"#/%! ")), count)


def _names_in(line: bytes) -> tuple[str, ...]:
    text = line.decode("utf-8", "replace")
    return tuple(word.strip() for word in re.split(r"[,;\t]" if re.search(r"[,;\t]", text) else r"\s+", text))


def _has_number(line: bytes) -> bool:
    return any(_NUMBER.fullmatch(word.strip(b"\"'")) for word in re.split(rb"[,;\s]+", line))


def _separator(lines: list[bytes]) -> tuple[bytes, bool]:
    """Return the separator of numbers in some lines, and whether a comma is the decimal point."""
    some = b"\n".join(lines)
    if b";" in some:
        return b";", b"," in some
    if b"," not in some:
        return b" ", False
    words = some.split()
    decimal = b"." not in some and all(_DECIMAL_COMMA.fullmatch(word) for word in words if b"," in word)
    decimal = decimal and len(words) > len(lines)
    return (b" ", True) if decimal else (b",", False)


def _read_body(path: Path, data: bytes, head: _Head) -> np.ndarray:
    """Return the numbers float64 (N, k), k on a line, parsed block by block."""
    tables: list[np.ndarray] = []
    width = None
    for block in blocks(data, head.start, b"\n"):
        if any(mark in block for mark in _COMMENTS):
            block = b"\n".join(line for line in block.split(b"\n") if not line.lstrip().startswith(_COMMENTS))
        commas = block.count(head.separator) - (block + b"\n").count(head.separator + b"\n")  # lines may end with one
        if head.decimal_comma:
            block = block.replace(b",", b".")
        if head.separator != b" ":
            block = block.replace(head.separator, b" ")
        least, most, lines = _widths(block)
        if not lines:
            continue
        values = numbers(path, block)
        width = most if width is None else width
        if head.separator != b" " and (commas == lines * (most - 1)) == (least != most):
            raise SpikeError(f"{path} has an empty place between two separators; write the file again")
        if least != most or most != width:
            raise SpikeError(
                f"{path} has lines of {min(least, width)} and of {max(most, width)} numbers; write the file again"
            )
        if values.size != lines * width:
            raise SpikeError(f"{path} holds a control character where a number was wanted; write the file again")
        tables.append(values.reshape(-1, width))
    if width is None:
        raise SpikeError(f"{path} has no line of numbers; wanted a point a line; write the file again")
    if width < 3:
        raise SpikeError(f"{path} holds a table of shape {(sum(map(len, tables)), width)}; wanted x, y and z on a line")
    return np.concatenate(tables)


def _widths(block: bytes) -> tuple[int, int, int]:
    """Return the fewest and the most words of a line, and the number of non-empty lines."""
    letters = np.frombuffer(block, np.uint8)
    inked = letters > 32
    starts = inked.copy()
    starts[1:] &= ~inked[:-1]
    sums = np.cumsum(starts, dtype=np.int32)
    ends = np.flatnonzero(letters == 10)
    counts = np.diff(np.concatenate([[0], sums[ends], sums[-1:]]))
    counts = counts[counts > 0]
    return (int(counts.min()), int(counts.max()), len(counts)) if len(counts) else (0, 0, 0)
