"""Write docs/cli.md, the reference of every command and option, from the command line itself.

python scripts/command_reference.py            writes the page
python scripts/command_reference.py --check    exits with 1 if the page is stale
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from spikecli.cli import _command

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Command reference

<!-- Made by scripts/command_reference.py from the commands themselves; change those, and run it again. -->

Every command has `--help`. Options with the same name mean the same everywhere. Each is also an environment variable,
`SPIKECLI_TRAIN_EPOCHS=30` for `train --epochs 30`, and a key of the TOML file that `--config` takes; what is given on
the line wins. Exit codes: 0 done, 1 something you can put right, said in one line, 2 usage, 130 interrupted.
"""


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command by its full name, "data prepare", in the order of the help."""
    for each, child in group.commands.items():
        full = f"{name} {each}".strip()
        if hasattr(child, "commands"):
            yield from commands(child, full)
        else:
            yield full, child


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def kind_of(option: Any) -> str:
    """Return what an option takes: its choices, or N and X for whole and other numbers; nothing for text and flags."""
    taken = option.type_descriptor.annotation
    if get_origin(taken) is Literal:
        return "|".join(map(str, get_args(taken)))
    return {int: "N", float: "X"}.get(taken, "")


def default_of(option: Any) -> str:
    """Return the default as the help shows it."""
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.default
    return "" if value is None or value is False or value == () or callable(value) else str(value)


def rows(command: Any) -> Iterator[str]:
    """Yield a row for each argument and option."""
    for option in sorted(command.params, key=lambda one: one.param_type_name != "argument"):
        if option.param_type_name == "argument":
            shown = f"`{cell(option.metavar or option.name.upper())}`"
        else:
            shown = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
            shown += f" {cell(kind_of(option))}" if kind_of(option) else ""
        yield f"| {shown} | {cell(option.help or '')} | {cell(default_of(option))} |"


def section(name: str, command: Any) -> str:
    """Return the part of the page about one command."""
    words, _, example = (command.help or "").partition("Example: ")
    told = "\n\n".join(" ".join(part.split()) for part in words.split("\n\n") if part.strip())
    lines = re.split(r",? or (?=spikecli )", " ".join(example.split()))
    shown = "\n".join(line.rstrip(".") for line in lines)
    table = "\n".join(["| argument or option | what it is | default |", "|---|---|---|", *rows(command)])
    return f"## spikecli {name}\n\n{told}\n\n```bash\n{shown}\n```\n\n{table}\n"


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(section(*each) for each in sorted(commands(_command())))])


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        if not fresh:
            print("docs/cli.md is stale: run python scripts/command_reference.py")
        return 0 if fresh else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
