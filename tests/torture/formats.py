"""Every kind of file that the program reads: how a damaged one is made, and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torture.mutations import Rng, damaged


@dataclass(frozen=True)
class Format:
    """One kind of file: `make` draws a damaged one, `read` does what the program does with it."""

    name: str  # of the file, with its suffix
    make: Callable[[Rng], bytes]
    read: Callable[[Path], object]
    share: float  # of all files
    group: str  # a row of the report


def of_wholes(wholes: Sequence[bytes]) -> Callable[[Rng], bytes]:
    """Return a maker that damages one of some whole files."""

    def make(rng: Rng) -> bytes:
        return damaged(wholes[int(rng.integers(len(wholes)))], rng, wholes)

    return make


def of_texts(lines: Sequence[str], words: Sequence[str]) -> Callable[[Rng], bytes]:
    """Return a maker of text files: some of `lines`, in which some of `words` may come, then damaged."""

    def make(rng: Rng) -> bytes:
        chosen = [lines[index] for index in np.flatnonzero(rng.random(len(lines)) < 0.8)]
        for _ in range(int(rng.integers(3))):
            chosen.insert(int(rng.integers(len(chosen) + 1)), words[int(rng.integers(len(words)))])
        text = "\n".join(chosen).encode("utf-8", "surrogatepass")
        return damaged(text, rng) if rng.random() < 0.7 else text

    return make


def all_formats(folder: Path, groups: Sequence[str] = ()) -> list[Format]:
    """Return the formats of the `groups`, all unless given; what reading them takes is kept in `folder`."""
    from torture import cloud_specimens, event_specimens, image_specimens, model_specimens, text_specimens

    found = []
    for module in (cloud_specimens, event_specimens, image_specimens, text_specimens, model_specimens):
        if not groups or set(groups) & set(module.GROUPS):
            found += module.formats(folder / module.__name__.rpartition(".")[2])
    return [one for one in found if not groups or one.group in groups]
