"""One sample of a user's data set before it is written, and the contents of its file in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OwnSample:
    """A file, its class as the files name it, its split (None: not yet split), and the group it stays with."""

    path: Path
    name: str  # its path in the source, without suffix
    folder: str  # class
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Inspected:
    """The contents of a file: points, faces, events or pixels; sensor or picture (width, height); seconds; notes."""

    count: int
    size: tuple[int, int] | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


def by_split(samples: Sequence[OwnSample], folders: Sequence[str]) -> Iterator[tuple[str, list[OwnSample], list[int]]]:
    """Yield each split with its samples and their labels, places in the class names' `folders`."""
    for split in ("train", "test"):
        chosen = [one for one in samples if one.split == split]
        yield split, chosen, [folders.index(one.folder) for one in chosen]
