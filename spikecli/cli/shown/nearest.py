"""Usage errors that name the nearest right word."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup

_CHOICE = re.compile(r"(?:Value error, )?'(?P<given>[^']*)' is not one of (?P<known>'.*')\.?$", re.DOTALL)


class NearestGroup(TyperGroup):
    """The whole command line: a wrong choice or option is told with the nearest that exists."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is named; a usage error of it gets the nearest right word."""
        try:
            return super().invoke(ctx)
        except typer.Exit:
            raise
        except Exception as problem:
            if hasattr(problem, "message") and hasattr(problem, "format_message"):
                _tell_nearest(problem)
            raise


def _tell_nearest(problem: Any) -> None:
    """Change the message of a usage error of the command line, in place."""
    if near := getattr(problem, "possibilities", None):
        problem.message = f"{problem.message.rstrip('.')}. Did you mean {_either(near)}?"
        problem.possibilities = None
        return
    problem.message = with_nearest(problem.message)


def with_nearest(message: str) -> str:
    """Return the message on a wrong choice with the nearest right one in it; other messages as they are."""
    found = _CHOICE.search(message)
    if found is None:
        return message
    known = re.findall(r"'([^']*)'", found["known"])
    near = get_close_matches(found["given"].casefold(), known, 1)
    advice = f"did you mean {near[0]}? " if near else ""
    return f"{message[: found.start()]}found {found['given']!r}: {advice}choose one of {', '.join(known)}"


def _either(names: list[str]) -> str:
    return " or ".join(sorted(names)[:3])
