"""Prepare a data set from a user's folder, archive or list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from statistics import median
from typing import Any

from spikecli.datasets.facts import Facts
from spikecli.datasets.facts_file import FILE, write_facts
from spikecli.datasets.few import few_to_score, few_to_train
from spikecli.datasets.kind import Kind
from spikecli.datasets.notes import renamed, summed_notes
from spikecli.datasets.own import split as splits
from spikecli.datasets.own.find import (
    LISTS,
    beside_the_classes,
    find_samples,
    has_sides,
    is_named_as_prose,
    listed_samples,
    main_kind,
    source_files,
    validation_tests,
)
from spikecli.datasets.own.label_lists import listed_classes, without_class
from spikecli.datasets.own_sample import Inspected, OwnSample
from spikecli.datasets.prepare_options import PrepareOptions, refuse_point_options, refuse_split_order
from spikecli.datasets.record import read_record, settings_key, write_record
from spikecli.datasets.sets import KINDS, built_in, find_facts, kind_named, kind_of_file, prepare
from spikecli.datasets.walk import listing_hash
from spikecli.errors import SpikeError, named
from spikecli.files.archive import open_source
from spikecli.files.atomic import sole_writer
from spikecli.files.gate import is_plain_name
from spikecli.progress import Progress

VALIDATION = "the part named for validation is the one to test on: no other has classes"
_RESERVED = ("clip",)  # folders of the data folder that hold something else


@dataclass(frozen=True)
class Found:
    """A user's samples before writing: the samples of one kind, their contents, and what is left out and why.

    `skipped` are files of other kinds, `bad` files that cannot be read.
    """

    kind: Kind[Any]
    facts: Facts
    samples: tuple[OwnSample, ...]
    inspected: tuple[Inspected, ...]
    skipped: tuple[str, ...]
    bad: tuple[str, ...]
    notes: tuple[str, ...]


def prepare_any(data_dir: Path, name: str, options: PrepareOptions, progress: Progress = Progress()) -> dict[str, Any]:
    """Prepare a built-in data set, or a user's own; return its report, with `samples` a split and "reused".

    Raise SpikeError as `sets.prepare` and `prepare_own` do.
    """
    return (prepare if name in built_in() else prepare_own)(data_dir, name, options, progress)


def prepare_own(data_dir: Path, name: str, options: PrepareOptions, progress: Progress = Progress()) -> dict[str, Any]:
    """Find and, unless `options.dry_run`, prepare a user's data set; return the report, with "reused".

    Raise SpikeError if the source, a name, a class or a file is wrong, or another process prepares the same.
    """
    check_name(name)
    if options.source is None:
        raise SpikeError(
            f"{name} is no data set that can be fetched; give its folder, archive or list with {named('source')}"
        )
    place = data_dir / name
    if options.dry_run:
        with _opened(options.source, data_dir, progress) as root:
            return renamed(report_of(look(data_dir, name, root, options, progress), place), root, options.source)
    with sole_writer(place, f"preparing {name}", options.wait), _opened(options.source, place, progress) as root:
        return _write(place, look(data_dir, name, root, options, progress), root, options, progress)


@contextmanager
def _opened(source: Path, scratch: Path, progress: Progress) -> Iterator[Path]:
    """Yield a list or folder itself, or the folder to which an archive is unpacked."""
    if source.suffix.lower() in LISTS and source.is_file():
        yield source
        return
    with open_source(source, scratch, progress.on_step) as folder:
        yield folder


def check_name(name: str) -> None:
    """Raise SpikeError if the name is invalid or nearly equal to that of a built-in data set."""
    if not is_plain_name(name) or name.startswith(".") or name in _RESERVED:
        raise SpikeError(f"a data set cannot be called {name!r}; take letters, digits, - and _")
    if near := get_close_matches(name.casefold(), built_in(), 1, 0.9):
        raise SpikeError(f"found the name {name}, which is nearly the built-in {near[0]}; take that, or another name")


def look(data_dir: Path, name: str, root: Path, options: PrepareOptions, progress: Progress) -> Found:
    """Return the samples in a folder or list; raise SpikeError if they form no data set."""
    if root.is_file():
        listed = listed_samples(root, options.group)
        files = [one.path for one in listed]
    else:
        files = source_files(root)
    kinds = {path: kind_of_file(path, [options.kind] if options.kind else KINDS) for path in files}
    kind = kind_named(main_kind(kinds, root))
    refuse_split_order(name, options)
    if kind.name != "points":
        refuse_point_options(name, kind.name, options)
    usable = [path for path in files if kinds[path] == kind.name]
    others = Counter(path.suffix.lower() or path.name for path in files if kinds[path] != kind.name)
    skipped = [
        f"{count} {suffix} file{'s, which hold' if count > 1 else ', which holds'} no {kind.name}"
        for suffix, count in sorted(others.items())
    ]
    said: list[str] = []
    if root.is_file():
        samples = [one for one in listed if kinds[one.path] == kind.name]
    else:
        samples, left, said = _in_folder(kind, root, files, usable, options)
        skipped += left
    samples, inspected, bad = _inspected(kind, samples, options, progress)
    kept = splits.read_splits(data_dir / name / splits.FILE)
    done, notes = splits.with_splits(samples, options.test_fraction, options.seed, kept)
    facts = _facts(data_dir, name, kind, done, inspected, options)
    said += kind.notes_on(facts, inspected)
    if not facts.mirrors and not (data_dir / name / FILE).is_file():
        notes = [*notes, f"a mirrored sample may be of another class, by their names: mirrors = false in {FILE}"]
    return Found(kind, facts, tuple(done), tuple(inspected), tuple(skipped), tuple(bad), (*notes, *said))


def _in_folder(
    kind: Kind[Any], root: Path, files: Sequence[Path], usable: Sequence[Path], options: PrepareOptions
) -> tuple[list[OwnSample], list[str], list[str]]:
    """Return the samples among the `usable` of a folder's files, what is left out, and notes on its parts."""
    no_samples = _unreadable(kind, beside_the_classes(usable), options)
    left = [f"{path}, which is no sample: {problem}" for path, problem in no_samples.items()]
    classes = listed_classes(files, root)
    secret = set(without_class(usable, root, classes)) if classes else set()
    left += [f"{len(secret)} files of a test part without classes"] if secret else []
    usable = [path for path in usable if path not in no_samples and path not in secret]
    samples = find_samples(usable, root, options.class_pattern, options.group, classes)
    said = [f"{path} can be read, so it is a sample, whatever its name" for path in usable if is_named_as_prose(path)]
    return samples, left, [VALIDATION, *said] if validation_tests(usable, root, classes) else said


