"""Every data set by name, of all kinds: its facts, its kind, and the operations on it."""

from __future__ import annotations

import shlex
import shutil
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from spikecli.datasets.edits import check_fixed
from spikecli.datasets.facts import Facts
from spikecli.datasets.facts_file import FILE, check_kind, checked_facts, read_toml
from spikecli.datasets.kind import Augmentation, Kind
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.errors import ChoiceError, SpikeError
from spikecli.files.atomic import sole_writer
from spikecli.files.gate import is_plain_name
from spikecli.files.sources import files_named
from spikecli.progress import Progress
from spikecli.settings.choices import advice

KINDS = ("points", "events", "images")
GROUP = "spikecli.datasets"  # of entry points: each is a Facts of an installed package
_MODULES = {"points": "clouds", "events": "events", "images": "images"}


@cache
def kind_named(name: str) -> Kind[Any]:
    """Return a kind of data by name, imported at first use; raise SpikeError if there is none of that name."""
    if name not in _MODULES:
        raise SpikeError(f"found no kind of data {name!r}; wanted one of {', '.join(KINDS)}")
    kind: Kind[Any] = import_module(f"spikecli.datasets.{_MODULES[name]}.kind").KIND
    return kind


def built_in() -> dict[str, Facts]:
    """Return the facts of all data sets that come with the program or with an installed package, by name."""
    found = {name: facts for kind in KINDS for name, facts in kind_named(kind).built_in().items()}
    return {**{facts.name: facts for facts in _plugged_in()[0]}, **found}


@cache
def _plugged_in() -> tuple[tuple[Facts, ...], tuple[str, ...]]:
    """Return the facts from installed packages, and a line on each broken package, of which it warns once."""
    found, broken = [], []
    for point in entry_points(group=GROUP):
        try:
            facts = point.load()
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does wrong, the program goes on
            broken.append(f"the plug-in {point.name} ({point.value}) cannot be loaded: {error}")
            continue
        if isinstance(facts, Facts) and facts.kind in KINDS:
            found.append(facts)
        else:
            broken.append(f"the plug-in {point.name} ({point.value}) holds no Facts of clouds, recordings or images")
    for line in broken:
        warnings.warn(line, stacklevel=1)
    return tuple(found), tuple(broken)


def broken_plug_ins() -> tuple[str, ...]:
    """Return a line on each installed package whose data set cannot be used."""
    return _plugged_in()[1]


def known_names(data_dir: Path) -> list[str]:
    """Return the names of all data sets: built in, of installed packages, and a user's own under `data_dir`."""
    known = built_in()
    return [*known, *(path.parent.name for path in sorted(data_dir.glob(f"*/{FILE}")) if path.parent.name not in known)]


def find_facts(name: str, data_dir: Path) -> Facts:
    """Return the facts of the data set `name`; raise SpikeError if it does not exist or its facts file is wrong."""
    for kind in KINDS:  # one after the other: a kind that is not needed is not loaded
        if (facts := kind_named(kind).built_in().get(name)) is not None:
            return facts
    for facts in _plugged_in()[0]:
        if facts.name == name:
            return facts
    path = data_dir / name / FILE
    if is_plain_name(name) and path.is_file():
        check_fixed(path.parent, values := read_toml(path), KINDS)
        return facts_from(name, values, str(path))
    raise ChoiceError("dataset", f"cannot be {name!r}: {advice(name, known_names(data_dir))}{_own(name)}")


def _own(name: str) -> str:
    """Return how to make a data set of that name of your own files, or of the folder that has the name."""
    if Path(name).is_dir():
        return f"; or make one of that folder: `spikecli data prepare mine --from {shlex.quote(name)}`, then name mine"
    whole = f"; or make it of your own files: `spikecli data prepare {shlex.quote(name)} --from FOLDER`"
    return whole * is_plain_name(name)


def facts_from(name: str, values: Any, where: str) -> Facts:
    """Return the facts of a data set from JSON or TOML; raise SpikeError, with `where` and key, for a wrong value."""
    kind = check_kind(values, where, KINDS)
    return kind_named(kind).facts_class(name=name, own=True, **checked_facts(values, where))


