"""Everything the program prints: tables, progress, notes, errors and JSON."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

LIVE_ROWS = 12  # of a table that stays in place


class Advance(Protocol):
    """Move a progress bar on by `steps`; `fields` replaces the text beside it, `total` its length."""

    def __call__(self, steps: float = 1, fields: str = "", total: float | None = None) -> None: ...


@dataclass(frozen=True)
class Twig:
    """A line of a tree: its text, a highlighted remark, and its branches."""

    text: str
    mark: str = ""
    dim: bool = False
    below: tuple[Twig, ...] = ()


class Console:
    """The output of a command: results to stdout, everything else to stderr; one JSON document with `as_json`."""

    def __init__(self, as_json: bool = False, quiet: bool = False) -> None:
        from rich.console import Console as RichConsole

        self.as_json = as_json
        self.quiet = quiet
        self.out = RichConsole(highlight=False)
        if not self.out.is_terminal:  # a pipe has no width: what another program reads is not folded at 80
            self.out.width = max(self.out.width, 140)
        self.err = RichConsole(stderr=True, highlight=False)

    def document(self, value: Any) -> None:
        """Print `value` as the one JSON document, with `--json` only; NaN and infinity become null."""
        if self.as_json:
            sys.stdout.write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")

    def json_line(self, value: Any) -> None:
        """Print `value` as a line of JSON at once, with `--json` only: for streams, which have no last document."""
        if self.as_json:
            sys.stdout.write(json.dumps(_plain(value), allow_nan=False) + "\n")
            sys.stdout.flush()

    @contextmanager
    def live(self, columns: Sequence[str]) -> Iterator[Callable[[Sequence[str]], None]]:
        """Yield a function that shows one more row: in a table that stays in place on a terminal, else as a line.

        With `--json` nothing is shown.
        """
        from rich.live import Live
        from rich.table import Table

        rows: list[Sequence[str]] = []
        if self.as_json or not self.out.is_terminal:
            yield lambda row: self.say("  ".join(f"{name} {cell}" for name, cell in zip(columns, row, strict=True)))
            return
        with Live(console=self.out, refresh_per_second=10) as screen:

            def show(row: Sequence[str]) -> None:
                rows.append(row)
                table = Table(*columns, header_style="bold")
                for each in rows[-LIVE_ROWS:]:
                    table.add_row(*each)
                screen.update(table)

            yield show

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """Print a table on stdout, not with `--json`; numbers are aligned right."""
        if self.as_json:
            return
        from rich.table import Table

        table = Table(
            title=title, caption=caption or None, title_justify="left", caption_justify="left", header_style="bold"
        )
        for index, column in enumerate(columns):
            numeric = all(_is_number(row[index]) for row in rows) and bool(rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*[str(cell) for cell in row])
        self.out.print(table, crop=False)

    def tree(self, title: str, twigs: Sequence[Twig]) -> None:
        """Print a tree on stdout, not with `--json`."""
        if self.as_json:
            return
        from rich.text import Text
        from rich.tree import Tree

        def grow(parent: Tree, twig: Twig) -> None:
            line = Text(twig.text, style="dim" if twig.dim else "bold" if twig.below else "")
            branch = parent.add(line.append(f"  {twig.mark}", style="green") if twig.mark else line)
            for each in twig.below:
                grow(branch, each)

        root = Tree(Text(title, style="bold"))
        for twig in twigs:
            grow(root, twig)
        self.out.print(root)

    def say(self, text: str) -> None:
        """Print a line of result on stdout, not with `--json`."""
        if not self.as_json:
            self.out.print(text, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a progress note on stderr, unless quiet."""
        if not self.quiet:
            self.err.print(text, markup=False, soft_wrap=True, style="dim")

    def warn(self, text: str) -> None:
        """Print a warning on stderr, also when quiet."""
        self.err.print(f"warning: {text}", markup=False, soft_wrap=True, style="yellow")

    @contextmanager
    def progress(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Advance]:
        """Yield a function that moves a progress bar on stderr; nothing is drawn when quiet.

        While the total is not known, a count and the time stand for the bar.
        """
        from rich.progress import Progress

        columns = _columns(bool(total), unit, self.err.is_terminal)
        with Progress(*columns, console=self.err, transient=False, disable=self.quiet) as bar:
            task = bar.add_task(description, total=total, fields="")

            def advance(steps: float = 1, fields: str = "", total: float | None = None) -> None:
                changes: dict[str, Any] = {"fields": fields} if fields else {}
                if total is not None:
                    changes["total"], bar.columns = total, _columns(True, unit, self.err.is_terminal)
                bar.update(task, advance=steps, **changes)

            yield advance
            if bar.tasks[0].total is None:
                bar.update(task, total=bar.tasks[0].completed)  # it is over: the spinner goes


def _columns(known: bool, unit: str, spins: bool) -> tuple[Any, ...]:
    """Return the columns of a progress bar; of work whose total is not known: the count, the time, a spinner."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    what, fields = TextColumn("{task.description}"), TextColumn("{task.fields[fields]}")
    if known:
        share = TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit)
        return what, BarColumn(bar_width=12), share, TimeRemainingColumn(elapsed_when_finished=True), fields
    count = [TextColumn("{task.completed:.0f} " + unit)] if unit else []
    spinner = [SpinnerColumn(finished_text="")] if spins else []
    return what, *count, TimeElapsedColumn(), *spinner, fields


def error(text: str) -> None:
    """Print an error that the user can fix, as one line on stderr."""
    sys.stderr.write("error: " + " ".join(text.split()) + "\n")


def open_streams() -> None:
    """Make stdout and stderr accept every letter: unprintable ones become `?`; a closed stream discards its input."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (open until the end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def close_streams(code: int) -> int:
    """Flush the output and return the exit code: 1 if that fails, for example on a full disk.

    A closed pipe, for example to `head`, is not an error.
    """
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError as problem:
            code = code or unprinted(problem) or 1
    return code


def unprinted(problem: OSError) -> int | None:
    """Return exit code 1 if `problem` is that stdout or stderr cannot be written, after saying so; else None.

    Both lead nowhere from then on, so that Python has nothing more to say of it when it ends.
    """
    if problem.filename is not None or problem.errno not in _UNPRINTED:
        return None
    try:
        if problem.errno != errno.EPIPE:
            error(f"cannot write the output: {problem.strerror}; free some space, or print to another place")
        sys.stderr.flush()
    except OSError:
        pass
    void = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(void, stream.fileno())
        except (OSError, ValueError):  # a stream of a test, without a descriptor
            continue
    return 1


_UNPRINTED = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF)


def warning(text: str) -> None:
    """Print a warning as one line on stderr."""
    sys.stderr.write("warning: " + " ".join(text.split()) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value)


def _is_number(cell: object) -> bool:
    text = str(cell).strip()
    return bool(text) and (text[0].isdigit() or text[0] in "-–±.")
