"""Find a user's samples in a folder or a list: file, class, split and group."""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from os.path import commonpath
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from spikecli.datasets.own_sample import OwnSample
from spikecli.datasets.walk import original_of, refuse_twins, walk
from spikecli.errors import SpikeError, named
from spikecli.files.gate import fits, reading

LISTS = (".csv", ".toml")
# Names of folders that stand for a split; what is held out for validation is of the training split, beside a test.
_SPLITS = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "test": "test", "testing": "test",
}  # fmt: skip
_HELD = ("val", "valid", "validation")

_PROSE = ("readme", "license", "licence", "notes", "about", "changelog")  # names of what people write about samples
_TEXT = (".txt", ".csv", ".asc", ".pts", ".xyz")  # suffixes that prose may have, too


def find_samples(
    files: Sequence[Path],
    root: Path,
    class_pattern: str | None,
    group: str | None,
    listed: Mapping[str, str] = MappingProxyType({}),
) -> list[OwnSample]:
    """Return a sample for each of the `files` under `root`, by its folders or by patterns of its path.

    A folder named train or test says the split, or val where `validation_tests`; the first other folder below those
    that all files share says the class, or for files held out the list `listed` (class by name). Raise SpikeError if a
    file has no class, or a sample is there twice.
    """
    inner = [path.relative_to(root) for path in files]
    shared = PurePath(commonpath([str(path.parent) for path in inner])).parts if inner else ()
    held = dict.fromkeys(_HELD, "test") if validation_tests(files, root, listed) else {}
    known = {**_SPLITS, **_with_a_name(inner, len(shared)), **held}
    samples = []
    for path, name in zip(files, inner, strict=True):
        folders = [part for part in name.parts[len(shared) : -1] if part.lower() not in known]
        if path.stem in listed and any(part.lower() in _HELD for part in name.parts[:-1]):
            folders = [listed[path.stem]]
        splits = [known[part.lower()] for part in name.parts[:-1] if part.lower() in known]
        if class_pattern is None and not folders:
            raise SpikeError(
                f"found {path} in no folder of a class; wanted CLASS/FILE, SPLIT/CLASS/FILE or CLASS/SPLIT/FILE, of "
                "two classes or more; or "
                f"tell the class from the file's name with {named('class_pattern')}, or give a list path,class"
            )
        folder = (
            folders[0] if class_pattern is None else _matched(class_pattern, name.name, path, named("class_pattern"))
        )
        samples.append(_sample(path, name.as_posix(), folder, splits[-1] if splits else None, group))
    return _each_once(samples)


