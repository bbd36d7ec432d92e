"""Train and test split of a user's samples: as the user says, else drawn by class; saved with the data."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikecli.datasets.own_sample import OwnSample
from spikecli.errors import SpikeError, named
from spikecli.files.atomic import write_text
from spikecli.files.gate import reading

FILE = "splits.csv"  # beside the prepared data: name,class,split


def read_splits(path: Path) -> dict[str, str]:
    """Return the saved split of each sample by name; raise SpikeError if the file is damaged."""
    if not path.is_file():
        return {}
    with reading(path, "remove it and prepare again"):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return {row["name"]: row["split"] for row in rows if row["split"] in ("train", "test")}


def read_classes(path: Path) -> list[str]:
    """Return the classes of the saved samples, as the files name them, sorted; empty without the file.

    Raise SpikeError if the file is damaged.
    """
    if not path.is_file():
        return []
    with reading(path, "remove it and prepare again"):
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return sorted({row["class"] for row in rows})


def write_splits(path: Path, samples: Sequence[OwnSample]) -> None:
    """Write the split of each sample."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "class", "split"))
    writer.writerows((one.name, one.folder, one.split) for one in samples)
    write_text(path, text.getvalue())


def with_splits(
    samples: Sequence[OwnSample], fraction: float, seed: int, kept: Mapping[str, str]
) -> tuple[list[OwnSample], list[str]]:
    """Return the samples, each with a split, and notes on classes that cannot be split.

    A sample with a split, given or saved (`kept`), keeps it, with its group. Of the others, whole groups of each class
    are drawn for the test part if they bring it nearer to `fraction` of the class, or else the smallest one is; a class
    keeps a sample to train on. Raise SpikeError if a group is of both splits, or a part would be empty.
    """
    decided = _decided(samples, kept)
    notes, rng = [], np.random.default_rng([seed, 1])
    given = any(one.split is not None for one in samples)
    for folder in sorted({one.folder for one in samples}):
        members = [one for one in samples if one.folder == folder]
        groups: dict[str, list[OwnSample]] = {}
        for one in members:
            groups.setdefault(_group(one), []).append(one)
        wanted = max(1, round(fraction * len(members))) if fraction and not given else 0
        count = sum(len(ones) for name, ones in groups.items() if decided.get(name) == "test")
        free = [name for name in sorted(groups) if name not in decided]
        trained = sum(decided.get(name) == "train" for name in groups)
        for place in rng.permutation(len(free)).tolist():
            name, left = free[place], sum(other not in decided for other in groups)
            size = len(groups[name])
            nearer = abs(count + size - wanted) < abs(count - wanted)  # a large group may be too much
            draws = nearer and trained + left > 1
            decided[name] = "test" if draws else "train"
            trained += not draws
            count += size if draws else 0
        if wanted and not count and len(free) > 1:
            smallest = min(free, key=lambda name: len(groups[name]))
            decided[smallest], count = "test", len(groups[smallest])
        if not count:
            notes.append(f"no sample of {folder} is in the test part: it has {len(groups)} to train on")
    done = [replace(one, split=decided[_group(one)]) for one in samples]
    _demand_both(done)
    return done, notes


def _demand_both(samples: Sequence[OwnSample]) -> None:
    for split in ("train", "test"):
        if not any(one.split == split for one in samples):
            raise SpikeError(
                f"found no sample for the {split} part; wanted some; check the folders or {named('test_fraction')}"
            )


def _group(one: OwnSample) -> str:
    return f"group {one.group}" if one.group is not None else one.name


def _decided(samples: Sequence[OwnSample], kept: Mapping[str, str]) -> dict[str, str]:
    decided: dict[str, str] = {}
    for one in samples:
        split = one.split or kept.get(one.name)
        if split is None:
            continue
        if decided.setdefault(_group(one), split) != split:
            raise SpikeError(f"found samples of {_group(one)} in train and in test; wanted a group in one of them")
    return decided
