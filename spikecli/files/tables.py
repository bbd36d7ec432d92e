"""Tables as files, by the ending: .csv with every number, .md and .tex as they are shown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikecli.errors import ChoiceError
from spikecli.files.atomic import write_rows, write_text

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ResultTable:
    """A table of results: cells as text under `columns`, and the `records` behind them, with unrounded numbers.

    Without records the cells are written to a CSV.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    records: Sequence[Record] = field(default_factory=tuple)


def is_table(path: Path) -> bool:
    """Return whether a file's ending is that of a table."""
    return path.suffix.lower() in WRITERS


def is_text(path: Path) -> bool:
    """Return whether a file's ending is that of a table as it is shown."""
    return is_table(path) and path.suffix.lower() != ".csv"


def check_table(path: Path) -> None:
    """Raise ChoiceError unless the file's ending is that of a table."""
    if not is_table(path):
        raise ChoiceError("out", f"cannot be {path}: its ending is {path.suffix!r}; name a {', '.join(WRITERS)} file")


def write_table(path: Path, table: ResultTable) -> None:
    """Write a table atomically; raise ChoiceError if the file's ending is of no table."""
    check_table(path)
    WRITERS[path.suffix.lower()](path, table)


def with_spread(records: Sequence[Record], over: str, measured: Sequence[str]) -> list[Record]:
    """Return the records with two more behind those that differ in `over` and `measured` alone: mean and std.

    `over`, such as "seed", is "mean" and "std" in them. A number that is missing in one of them is left out.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        key = tuple(value for name, value in record.items() if name != over and name not in measured)
        groups.setdefault(key, []).append(record)
    found: list[Record] = []
    for group in groups.values():
        found += group
        if len(group) > 1:
            for name, value_of in (("mean", statistics.fmean), ("std", statistics.stdev)):
                numbers = {each: _over(value_of, [one.get(each) for one in group]) for each in measured}
                found.append({**group[0], over: name, **numbers})
    return found


def _over(value_of: Callable[[list[float]], float], values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return value_of(known) if len(known) == len(values) else None


def _cells_as_records(table: ResultTable) -> list[Record]:
    """Return each row by the names of its columns; a column without a heading is called name."""
    return [{name or "name": cell for name, cell in zip(table.columns, row, strict=True)} for row in table.rows]


def as_markdown(table: ResultTable) -> str:
    """Return a table in Markdown: title, rows, caption."""
    rows = [[_flat(cell).replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(3, *(len(row[place]) for row in rows)) for place in range(len(table.columns))]
    right = _numeric(table)
    lines = ["| " + " | ".join(_padded(row, widths, right)) + " |" for row in rows]
    rule = ["-" * (width - 1) + (":" if side else "-") for width, side in zip(widths, right, strict=True)]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(
        [f"**{_flat(table.title)}**", "", *lines, *(["", _flat(table.caption)] if table.caption else []), ""]
    )


def as_latex(table: ResultTable) -> str:
    """Return a table in LaTeX, with the rules of the package booktabs."""
    rows = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    sides = "".join("r" if side else "l" for side in _numeric(table))
    caption = _escaped("; ".join(part for part in (table.title, table.caption) if part))
    head = ["% needs \\usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{caption}}}"]
    body = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
    return "\n".join([*head, *body, r"\end{tabular}", r"\end{table}", ""])


def _padded(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if side else cell.ljust(width) for cell, width, side in zip(row, widths, right, strict=True)
    ]


def _flat(cell: object) -> str:
    return " ".join(str(cell).split())


def _numeric(table: ResultTable) -> list[bool]:
    """Return for each column whether it holds numbers, which stand at the right."""
    number = re.compile(r"[-−–±.\d]")
    return [
        bool(table.rows) and all(number.match(str(row[place])) for row in table.rows)
        for place in range(len(table.columns))
    ]


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"$|$", "<": "$<$", ">": "$>$",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "µ": r"$\mu$", "μ": r"$\mu$", "−": "$-$", "–": "--",
    "…": r"\dots{}", "λ": r"$\lambda$", "θ": r"$\theta$", "→": r"$\rightarrow$",
}  # fmt: skip


def _escaped(cell: object) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _flat(cell))


WRITERS: dict[str, Callable[[Path, ResultTable], None]] = {
    ".csv": lambda path, table: write_rows(path, table.records or _cells_as_records(table)),
    ".md": lambda path, table: write_text(path, as_markdown(table)),
    ".tex": lambda path, table: write_text(path, as_latex(table)),
}
