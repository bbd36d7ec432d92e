"""Names that files give to the columns of events, and units of time in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from spikecli.datasets.reading_options import ReadOptions, TimeUnit

NAMES = {
    "x": ("x", "xs", "x_pos", "col", "column", "x_addr", "addr_x"),
    "y": ("y", "ys", "y_pos", "row", "y_addr", "addr_y"),
    "t": ("t", "ts", "timestamp", "timestamps", "time", "times"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
_UNITS: dict[str, TimeUnit] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "micros", "microseconds"), "us"),  # both signs of Unicode
    **dict.fromkeys(("ns", "nsec", "nanos", "nanoseconds"), "ns"),
}
_IN_BRACKETS = re.compile(r"(.+?)\s*[\[(]\s*([^\])]*?)\s*[\])]")
_AT_THE_END = re.compile(rf"(t|ts|times?|timestamps?)[\s_.-]+({'|'.join(_UNITS)})")


def split_unit(name: str) -> tuple[str, TimeUnit | None]:
    """Return a name in lower case without its unit, and the unit of time: `t_ns`, `time [s]`, `Timestamp (us)`."""
    plain = name.strip().strip("\"'").strip().lower()
    match = _IN_BRACKETS.fullmatch(plain) or _AT_THE_END.fullmatch(plain)
    return (match[1], _UNITS.get(match[2])) if match else (plain, None)


def columns_by_name(names: Sequence[str]) -> dict[str, str]:
    """Return which of `names` are x, y, t and p, ignoring case and units; missing ones are left out."""
    lowered = {split_unit(name)[0]: name for name in reversed(names)}
    found = {axis: next((lowered[n] for n in known if n in lowered), "") for axis, known in NAMES.items()}
    return {axis: name for axis, name in found.items() if name}


def with_unit(options: ReadOptions, name: str) -> ReadOptions:
    """Return the options with the unit of time that the column's name says, if the user says none."""
    unit = split_unit(name)[1]
    return replace(options, time_unit=unit) if unit and options.time_unit is None else options


def names_in(line: str) -> list[str]:
    """Return the names of columns in a line of text, without comment marks and quotes.

    The first is empty where a table has its numbers of rows without a name.
    """
    line = line.lstrip("#%/! ").rstrip(" ,;\t|")
    if re.search(r"[,;\t|]", line):
        return [word.strip().strip("\"'").strip() for word in re.split(r"[,;\t|]", line)]
    return re.sub(r"\s+([\[(])", r"\1", line).split()
