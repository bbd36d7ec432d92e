"""What a user says of files that do not say it themselves."""

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
    """What to take for granted when a file is read; None where the file, or its values, shall say.

    Recordings: `time_unit` of their times, `sensor` (width, height) in pixels, `stream` number of several in one file,
    `columns` the order of the columns of a table, such as "xytp". Clouds: `up`, the axis that points up in the file.

    `on_note` hears what was guessed or left out in reading a file, if anything was: its path and a line for each.
    """

    time_unit: TimeUnit | None = None
    sensor: tuple[int, int] | None = None
    stream: int | None = None
    columns: str | None = None
    up: Axis | None = None
    on_note: Callable[[Path, tuple[str, ...]], None] = field(default=_unheard, compare=False, repr=False)


AS_FOUND = ReadOptions()
