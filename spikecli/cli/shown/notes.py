"""Notes on guesses and omissions in reading files: lines on stderr, and a list for the JSON document."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from spikecli.console import Console

NOTES_OF_A_KIND = 3  # printed of many files; the others are counted


class FileNotes:
    """Prints and stores readers' notes on a file: call it with the path and the notes.

    Of each kind of note the first `most` are printed and the others counted; `say_rest` prints the counts.
    """

    def __init__(self, console: Console, most: int | None = None) -> None:
        self.console, self.most = console, most
        self.of: dict[str, list[str]] = {}
        self._said: Counter[str] = Counter()

    def __call__(self, path: Path, notes: tuple[str, ...]) -> None:
        from spikecli.datasets.notes import kind_of_note

        self.of.setdefault(str(path), []).extend(notes)
        self._said.update(kinds := [kind_of_note(note) for note in notes])
        new = [
            note for note, kind in zip(notes, kinds, strict=True) if self.most is None or self._said[kind] <= self.most
        ]
        if new:
            self.console.note(f"{path}: {'; '.join(new)}")

    def say_rest(self) -> None:
        """Print how many files got each kind of note that was not printed each time; once."""
        from spikecli.datasets.notes import kind_of_note

        first = {kind_of_note(note): note for notes in reversed(self.of.values()) for note in reversed(notes)}
        for kind, count in self._said.items():
            if self.most is not None and count > self.most:
                self.console.note(f"{count - self.most} more files like: {first[kind]}")
        self._said.clear()
