"""What a harness counted, and the table of all of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The counts of one harness; `faults` holds what must not be: tracebacks, hangs, wrong results, a line on each."""

    what: str
    tried: int = 0
    survived: int = 0  # ended as promised
    refused: int = 0  # of these, with one line
    tracebacks: int = 0
    hangs: int = 0
    wrong: int = 0  # ended, but not as promised: a half file, other bits, too much memory
    slowest: float = 0.0  # seconds of one try
    peak_mb: float = 0.0  # memory that one try took beyond the start
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    note: str = ""

    def good(self, refused: bool = False) -> None:
        self.tried += 1
        self.survived += 1
        self.refused += refused

    def fault(self, kind: str, line: str) -> None:
        """Count a `traceback`, a `hang` or something `wrong`, which `line` says how to see again."""
        self.tried += 1
        self.tracebacks += kind == "traceback"
        self.hangs += kind == "hang"
        self.wrong += kind == "wrong"
        self.faults.append(f"{self.what}: {kind}: {line}")
        sys.stderr.write(self.faults[-1] + "\n")


HEAD = ("harness", "tried", "survived", "in one line", "tracebacks", "hangs", "wrong", "slowest s", "peak MB", "time s")


def table(tallies: Sequence[Tally]) -> str:
    """Return a Markdown table of the tallies and of their sums."""
    rows = [_cells(tally) for tally in tallies]
    rows.append(_cells(_sum(tallies)))
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (HEAD, *rows)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"{tally.what}: {tally.note}" for tally in tallies if tally.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def document(tallies: Sequence[Tally], seed: int) -> str:
    """Return the tallies as JSON."""
    return json.dumps({"seed": seed, "harnesses": [vars(tally) for tally in tallies]}, indent=2)


def _sum(tallies: Sequence[Tally]) -> Tally:
    total = Tally("all")
    for tally in tallies:
        for name in ("tried", "survived", "refused", "tracebacks", "hangs", "wrong", "seconds"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        total.slowest, total.peak_mb = max(total.slowest, tally.slowest), max(total.peak_mb, tally.peak_mb)
    return total


def _cells(tally: Tally) -> tuple[str, ...]:
    counts = (tally.tried, tally.survived, tally.refused, tally.tracebacks, tally.hangs, tally.wrong)
    return (
        tally.what, *(f"{count:,}" for count in counts), f"{tally.slowest:.2f}", f"{tally.peak_mb:.0f}",
        f"{tally.seconds:.0f}",
    )  # fmt: skip


def sound(*tallies: Tally) -> None:
    """Fail if something was found."""
    faults = [fault for tally in tallies for fault in tally.faults]
    assert not faults, faults
    assert all(tally.survived == tally.tried for tally in tallies), tallies
