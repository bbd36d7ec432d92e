"""The options of `data prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import typer


@dataclass(frozen=True)
class Own:
    """Options that describe the user's files."""

    panel: ClassVar[str] = "Your own data (any NAME, with --from)"

    kind: Annotated[
        Literal["points", "events", "images"] | None,
        typer.Option("--kind", help="What your files hold.", show_default="by the files"),
    ] = None
    test_fraction: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of each class for testing, if the files have no split.")
    ] = 0.2
    group: Annotated[
        str | None, typer.Option(help="Pattern of paths: files with the same match stay in one split.")
    ] = None
    class_pattern: Annotated[
        str | None, typer.Option(help="Pattern of file names that is the class, instead of the folder.")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was found; write nothing.")] = False


@dataclass(frozen=True)
class Preparing:
    """Options of a preparation."""

    panel: ClassVar[str] = "How it is prepared"

    points: Annotated[
        int | None, typer.Option("--points", min=2, help="Points of each cloud.", show_default="2048")
    ] = None
    sampling: Annotated[
        Literal["uniform", "fps"] | None,
        typer.Option("--sampling", help="Evenly at random, or far from one another.", show_default="uniform"),
    ] = None
    normals: Annotated[
        bool,
        typer.Option("--normals", help="Keep each point's normal: of a mesh's faces, or as the file says it."),
    ] = False
    split_order: Annotated[
        Literal["number", "text"] | None,
        typer.Option(
            help="Recordings without an official split: the first 90 % of a class by number, or by name as text "
            "(SpikingJelly's, as released).",
            show_default="number",
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Prepare again, even if it is done.")] = False
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out files that cannot be used; list them at the end, exit code 1.")
    ] = False
