"""Lists of the classes of files that lie in no folder of a class, as the validation parts of ImageNet come."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from spikecli.errors import SpikeError
from spikecli.files.gate import read_lines

# Tiny-ImageNet; ES-ImageNet; ImageNet as Caffe lists it; ImageNet as Kaggle does.
NAMES = ("val_annotations.txt", "vallabel.txt", "val.txt", "loc_val_solution.csv")
_TRAIN, _TEST = ("train", "training"), ("test", "testing")


def listed_classes(files: Sequence[Path], root: Path) -> dict[str, str]:
    """Return the class of each file in the lists among `files`, by the file's name without suffix.

    A list says a name and a class on each line, more is not read. A class that is a number counts the training classes
    in order of name, unless these have numbers themselves (`class349`). Raise SpikeError for a line or a number that
    means nothing.
    """
    folders = _training_classes(files, root)
    found: dict[str, str] = {}
    for path in files:
        if path.name.lower() in NAMES:
            found |= {name: _class_of(said, folders, path) for name, said in _rows(path)}
    return found


def without_class(files: Sequence[Path], root: Path, listed: Mapping[str, str]) -> list[Path]:
    """Return the files of a test part whose classes are kept secret: in no list, and in no folder of a class."""
    classes = set(_training_classes(files, root))
    return [
        path for path in files if _is_secret(path.relative_to(root).parts[:-1], classes) and path.stem not in listed
    ]


def _is_secret(folders: Sequence[str], classes: set[str]) -> bool:
    return any(part.lower() in _TEST for part in folders) and not classes & set(folders)


def _training_classes(files: Sequence[Path], root: Path) -> list[str]:
    """Return the folders right below those named train, in order of name."""
    found = set()
    for path in files:
        parts = path.relative_to(root).parts[:-1]
        found |= {after for part, after in pairwise(parts) if part.lower() in _TRAIN}
    return sorted(found)


def _rows(path: Path) -> list[tuple[str, str]]:
    """Return (file's name without suffix, class as it is said) of each line."""
    rows = []
    lines = read_lines(path, "fetch it again")
    kaggle = path.suffix.lower() == ".csv"
    for number, words in enumerate(csv.reader(lines) if kaggle else (line.split() for line in lines), 1):
        if kaggle and words[:1] == ["ImageId"]:
            continue
        said = words[1].split()[:1] if len(words) > 1 else []
        if not said:
            raise SpikeError(f"{path}, line {number}: found {' '.join(words)!r}; wanted a file's name and its class")
        rows.append((Path(words[0]).stem, said[0]))
    return rows


def _class_of(said: str, folders: Sequence[str], path: Path) -> str:
    if said in folders or not said.isdecimal():
        return said
    if f"class{said}" in folders:
        return f"class{said}"
    if int(said) >= len(folders):
        raise SpikeError(
            f"{path} names class {said}, and the training part beside it has {len(folders)} classes, counted from 0; "
            "give the whole folder"
        )
    return folders[int(said)]
