"""A table of results, written row by row, so that a stopped command can continue."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError, named
from spikecli.files.atomic import make_folder, unwritable
from spikecli.files.gate import reading

SUFFIXES = (".csv", ".jsonl")
_KEY = "file"


class RowFile:
    """A .csv or .jsonl table with one row per input file; `done` names the files that have a row.

    A last line that a crash cut short is dropped. Raise SpikeError for another suffix, or a file with other columns or
    with other values than `fixed`, which every row has in these columns.
    """

    def __init__(self, path: Path, columns: Sequence[str], fixed: Mapping[str, object] = {}) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise SpikeError(f"cannot write {path}: its suffix is {path.suffix!r}; wanted one of {', '.join(SUFFIXES)}")
        self.path, self.columns, self.fixed = path, list(columns), fixed
        self.is_csv = path.suffix.lower() == ".csv"
        self.done = self._resume() if path.is_file() else set()
        if not self.done:
            make_folder(path.parent)
            self._write(_csv_line(self.columns) if self.is_csv else "", "w")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row to disk at once; raise SpikeError if the disk is full."""
        values = [row.get(name, self.fixed.get(name, "")) for name in self.columns]
        line = _csv_line(values) if self.is_csv else json.dumps(dict(zip(self.columns, values, strict=True))) + "\n"
        self._write(line, "a")

    def _write(self, text: str, mode: str) -> None:
        try:
            with self.path.open(mode, encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _resume(self) -> set[str]:
        cure = f"give another name with {named('out')}, or remove it"
        with reading(self.path, cure):
            data = self.path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1].decode("utf-8-sig")  # a crash may cut a line within a letter
            if self.is_csv:
                rows = list(csv.DictReader(io.StringIO(whole)))
                head = next(csv.reader(io.StringIO(whole)), self.columns)
            else:
                rows = [json.loads(line) for line in whole.splitlines()]
                head = list(rows[0]) if rows else self.columns
            if head != self.columns:
                raise SpikeError(f"{self.path} holds other columns ({', '.join(head)[:60]}); {cure}")
            for name, value in self.fixed.items():
                if others := {str(row[name]) for row in rows} - {str(value)}:
                    raise SpikeError(f"{self.path} has rows of {name} {min(others)}, and this run has {value}; {cure}")
            done = {str(row[_KEY]) for row in rows}
        if done and not data.endswith(b"\n"):
            self._write(whole, "w")
        return done


def _csv_line(values: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
