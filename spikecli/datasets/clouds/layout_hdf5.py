"""ModelNet as `ply_data_train*.h5`: 2,048 points a cloud in HDF5 files, published by PointNet's authors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from spikecli.datasets.clouds.facts import CloudFacts
from spikecli.datasets.clouds.items import Item
from spikecli.datasets.walk import files_in, original_of
from spikecli.errors import SpikeError
from spikecli.files.gate import read_json, read_lines
from spikecli.files.hdf5 import check_labels, stored


def list_hdf5(folder: Path, facts: CloudFacts) -> Iterator[Item]:
    """Yield the rows of `ply_data_<split>*.h5`; raise SpikeError if labels disagree with the file names beside them."""
    classnames = _shape_names(folder, facts)
    for split in facts.splits:
        for path in files_in(folder, (".h5",)):
            if not path.name.startswith(f"ply_data_{split}"):
                continue
            if (original := original_of(path)) is not None:
                raise SpikeError(f"found {original} and its copy {path}; wanted each once; remove one of them")
            labels = _labels(path, len(classnames))
            files = _file_names(path, len(labels))
            for row, label in enumerate(labels):
                classname = classnames[label]
                if files and files[row].split("/")[0] != classname:
                    raise SpikeError(
                        f"{path} labels row {row} {classname}, its list of files {files[row]}; fetch it again"
                    )
                name = Path(files[row]).stem if files else f"{path.stem}_{row:04d}"
                yield Item(name, facts.classnames.index(classname), split, path, row)


def _shape_names(folder: Path, facts: CloudFacts) -> list[str]:
    path = folder / "shape_names.txt"
    if not path.exists():
        return list(facts.classnames)
    names = read_lines(path, "fetch it again")
    if sorted(names) != sorted(facts.classnames):
        raise SpikeError(
            f"{path} names {len(names)} classes that are not those of {facts.name}; choose the right data set"
        )
    return names


def _labels(path: Path, classes: int) -> list[int]:
    with stored(path, "fetch it again") as file:
        rows = len(file.dataset("data", "f", None, None, 3))
        labels = file.array("label", "iu").reshape(-1)
        if len(labels) != rows:
            raise SpikeError(f"{path} has {rows} clouds and {len(labels)} labels; fetch it again")
    return [int(label) for label in check_labels(path, labels, classes)]


def _file_names(path: Path, rows: int) -> list[str]:
    """Return `<class>/<file>` for each row from the list of files beside `path`; empty without a list."""
    parts = re.fullmatch(r"ply_data_([a-z]+)_?(\d*)", path.stem)
    if parts is None:
        return []
    listing = path.with_name(f"ply_data_{parts[1]}_{parts[2]}_id2file.json")
    if not listing.exists():
        return []
    names: list[str] = read_json(listing, [str], "fetch it again")
    if len(names) != rows:
        raise SpikeError(f"{listing} does not name the {rows} rows of {path.name}; fetch them again")
    return names