def _unreadable(kind: Kind[Any], files: Sequence[Path], options: PrepareOptions) -> dict[Path, str]:
    """Return why each of the files that cannot be read as samples cannot."""
    problems = {}
    for path in files:
        try:
            kind.inspect(path, options.reading)
        except SpikeError as problem:
            problems[path] = str(problem).removeprefix(f"{path}: ").removeprefix(f"{path} ")
    return problems


def _inspected(
    kind: Kind[Any], samples: Sequence[OwnSample], options: PrepareOptions, progress: Progress
) -> tuple[list[OwnSample], list[Inspected], list[str]]:
    kept, found, bad = [], [], []
    progress.on_phase("Looking at the files", len(samples))
    for one in samples:
        try:
            found.append(kind.inspect(one.path, options.reading))
            kept.append(one)
        except SpikeError as problem:
            if not options.skip_bad:
                raise SpikeError(f"{problem}; or leave such files out with {named('skip_bad')}") from None
            bad.append(str(problem))
        progress.on_step(1)
    return kept, found, bad


def _facts(
    data_dir: Path, name: str, kind: Kind[Any], samples: Sequence[OwnSample], found: Sequence[Inspected], options: Any
) -> Facts:
    """Return the facts of the data set: those of its facts file, with the classes found."""
    folders = tuple(sorted({one.folder for one in samples}))
    if len(folders) < 2:
        raise SpikeError(f"found the class {', '.join(folders) or 'none'}; wanted two or more classes")
    before = find_facts(name, data_dir) if (data_dir / name / FILE).is_file() else None
    if before is not None and before.kind == kind.name:
        spoken = dict(zip(before.folders or before.classnames, before.classnames, strict=True))
        facts = replace(before, folders=folders, classnames=tuple(spoken.get(one, one) for one in folders))
    else:
        spoken_names = tuple(one.replace("_", " ") for one in folders)
        same = not has_sides(spoken_names)
        facts = kind.facts_class(name, name, spoken_names, folders=folders, own=True, mirrors=same)
        if len(set(facts.classnames)) < len(folders):
            facts = replace(facts, classnames=folders)
    return kind.own_facts(facts, found, options)


def _write(place: Path, found: Found, root: Path, options: PrepareOptions, progress: Progress) -> dict[str, Any]:
    source = listing_hash(root, [one.path for one in found.samples])
    source = settings_key({"files": source, "samples": [[one.name, one.folder, one.split] for one in found.samples]})
    before = read_record(place, found.kind.record)
    progress.on_phase(f"Preparing {found.facts.name}", len(found.samples))
    entry = found.kind.write(found.facts, place, found.samples, source, options, progress)
    notes = entry.pop("notes", [])
    key = settings_key(entry["settings"])
    reused = before is not None and before["current"] == key and not options.force
    entry["skipped"] = [*found.skipped, *dict.fromkeys((*found.bad, *entry["skipped"]))]
    entry = renamed(entry, root, options.source)
    write_record(place, found.kind.record, key, entry)
    write_facts(place / FILE, found.facts)
    splits.write_splits(place / splits.FILE, found.samples)
    report = report_of(found, place)
    told = {**report, "notes": list(dict.fromkeys([*report["notes"], *notes]))}
    return {**renamed(told, root, options.source), "reused": reused, "settings": entry["settings"]}


def report_of(found: Found, place: Path) -> dict[str, Any]:
    """Return the report of the samples for JSON."""
    counts = Counter((one.folder, str(one.split)) for one in found.samples)
    sizes = [one.count for one in found.inspected]
    files = zip(found.samples, found.inspected, strict=True)
    notes = summed_notes([f"{one.path}: {note}" for one, seen in files for note in seen.notes])
    seconds = [one.seconds for one in found.inspected if one.seconds is not None]
    classes = {
        name: {split: counts[folder, split] for split in ("train", "test")}
        for folder, name in zip(found.facts.folders, found.facts.classnames, strict=True)
    }
    few = few_to_train({name: parts["train"] for name, parts in classes.items()})
    few += few_to_score({name: parts["test"] for name, parts in classes.items()})
    return {
        "dataset": found.facts.name,
        "kind": found.kind.name,
        "folder": str(place),
        "samples": dict(sorted(Counter(str(one.split) for one in found.samples).items(), reverse=True)),
        "classes": classes,
        "bytes_read": sum(one.path.stat().st_size for one in found.samples),
        "count": {"least": min(sizes), "median": int(median(sizes)), "most": max(sizes)},
        "sizes": sorted({one.size for one in found.inspected if one.size}),
        "seconds": {"least": min(seconds), "most": max(seconds)} if seconds else None,
        "skipped": [*found.skipped, *found.bad],
        "bad": len(found.bad),
        "notes": [*found.notes, *notes, *few],
        "reused": False,
    }
