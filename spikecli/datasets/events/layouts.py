"""Find the recordings of a data set in a folder: file, part of the file, class and split."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.prepare_options import PrepareOptions, refuse_split_order
from spikecli.datasets.walk import refuse_twins, walk
from spikecli.errors import SpikeError
from spikecli.files.gate import read_text, reading

SPLITS = ("train", "test")
# What makers call the folder above the classes. Recordings held out for validation are of the training split here:
# a run holds out its own part of that.
_FOLDERS_OF = {
    "train": "train", "training": "train", "validation": "train", "val": "train", "valid": "train",
    "test": "test", "testing": "test",
}  # fmt: skip
_HELD_OUT = ("validation", "val", "valid")


@dataclass(frozen=True)
class EventItem:
    """One recording before it is read: a file, or the part of it from `start` to before `end`, µs."""

    path: Path
    label: int
    split: str
    name: str
    start: int | None = None
    end: int | None = None


def find_items(facts: EventFacts, folder: Path) -> list[EventItem]:
    """Return the recordings of a data set in `folder`, at any depth; none is no error.

    Raise SpikeError if a class is unknown, or a file that a list names is missing.
    """
    files = [path for path in walk(folder) if re.fullmatch(facts.pattern, path.name, re.IGNORECASE)]
    return list(_LAYOUTS[facts.name](facts, folder, files))


def in_order(facts: EventFacts, items: Iterable[EventItem]) -> list[EventItem]:
    """Return `items` sorted by split, class and number; raise SpikeError if a recording occurs twice."""
    ordered = sorted(items, key=_place)
    for one, other in pairwise(ordered):
        if _place(one) == _place(other):
            raise SpikeError(
                f"found {one.path} and {other.path}, both {one.split} recording {one.name} of {facts.name}; "
                "wanted each once; give the folder that holds one copy"
            )
    refuse_twins(ordered, lambda item: (item.split, item.label, item.name), lambda item: item.path)
    return ordered


def missing_classes(facts: EventFacts, items: Iterable[EventItem]) -> list[str]:
    """Return the classes without a recording."""
    labels = {item.label for item in items}
    return [name for label, name in enumerate(facts.classnames) if label not in labels]


def with_split_order(facts: EventFacts, options: PrepareOptions) -> EventFacts:
    """Return the facts with the wanted order of the split; raise SpikeError if the order of names decides nothing."""
    if options.split_order is None:
        return facts
    if _LAYOUTS[facts.name] not in (_ninety_ten, _split_or_ninety_ten):
        refuse_split_order(facts.name, options)
    return replace(facts, split_order=options.split_order)


def promises_all(facts: EventFacts) -> bool:
    """Return whether a folder in this layout must hold all classes; other data sets are also distributed in parts."""
    return _LAYOUTS[facts.name] in (_split_folders, _named_splits)


def _place(item: EventItem) -> tuple[int, int, list[tuple[int, str]]]:
    return SPLITS.index(item.split), item.label, _natural(item.name)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key that puts image_2 before image_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


_ORDERS: dict[str, Callable[[Path], list[tuple[int, str]]]] = {
    "number": lambda path: _natural(path.stem),
    "text": lambda path: [(0, path.name)],  # "cifar10_cat_99" after "cifar10_cat_989": as a directory is listed
}


def _class_of(facts: EventFacts, path: Path) -> int:
    if path.parent.name not in facts.folders:
        raise SpikeError(
            f"found {path} in a folder {path.parent.name!r}; wanted one of the {len(facts.folders)} classes of "
            f"{facts.name} ({', '.join(facts.folders[:5])} …); check that this is {facts.name}"
        )
    return facts.folders.index(path.parent.name)


def _split_folders(facts: EventFacts, folder: Path, files: list[Path]) -> Iterable[EventItem]:
    """Yield N-MNIST's recordings: Train|Test/<digit>/<index>.bin."""
    for path in files:
        split = path.parent.parent.name.lower()
        if split not in SPLITS:
            raise SpikeError(
                f"found {path}, in neither a folder Train nor Test; wanted Train/<digit>/<index>.bin and "
                f"Test/<digit>/<index>.bin; give the folder above Train and Test"
            )
        yield EventItem(path, _class_of(facts, path), split, f"{path.parent.name}/{path.stem}")


