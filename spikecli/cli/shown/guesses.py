"""The most probable classes of files, as `predict` and `zeroshot` show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from spikecli.console import Console


def show_guesses(
    console: Console,
    title: str,
    classnames: Sequence[str],
    rows: Iterable[tuple[Path, Sequence[float]]],
    top: int,
    steps: Sequence[int] | None = None,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Show the most probable of `classnames` for each file, given its probabilities (K,) in 0…1.

    `steps` are the time steps that each file took, where files differ in that; `notes` say what was guessed in reading
    a file, by its path.
    """
    guesses = [
        (str(file), sorted(zip(probabilities, classnames, strict=True), reverse=True)[:top])
        for file, probabilities in rows
    ]
    took = [{} if steps is None else {"timesteps": steps[index]} for index in range(len(guesses))]
    console.document(
        [
            {
                "file": file,
                **extra,
                "predictions": [{"class": name, "probability": share} for share, name in row],
                "notes": list(notes.get(file, ())),
            }
            for (file, row), extra in zip(guesses, took, strict=True)
        ]
    )
    console.table(
        title,
        ("file", *(["T"] if steps is not None else []), "class", "probability"),
        [
            (*((cell if place == 0 else "") for cell in (file, *extra.values())), name, f"{share:.1%}")
            for (file, row), extra in zip(guesses, took, strict=True)
            for place, (share, name) in enumerate(row)
        ],
    )
