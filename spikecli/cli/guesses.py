"""The most probable classes of files, as `predict` and `zeroshot` show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from spikecli.console import Console


def show_guesses(
    console: Console, title: str, classnames: Sequence[str], rows: Iterable[tuple[Path, Sequence[float]]], top: int
) -> None:
    """Show the most probable of `classnames` for each file, given its probabilities (K,) in 0…1."""
    guesses = [
        (str(file), sorted(zip(probabilities, classnames, strict=True), reverse=True)[:top])
        for file, probabilities in rows
    ]
    console.document(
        [
            {"file": file, "predictions": [{"class": name, "probability": share} for share, name in row]}
            for file, row in guesses
        ]
    )
    console.table(
        title,
        ("file", "class", "probability"),
        [
            (file if place == 0 else "", name, f"{share:.1%}")
            for file, row in guesses
            for place, (share, name) in enumerate(row)
        ],
    )