def ensure_prepared(facts: Facts, data_dir: Path, progress: Progress = Progress()) -> None:
    """Prepare a data set that is generated on this machine, if needed; raise SpikeError if that fails."""
    kind = kind_named(facts.kind)
    if facts.made and not kind.is_prepared(facts.name, data_dir):
        kind.prepare(facts, data_dir, PrepareOptions(wait=True), progress)


def find_kind(name: str, data_dir: Path) -> Kind[Any]:
    """Return the kind of data of the data set `name`; raise SpikeError if it does not exist."""
    return kind_named(find_facts(name, data_dir).kind)


def kind_of_file(path: Path, kinds: Sequence[str] = KINDS) -> str | None:
    """Return the kind, among `kinds`, of a file: by its suffix and, if kinds share that, by its contents."""
    return next((name for name in kinds if kind_named(name).claims(path)), None)


def kind_of_source(source: str) -> str | None:
    """Return the kind of the first readable file that a folder, a pattern or a path names; None if there is none."""
    return next((kind for path in files_named(source) if path.is_file() and (kind := kind_of_file(path))), None)


def augmentations() -> Mapping[str, Augmentation]:
    """Return the augmentations of all kinds by name; only `none` is shared."""
    return {name: change for kind in KINDS for name, change in kind_named(kind).augmentations().items()}


def prepare(
    data_dir: Path,
    name: str,
    options: PrepareOptions = PrepareOptions(),
    progress: Progress = Progress(),
    workers: int | None = None,
) -> dict[str, Any]:
    """Prepare the data set `name`; return its record with `samples` a split and `reused`.

    Raise SpikeError if there is no such data set or it cannot be prepared.
    """
    facts = find_facts(name, data_dir)
    return kind_named(facts.kind).prepare(facts, data_dir, options, progress, workers)


def describe(data_dir: Path, name: str) -> dict[str, Any]:
    """Return the facts and the prepared data of the data set `name`; raise SpikeError if it does not exist."""
    facts = find_facts(name, data_dir)
    kind = kind_named(facts.kind)
    return {**kind.describe(facts, data_dir), "counts": kind.counts(facts, data_dir)}


def verify(data_dir: Path, name: str, progress: Progress = Progress()) -> dict[str, Any]:
    """Verify the prepared data and return its checksums; raise SpikeError if one differs."""
    facts = find_facts(name, data_dir)
    return kind_named(facts.kind).verify(facts, data_dir, progress)


def fingerprints(data_dir: Path, name: str) -> dict[str, str]:
    """Return the sha256 of each prepared split; raise SpikeError if the data set is not prepared."""
    return find_kind(name, data_dir).fingerprints(name, data_dir)


def remove(data_dir: Path, name: str) -> Path:
    """Remove the folder of a prepared data set and return its path; raise SpikeError if there is none."""
    facts, folder = find_facts(name, data_dir), data_dir / name
    if not kind_named(facts.kind).is_prepared(name, data_dir):
        raise SpikeError(f"{name} is not prepared in {data_dir}; there is nothing to remove")
    with sole_writer(folder, f"removing {name}"):
        shutil.rmtree(folder)
    return folder


def list_sets(data_dir: Path) -> list[dict[str, Any]]:
    """Return a row for every data set: contents, state, size, and how to get it."""
    return [_line(data_dir, name) for name in known_names(data_dir)]


def _line(data_dir: Path, name: str) -> dict[str, Any]:
    kind = "unknown"
    try:
        facts = find_facts(name, data_dir)
        kind = facts.kind
        about = kind_named(kind).describe(facts, data_dir)
    except SpikeError as problem:  # one damaged record must not hide the other data sets
        about = {"description": str(problem), "prepared": False, "samples": {}, "bytes": 0, "damaged": True}
    return {
        "name": name,
        "kind": kind,
        "description": about["description"],
        "prepared": about["prepared"],
        "damaged": about.get("damaged", False),
        "samples": about["samples"],
        "bytes": about["bytes"],
        "how": f"spikecli data prepare {name}",
    }
