"""Show a table, and write it where --out says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.files.tables import ResultTable


def show_table(console: Console, table: ResultTable, out: Path | None = None) -> None:
    """Print a table and, if `out` is given, write it there: .csv, .md or .tex."""
    from spikecli.files.tables import write_table

    console.table(table.title, table.columns, table.rows, table.caption)
    if out is not None:
        write_table(out, table)
        console.note(f"wrote {out}")