def _ninety_ten(facts: EventFacts, folder: Path, files: list[Path]) -> Iterable[EventItem]:
    """Yield the recordings of <class>/<name><number>.<suffix>: of each class the first 90 % train, the rest test.

    First by number, or with `split_order` text by name as text, which SpikingJelly's split and the releases follow.
    """
    classes: dict[int, list[Path]] = {}
    for path in files:
        classes.setdefault(_class_of(facts, path), []).append(path)
    for label, paths in sorted(classes.items()):
        paths.sort(key=_ORDERS[facts.split_order])
        tests = max(1, len(paths) // 10) if len(paths) > 1 else 0
        for index, path in enumerate(paths):
            split = SPLITS[index >= len(paths) - tests]
            yield EventItem(path, label, split, f"{path.parent.name}/{path.stem}")


def _gestures(facts: EventFacts, folder: Path, files: list[Path]) -> Iterable[EventItem]:
    """Yield DVS128 Gesture's trials: cut from .aedat by lists and labels, or cut already in .npy."""
    arrays = [path for path in files if path.suffix.lower() == ".npy"]
    lists = {
        split: [path for path in walk(folder, (".txt",)) if path.name == f"trials_to_{split}.txt"] for split in SPLITS
    }
    if arrays and not any(lists.values()):
        yield from _cut_gestures(facts, arrays)
        return
    if not files:
        return
    there = {path.name: path for path in files}
    for split, found in lists.items():
        if len(found) != 1:
            raise SpikeError(f"found {len(found)} files trials_to_{split}.txt in {folder}; wanted one; give its folder")
        for line in read_text(found[0], "unpack it again").split():
            if line not in there:
                raise SpikeError(f"{found[0]} names {line}, which is not in {folder}; wanted it there; unpack it again")
            yield from _trials(facts, there[line], split)


def _trials(facts: EventFacts, path: Path, split: str) -> Iterable[EventItem]:
    labels = path.with_name(f"{path.stem}_labels.csv")
    if not labels.is_file():
        raise SpikeError(f"found no {labels}; wanted the labels beside {path.name}; unpack the data set again")
    with reading(labels, "unpack the data set again"), labels.open(encoding="utf-8-sig", newline="") as file:
        for index, row in enumerate(csv.DictReader(file)):
            try:
                label, start, end = (int(row[key]) for key in ("class", "startTime_usec", "endTime_usec"))
            except (KeyError, TypeError, ValueError):
                raise SpikeError(f"{labels} has a row {row}; wanted class,startTime_usec,endTime_usec") from None
            if not 1 <= label <= len(facts.classnames):
                raise SpikeError(f"{labels} has a class {label}; wanted 1 to {len(facts.classnames)}; check the file")
            yield EventItem(path, label - 1, split, f"{path.stem}/{index}", start, end)


def _cut_gestures(facts: EventFacts, arrays: list[Path]) -> Iterable[EventItem]:
    """Yield tonic's trials: ibmGestureTrain|ibmGestureTest/<user>_<lighting>/<label>.npy."""
    for path in arrays:
        split = path.parent.parent.name.lower().removeprefix("ibmgesture")
        if split not in SPLITS or not path.stem.isdecimal() or int(path.stem) >= len(facts.classnames):
            raise SpikeError(
                f"found {path}; wanted ibmGestureTrain|ibmGestureTest/<user>_<lighting>/<label 0 to "
                f"{len(facts.classnames) - 1}>.npy; give the folder above the two"
            )
        yield EventItem(path, int(path.stem), split, f"{path.parent.name}/{path.stem}")


def _split_or_ninety_ten(facts: EventFacts, folder: Path, files: list[Path]) -> Iterable[EventItem]:
    """Yield N-Caltech101's recordings: training|validation|testing/<class>/<name>, or classes alone, cut 90 to 10."""
    known = any(_split_of(path) for path in files)
    yield from (_named_splits if known else _ninety_ten)(facts, folder, files)


def _named_splits(facts: EventFacts, folder: Path, files: list[Path]) -> Iterable[EventItem]:
    """Yield the recordings of <split>/<class>/<name>; a split's folder may have words before: n-cars_train."""
    for path in files:
        split = _split_of(path)
        if split is None:
            raise SpikeError(
                f"found {path}, in no folder of a split; wanted <split>/<class>/{path.name} with a split such as train "
                "or test; give the folder above the splits"
            )
        yield EventItem(path, _class_of(facts, path), split, _name_of(path))


def _split_of(path: Path) -> str | None:
    """Return the split of SPLIT/CLASS/FILE by the last word of its folder's name, None if that names no split."""
    return _FOLDERS_OF.get(re.split(r"[-_ ]", path.parent.parent.name.lower())[-1])


def _name_of(path: Path) -> str:
    """Return CLASS/FILE without suffix; with validation before it, where numbers may begin again."""
    folder = path.parent.parent.name.lower()
    name = f"{path.parent.name}/{path.stem}"
    return f"validation/{name}" if folder in _HELD_OUT else name


_Layout = Callable[[EventFacts, Path, list[Path]], Iterable[EventItem]]
_LAYOUTS: dict[str, _Layout] = {
    "digits": _split_folders,
    "nmnist": _split_folders,
    "ncaltech101": _split_or_ninety_ten,
    "cifar10dvs": _ninety_ten,
    "dvsgesture": _gestures,
    "ncars": _named_splits,
}