def validation_tests(files: Sequence[Path], root: Path, listed: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Return whether the part that is named for validation is the one to test on, as in ImageNet: it stands beside a
    training part, and there is no test part, or only one without classes (`listed` says those of the validation)."""
    names = {part.lower() for path in files for part in path.relative_to(root).parts[:-1]}
    parts = {_SPLITS[name] for name in names & set(_SPLITS) - set(_HELD)}
    return bool(names & set(_HELD)) and "train" in parts and (bool(listed) or "test" not in parts)


def _with_a_name(inner: Sequence[PurePath], depth: int) -> dict[str, str]:
    """Return the split of each folder at `depth` if all have one name before it: n-cars_train and n-cars_test."""
    tops = {path.parts[depth].lower() if len(path.parts) > depth + 2 else "" for path in inner}
    matches = [re.fullmatch(rf"(.+?)[-_ ]?({'|'.join(_SPLITS)})", top) for top in tops]
    found = {match[0]: _SPLITS[match[2]] for match in matches if match}
    names = {match[1] for match in matches if match}
    return found if all(matches) and len(names) == 1 and len(set(found.values())) == 2 else {}


def listed_samples(path: Path, group: str | None) -> list[OwnSample]:
    """Return the samples of a list: CSV with the columns path,class[,split], or TOML with [[samples]] of such keys.

    Paths are relative to the list. Raise SpikeError if the list is wrong or a file is missing.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _toml_rows(path)
    samples = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, sample {number}"
        if not row.get("path") or not row.get("class"):
            raise SpikeError(f"{where}: found {dict(row)}; wanted a path and a class")
        file, split = path.parent / row["path"], (row.get("split") or "").strip().lower()
        if split and split not in _SPLITS:
            raise SpikeError(f"{where}: found split {split!r}; wanted train or test")
        if not file.is_file():
            raise SpikeError(f"{where}: found no file {file}; paths are relative to the list")
        samples.append(_sample(file, row["path"], row["class"].strip(), _SPLITS.get(split), group))
    return _each_once(samples)


def source_files(root: Path) -> list[Path]:
    """Return the files of a source in a fixed order, without clutter; raise SpikeError as `walk` does."""
    return walk(root)


def beside_the_classes(files: Sequence[Path]) -> list[Path]:
    """Return the files that may be no samples: those above all class folders, and text with a name such as readme."""
    if not files:
        return []
    top = Path(commonpath([str(path.parent) for path in files]))
    above = {path for path in files if path.parent == top} if any(path.parent != top for path in files) else set()
    return [path for path in files if path in above or is_named_as_prose(path)]


def is_named_as_prose(path: Path) -> bool:
    """Return whether a file has the name of a text about the samples, such as readme.txt; a scan about.ply has not."""
    return path.stem.lower() in _PROSE and path.suffix.lower() in _TEXT


def main_kind(found: Mapping[Path, str | None], source: Path) -> str:
    """Return the kind of most files; raise SpikeError if none is readable or another kind has nearly as many."""
    counts = Counter(kind for kind in found.values() if kind is not None).most_common()
    if not counts:
        suffixes = ", ".join(sorted({path.suffix or path.name for path in found})[:8]) or "no files"
        raise SpikeError(f"found {suffixes} in {source}; wanted clouds, recordings or pictures")
    if len(counts) > 1 and counts[1][1] * 2 > counts[0][1]:
        both = " and ".join(f"{count} of {kind}" for kind, count in counts[:2])
        raise SpikeError(f"found files {both} in {source}; say which with {named('kind')}")
    return counts[0][0]


def has_sides(names: Sequence[str]) -> bool:
    """Return whether a mirrored sample may be of another class by their names: characters, or left and right."""
    sides = re.compile(r"\b(left|right|clockwise|counterclockwise|anticlockwise|cw|ccw)\b", re.IGNORECASE)
    return all(len(one) == 1 for one in names) or any(sides.search(one) for one in names)


def _sample(path: Path, name: str, folder: str, split: str | None, group: str | None) -> OwnSample:
    kept = None if group is None else _matched(group, name, path, named("group"))
    return OwnSample(path, str(PurePath(name).with_suffix("").as_posix()), folder, split, kept)


def _matched(pattern: str, text: str, path: Path, option: str) -> str:
    try:
        match = re.search(pattern, text)
    except re.error as error:
        raise SpikeError(f"{option} {pattern!r} is no pattern: {error}") from None
    if match is None:
        raise SpikeError(f"{option} {pattern!r} is not found in {text!r} of {path}; wanted it in every name")
    return match[1] if match.groups() else match[0]


def _each_once(samples: list[OwnSample]) -> list[OwnSample]:
    refuse_twins(samples, lambda one: (one.name,), lambda one: one.path)
    for sample in samples:
        if (original := original_of(sample.path)) is not None:
            raise SpikeError(f"found {original} and its copy {sample.path}; wanted each once; remove one of them")
    return sorted(samples, key=lambda one: (one.folder, one.name))


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with reading(path, "write lines path,class or path,class,split"):
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(text.splitlines()))
        if not rows or not {"path", "class"} <= set(rows[0]):
            raise SpikeError(
                f"{path} begins {text.splitlines()[:1]}; wanted a first line path,class or path,class,split"
            )
        return rows


def _toml_rows(path: Path) -> list[dict[str, Any]]:
    with reading(path, "write [[samples]] with path and class"):
        rows: Any = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("samples")
        if not fits(rows, [{"path": str, "class": str}]):
            raise SpikeError(f"{path} holds no [[samples]] of path and class; write some")
        return list(rows)
