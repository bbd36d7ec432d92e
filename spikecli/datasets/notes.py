"""Notes on many files, each kind said once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def kind_of_note(note: str) -> str:
    """Return a note without its numbers, which differ from file to file."""
    return re.sub(r"[\d.,]+", "#", note)


def summed_notes(notes: Sequence[str]) -> list[str]:
    """Return each kind of note once: the first of those that differ in file and numbers, with how many follow it."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(kind_of_note(note.rpartition(": ")[2] or note), []).append(note)
    return [f"{of[0]} (and {len(of) - 1} more like it)" if len(of) > 1 else of[0] for of in kinds.values()]


def renamed(report: dict[str, Any], root: Path, source: Path | None) -> dict[str, Any]:
    """Return a report whose lines name the archive `source` instead of the folder `root` to which it was unpacked."""
    return {
        key: [line.replace(str(root), str(source)) if isinstance(line, str) else line for line in value]
        if isinstance(value, list)
        else value
        for key, value in report.items()
    }
