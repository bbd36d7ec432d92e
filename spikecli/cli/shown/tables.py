"""Show a table, and write it where --out says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.files.tables import ResultTable


def show_table(console: Console, table: ResultTable, out: Path | None = None, beside: str = "") -> None:
    """Print a table and, if `out` is given, write it as `write_out` does."""
    console.table(table.title, table.columns, table.rows, table.caption)
    if out is not None:
        write_out(console, table, out, beside)


def write_out(console: Console, table: ResultTable, out: Path, beside: str = "") -> None:
    """Write a table where --out says, .csv, .md or .tex, and say so.

    A second table of a command names what it holds: `beside` "costs" writes x-costs.csv beside x.csv.
    """
    from spikecli.files.tables import write_table

    out = out.with_stem(f"{out.stem}-{beside}") if beside else out
    write_table(out, table)
    console.note(f"wrote {out}")
