"""The options of `data prepare` for a data set of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import typer


@dataclass(frozen=True)
class Own:
    """What is to be known of one's own files."""

    panel: ClassVar[str] = "Your own data (any NAME, with --from)"

    kind: Annotated[
        Literal["points", "events", "images"] | None,
        typer.Option("--kind", help="What your files hold.", show_default="told from the files"),
    ] = None
    test_fraction: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of each class for testing, where no split is said.")
    ] = 0.2
    group: Annotated[
        str | None, typer.Option(help="Pattern of paths: files with the same match stay in one split.")
    ] = None
    class_pattern: Annotated[
        str | None, typer.Option(help="Pattern of file names that is the class, instead of the folder.")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was found; write nothing.")] = False
