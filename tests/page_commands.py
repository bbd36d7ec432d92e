"""Commands that the pages of the documentation show, and the parsing of one without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from spikecli.cli import app
from spikecli.errors import SpikeError

UsageError: Any = typer.BadParameter.__base__  # of the click that typer brings

SPAN = re.compile(r"`(spikecli [^`]*)`")


def code_of(page: Path) -> Iterator[tuple[bool, str]]:
    """Yield the lines of a page, continued ones joined, and whether each is code."""
    code = False
    for line in page.read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        if line.lstrip().startswith("```"):
            code = not code
        else:
            yield code or line.startswith("    "), line.strip().removeprefix("$ ")


def commands_of(page: Path, spans: bool = True) -> Iterator[str]:
    """Yield every `spikecli …` in the code of a page and, with `spans`, in its text."""
    for code, line in code_of(page):
        if code and line.startswith("spikecli "):
            yield line
        elif not code and spans:
            yield from (" ".join(span.split()) for span in SPAN.findall(line))


@cache
def _command() -> Any:
    """Return the whole command line, which takes a tenth of a second to make."""
    return typer.main.get_command(app)


def problem_of(words: list[str]) -> str:
    """Return why the command line refuses these words, without running them; nothing if it takes them."""
    command, rest = _command(), words
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if not rest and hasattr(command, "commands"):
        return ""
    try:
        command.make_context("spikecli", list(rest))
    except UsageError as problem:
        return str(problem.format_message())
    except SpikeError as problem:
        return str(problem)
    return ""
