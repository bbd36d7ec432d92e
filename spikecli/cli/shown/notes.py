"""Notes on guesses and omissions in reading files: one line a file on stderr, and a list for the JSON document."""

from __future__ import annotations

from pathlib import Path

from spikecli.console import Console


class FileNotes:
    """Prints and stores readers' notes on a file: call it with the path and the notes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.of: dict[str, list[str]] = {}

    def __call__(self, path: Path, notes: tuple[str, ...]) -> None:
        self.of.setdefault(str(path), []).extend(notes)
        self.console.note(f"{path}: {'; '.join(notes)}")
