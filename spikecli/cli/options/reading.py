"""Options of every command that reads files, for facts that a file does not state."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

if TYPE_CHECKING:
    from spikecli.datasets.reading_options import ReadOptions

Unit = Annotated[
    Literal["s", "ms", "us", "ns"] | None, typer.Option("--time-unit", help="Unit of a recording's times.")
]
Sensor = Annotated[str | None, typer.Option("--sensor", help="Sensor of a recording, WxH, such as 346x260.")]
Stream = Annotated[
    int | None, typer.Option("--stream", min=0, help="Which of several event streams in a file.", show_default="first")
]
Order = Annotated[str | None, typer.Option("--columns", help="Order of a table's columns: xytp, txyp and so on.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Skip files that cannot be read; list them at the end, exit code 1.")
]
Up = Annotated[
    Literal["x", "y", "z"] | None,
    typer.Option("--up", help="Axis of a cloud or mesh that points up (z)."),
]


@dataclass(frozen=True)
class ReadingOptions:
    """Options for facts that files do not state."""

    panel: ClassVar[str] = "Files that do not say it (instead of a guess)"

    time_unit: Unit = None
    sensor: Sensor = None
    stream: Stream = None
    columns: Order = None
    up: Up = None

    def options(self, on_note: Callable[[Path, tuple[str, ...]], None]) -> ReadOptions:
        """Return the options for readers; raise a usage error for an invalid size or order."""
        from spikecli.datasets.reading_options import ReadOptions

        return ReadOptions(self.time_unit, size_of(self.sensor), self.stream, self._order(), self.up, on_note)

    def _order(self) -> str | None:
        if self.columns is None:
            return None
        if sorted(self.columns.lower()) != sorted("xytp"):
            raise typer.BadParameter(
                f"found {self.columns!r}; wanted the letters x, y, t, p once each, as txyp",
                param_hint="--columns",
            )
        return self.columns.lower()


def size_of(sensor: str | None) -> tuple[int, int] | None:
    """Return width and height of a sensor such as 346x260, None for None; raise a usage error for anything else."""
    if sensor is None:
        return None
    match = re.fullmatch(r"(\d{1,4})\s*[xX×,]\s*(\d{1,4})", sensor.strip())
    if not match or not (0 < int(match[1]) <= 4096 and 0 < int(match[2]) <= 4096):
        raise typer.BadParameter(
            f"found {sensor!r}; wanted width and height in pixels, such as 346x260", param_hint="--sensor"
        )
    return int(match[1]), int(match[2])
