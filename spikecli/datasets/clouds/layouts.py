"""The folder layouts of ModelNet and similar data sets, all turned into one listing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spikecli.datasets.clouds.facts import CloudFacts
from spikecli.datasets.clouds.formats import SUFFIXES
from spikecli.datasets.clouds.items import Item
from spikecli.datasets.clouds.layout_hdf5 import list_hdf5
from spikecli.datasets.walk import all_folders, files_in, folders_in, refuse_twins
from spikecli.errors import SpikeError
from spikecli.files.gate import read_lines, reading


@dataclass(frozen=True)
class Listing:
    """All clouds of a data set in a fixed order, and the layout they were found in."""

    layout: str
    items: tuple[Item, ...]


def list_items(root: Path, facts: CloudFacts) -> Listing:
    """Return the clouds of the folder `root`, or of the first folder below it that holds a known layout.

    Raise SpikeError if no known layout is found, a class is missing or unknown, a cloud is there twice, or labels
    disagree with the list files.
    """
    for folder in all_folders(root):
        if any(path.name.startswith("ply_data_") for path in files_in(folder, (".h5",))):
            return _complete(root, facts, Listing("hdf5", tuple(list_hdf5(folder, facts))))
        if any(path.name.endswith("_train.txt") for path in files_in(folder, (".txt",))) and folders_in(folder):
            return _complete(root, facts, Listing("lists", tuple(_from_lists(folder, facts))))
        by_class, by_split = _is_by_class(folder, facts), _is_by_split(folder, facts)
        if by_class or by_split:
            _no_strangers(folder, facts, by_split)
            layout = "class/split" if by_class else "split/class"
            return _complete(root, facts, Listing(layout, tuple(_from_tree(folder, facts, by_split))))
    raise SpikeError(
        f"{root} holds no {facts.name} in a known layout; wanted <class>/<split>/<file>, <split>/<class>/<file>, "
        f"<class>/<file>.txt with {facts.name}_train.txt, or ply_data_train*.h5; the classes are "
        + ", ".join(facts.classnames)
    )


def _split_folder(folder: Path, split: str) -> Path:
    """Return the folder of a split in `folder`, ignoring case: `Train` or `train`."""
    if (folder / split).is_dir() or not folder.is_dir():
        return folder / split
    return next((path for path in folders_in(folder) if path.name.lower() == split), folder / split)


def _is_by_class(folder: Path, facts: CloudFacts) -> bool:
    return any(_split_folder(folder / name, split).is_dir() for name in facts.classnames for split in facts.splits)


def _is_by_split(folder: Path, facts: CloudFacts) -> bool:
    return any((_split_folder(folder, split) / name).is_dir() for name in facts.classnames for split in facts.splits)


def _no_strangers(folder: Path, facts: CloudFacts, by_split: bool) -> None:
    tops = [_split_folder(folder, split) for split in facts.splits] if by_split else [folder]
    names = {path.name for top in tops if top.is_dir() for path in folders_in(top)}
    strangers = sorted(names - set(facts.classnames))
    if strangers:
        raise SpikeError(
            f"{folder} has the folder {strangers[0]}, which is no class of {facts.name}; "
            f"its classes are {', '.join(facts.classnames)}"
        )


def _from_tree(folder: Path, facts: CloudFacts, by_split: bool) -> Iterator[Item]:
    for split in facts.splits:
        for label, classname in enumerate(facts.classnames):
            place = _split_folder(folder, split) / classname if by_split else _split_folder(folder / classname, split)
            for path in files_in(place, SUFFIXES):
                _agrees(path, path.stem, classname, facts.classnames)
                yield Item(path.stem, label, split, path)


def _from_lists(folder: Path, facts: CloudFacts) -> Iterator[Item]:
    """Yield the clouds in the list files of `folder`: lines `<class>_0001` for files `<class>/<class>_0001.txt`."""
    named = folder / f"{facts.name}_shape_names.txt"
    if named.exists() and sorted(_lines(named)) != sorted(facts.classnames):
        raise SpikeError(f"{named} does not name the {len(facts.classnames)} classes of {facts.name}; fetch it again")
    seen: dict[str, str] = {}
    for split in facts.splits:
        place = folder / f"{facts.name}_{split}.txt"
        if not place.exists():
            raise SpikeError(f"found no {place}; wanted the list of the {split} part; fetch the whole archive again")
        for stem in sorted(_lines(place)):
            classname = stem.rsplit("_", 1)[0]
            if classname not in facts.classnames:
                raise SpikeError(f"{place} names {stem!r}, which is of no class of {facts.name}; fetch it again")
            if stem in seen:
                raise SpikeError(
                    f"{stem} is named twice in the lists of {folder} ({seen[stem]}, {split}); fetch them again"
                )
            seen[stem] = split
            yield Item(stem, facts.classnames.index(classname), split, _listed(folder / classname, stem, place))


def _listed(folder: Path, stem: str, place: Path) -> Path:
    with reading(place, "fetch it again"):  # a list may name what no file system can
        for suffix in (".txt", *SUFFIXES):
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    raise SpikeError(f"{place} names {stem}, but {folder} has no such file; fetch the whole archive again")


def _lines(path: Path) -> list[str]:
    return read_lines(path, "fetch it again")


def _agrees(path: Path, stem: str, classname: str, classnames: Sequence[str]) -> None:
    """Raise SpikeError if a file named after one class is in the folder of another."""
    named = re.sub(r"_\d+$", "", stem)
    if named != classname and named in classnames:
        raise SpikeError(f"{path} is named after {named} but is in the folder of {classname}; move it to {named}")


def _complete(root: Path, facts: CloudFacts, listing: Listing) -> Listing:
    refuse_twins(listing.items, lambda item: (item.split, item.label, item.row, item.name), lambda item: item.path)
    for split in facts.splits:
        present = {item.label for item in listing.items if item.split == split}
        missing = [name for label, name in enumerate(facts.classnames) if label not in present]
        if missing:
            raise SpikeError(
                f"{root} has no {split} files of {', '.join(missing)}; wanted all {len(facts.classnames)} classes "
                f"of {facts.name}; fetch the whole data set again"
            )
    order = {split: place for place, split in enumerate(facts.splits)}
    items = sorted(listing.items, key=lambda item: (order[item.split], item.label, item.name, item.row or 0))
    return Listing(listing.layout, tuple(items))
