"""Show the most probable classes of files, for `predict` and `zeroshot`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import typer

from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

NONE = "none of these"


def show_guesses(
    console: Console,
    title: str,
    classnames: Sequence[str],
    rows: Iterable[tuple[Path, Sequence[float]]],
    top: int,
    steps: Sequence[int] | None = None,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
    bad: Sequence[tuple[str, str]] = (),
    rejected: Sequence[bool] | None = None,
    out: Path | None = None,
) -> None:
    """Show the most probable of `classnames` for each file, given its probabilities (K,) in 0…1.

    `steps` are the time steps of each file, if files differ in them; `notes` say what was guessed in reading
    a file, by its path. `bad` are files that were left out, each with the reason: entries of the document alone.
    `rejected` says, if it was asked for, of which files no class is probable enough. `out` gets the table.
    """
    guesses = [
        (str(file), sorted(zip(probabilities, classnames, strict=True), reverse=True)[:top])
        for file, probabilities in rows
    ]
    took = [{} if steps is None else {"timesteps": steps[index]} for index in range(len(guesses))]
    marks = [None] * len(guesses) if rejected is None else list(rejected)
    answers = [
        {
            "file": file,
            **extra,
            "predictions": [{"class": name, "probability": share} for share, name in row],
            "notes": list(notes.get(file, ())),
            **({} if none is None else {"rejected": none, "answer": NONE if none else row[0][1]}),
        }
        for (file, row), extra, none in zip(guesses, took, marks, strict=True)
    ]
    console.document([*answers, *({"file": file, "error": reason} for file, reason in bad)])
    _show(console, title, guesses, took, marks, out)


def _show(
    console: Console,
    title: str,
    guesses: Sequence[tuple[str, list[tuple[float, str]]]],
    took: Sequence[Mapping[str, int]],
    marks: Sequence[bool | None],
    out: Path | None,
) -> None:
    from spikecli.files.tables import ResultTable

    cells = [
        (*((cell if place == 0 else "") for cell in (file, *extra.values())), name, share)
        for (file, row), extra, none in zip(guesses, took, marks, strict=True)
        for place, (name, share) in enumerate(_named_shares(row, none))
    ]
    records = [
        {"file": file, **extra, "class": name, "probability": share}
        for (file, row), extra in zip(guesses, took, strict=True)
        for share, name in row
    ]
    columns = ("file", *(["T"] if any(took) else []), "class", "probability")
    show_table(console, ResultTable(title, columns, cells, records=records), out)


def _named_shares(row: Sequence[tuple[float, str]], rejected: bool | None) -> list[tuple[str, str]]:
    return [*([(NONE, "–")] if rejected else []), *((name, f"{share:.1%}") for share, name in row)]


def end_with_bad(console: Console, bad: Sequence[tuple[str, str]], total: int) -> None:
    """Name the files of `total` that were left out and end with exit code 1, if there are any: pairs (file, reason)."""
    for _, reason in bad:
        console.warn(f"left out: {reason}")
    if bad:
        console.warn(f"{len(bad)} of {total} files cannot be used")
        raise typer.Exit(1)
