"""Options for reading files that do not state their own units, sensor, columns or axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

TimeUnit = Literal["s", "ms", "us", "ns"]
Axis = Literal["x", "y", "z"]


def _unheard(path: Path, notes: tuple[str, ...]) -> None:
    return None


@dataclass(frozen=True)
class ReadOptions:
    """The user's statements about a file; None leaves it to the file or its values.

    Recordings: `time_unit` of their times, `sensor` (width, height) in pixels, `stream` number of several in one file,
    `columns` the order of the columns of a table, such as "xytp". Clouds: `up`, the axis that points up in the file.

    `on_note` is called with a file's path and a line for each guess or omission in reading it, if there are any.
    """

    time_unit: TimeUnit | None = None
    sensor: tuple[int, int] | None = None
    stream: int | None = None
    columns: str | None = None
    up: Axis | None = None
    on_note: Callable[[Path, tuple[str, ...]], None] = field(default=_unheard, compare=False, repr=False)


AS_FOUND = ReadOptions()
