"""Show a table, and write it where --out says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.files.tables import ResultTable


def show_table(console: Console, table: ResultTable, out: Path | None = None, beside: str = "") -> None:
    """Print a table and, if `out` is given, write it there: .csv, .md or .tex.

    A second table of a command names what it holds: `beside` "costs" writes x-costs.csv beside x.csv.
    """
    from spikecli.files.tables import write_table

    if out is not None and beside:
        out = out.with_stem(f"{out.stem}-{beside}")
    console.table(table.title, table.columns, table.rows, table.caption)
    if out is not None:
        write_table(out, table)
        console.note(f"wrote {out}")
