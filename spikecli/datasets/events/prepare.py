"""Prepare recordings from a folder, an archive, a download or the built-in digits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikecli.datasets.events.decoding import Decoding, decode_all
from spikecli.datasets.events.digits import RECORDED, recipe, write_digits
from spikecli.datasets.events.facts import DIGITS, EventFacts
from spikecli.datasets.events.layouts import (
    SPLITS,
    EventItem,
    find_items,
    in_order,
    missing_classes,
    promises_all,
    with_split_order,
)
from spikecli.datasets.events.split import load_events, split_hash
from spikecli.datasets.events.store import FORMAT, RECORD, write_split
from spikecli.datasets.own_sample import OwnSample
from spikecli.datasets.prepare_options import PrepareOptions, refuse_point_options
from spikecli.datasets.reading_options import AS_FOUND
from spikecli.datasets.record import Entry, check_file, current_entry, read_record, settings_key, standing, write_record
from spikecli.datasets.walk import identify, walk
from spikecli.errors import SpikeError
from spikecli.files.archive import is_archive, open_source
from spikecli.files.atomic import UNFINISHED, sole_writer
from spikecli.files.download import Fetching, fetch
from spikecli.progress import Progress

_DEEPEST = 2  # archives in archives: N-Caltech101's and CIFAR10-DVS's


def prepare_events(
    facts: EventFacts,
    data_dir: Path,
    options: PrepareOptions,
    progress: Progress = Progress(),
    workers: int | None = None,
) -> dict[str, Any]:
    """Prepare a data set under DATA_DIR/NAME and return its description as `describe_events` does, with "reused".

    Raise SpikeError if there is no source, a recording is broken, or another process prepares the same data set; what
    was prepared before then still stands.
    """
    refuse_point_options(facts.name, facts.kind, options)
    facts = with_split_order(facts, options)
    name, place = facts.name, data_dir / facts.name
    wanted = _wanted(facts, options)
    with sole_writer(place, f"preparing {name}", options.wait):
        if not options.force and standing(place, RECORD, wanted):
            return {**describe_events(facts, data_dir), "reused": True}
        if facts is DIGITS:
            progress.on_phase(f"Preparing {name}", 2 * (RECORDED.stop - RECORDED.start))
            sources = [write_digits(place / "raw", options.seed, progress.on_step)]
        else:
            sources = [options.source] if options.source else _fetched(facts, place / "raw", options.offline, progress)
            wanted["sources"] = [identify(path) for path in sources]
        with ExitStack() as stack, _naming(sources):
            items = [item for path in sources for item in _items_in(facts, path, place, stack, progress)]
            notes = _check_complete(facts, items, sources)
            if facts is not DIGITS:
                progress.on_phase(f"Preparing {name}", len(items))
            how = Decoding(facts.turned, replace(options.reading, on_note=AS_FOUND.on_note))  # fit for other processes
            entry = _write_splits(facts, place, in_order(facts, items), wanted, progress, workers, how)
        write_record(place, RECORD, settings_key(wanted), entry)
        return {**describe_events(facts, data_dir), "reused": False, "notes": notes}


def write_own(
    facts: EventFacts,
    place: Path,
    samples: Sequence[OwnSample],
    source: str,
    options: PrepareOptions,
    progress: Progress,
) -> Entry:
    """Return the record's entry of a user's recordings after writing them; raise SpikeError if one cannot be read."""
    asked = options.reading
    given = [asked.time_unit, asked.stream, asked.columns]
    settings = {
        "dataset": facts.name,
        "format": FORMAT,
        "sensor": list(facts.sensor),
        "reading": given,
        "source": source,
    }
    splits = {}
    for split in SPLITS:
        chosen = [one for one in samples if one.split == split]
        labels = [facts.folders.index(one.folder) for one in chosen]
        items = [EventItem(one.path, label, split, one.name) for one, label in zip(chosen, labels, strict=True)]
        how = Decoding(options=replace(asked, sensor=facts.sensor, on_note=AS_FOUND.on_note))
        batches = decode_all(items, facts.sensor, progress.on_step, None, how)
        path = place / f"{split}-{settings_key(settings)}.h5"
        names = [one.name for one in chosen]
        splits[split] = write_split(path, batches, labels, names, facts.classnames, facts.sensor, settings)
    return {"settings": settings, "skipped": [], "splits": splits}


def describe_events(facts: EventFacts, data_dir: Path) -> dict[str, Any]:
    """Return the facts of a data set and, if it is prepared, its recordings and events a split."""
    place = data_dir / facts.name
    record = read_record(place, RECORD)
    entry: Entry = record["sets"][record["current"]] if record else {"splits": {}, "settings": None}
    splits = entry["splits"]
    samples = {split: part["samples"] for split, part in splits.items()}
    files = [place / part["file"] for part in splits.values()]
    return {
        "dataset": facts.name,
        "description": facts.title,
        "classes": len(facts.classnames),
        "classnames": list(facts.classnames),
        "sensor": list(facts.sensor),
        "templates": list(facts.templates),
        "threshold": facts.threshold,
        "split_rule": facts.split_rule,
        "whole_set": dict(facts.sizes),
        "terms": facts.terms,
        "prepared": record is not None,
        "folder": str(place),
        "samples": samples,
        "official": sum(samples.values()) == sum(count for _, count in facts.sizes),
        "events": {split: part["events"] for split, part in splits.items()},
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "settings": entry["settings"],
        "urls": [url for remote in facts.remotes for url in remote.urls],
    }


def verify_events(facts: EventFacts, data_dir: Path, progress: Progress = Progress()) -> dict[str, Any]:
    """Return recordings, events and sha256 of each split after reading it all; raise SpikeError if one bit changed."""
    name = facts.name
    place, entry = current_entry(data_dir, name, RECORD)
    for part in entry["splits"].values():
        check_file(place / part["file"], part)
    splits = [load_events(data_dir, name, split) for split in sorted(entry["splits"])]
    progress.on_phase(f"Verifying {name}", sum(len(split) for split in splits))
    report = {}
    for split in splits:
        found, wanted = split_hash(split, progress.on_step), entry["splits"][split.split]["fingerprint"]
        if found != wanted:
            raise SpikeError(
                f"{split.path} has the content {found[:12]}, not {wanted[:12]} as prepared; "
                f"run `spikecli data prepare {name} --force`"
            )
        report[split.split] = {"samples": len(split), "events": int(split.offsets[-1]), "sha256": found}
    return {"dataset": name, "splits": report}


def _wanted(facts: EventFacts, options: PrepareOptions) -> dict[str, Any]:
    """Return the settings that prepared data must have; without a source, any source will do."""
    wanted: dict[str, Any] = {"dataset": facts.name, "format": FORMAT}
    if facts is DIGITS:
        if options.source is not None:
            raise SpikeError(f"digits is built in, found --from {options.source}; remove --from")
        wanted["recipe"] = recipe(options.seed)
    elif options.source is not None:
        wanted["sources"] = [identify(options.source)]
    if facts.split_order != "number":
        wanted["split_order"] = facts.split_order
    said = {name: getattr(options.reading, name) for name in ("time_unit", "stream", "columns")}
    if any(value is not None for value in said.values()):
        wanted["reading"] = said
    return wanted


@contextmanager
def _naming(sources: list[Path]) -> Iterator[None]:
    """Make errors name the archive and the file in it, not the temporary folder."""
    try:
        yield
    except SpikeError as problem:
        where, inside = ", ".join(str(path) for path in sources), re.compile(rf"[^\s,]*{re.escape(UNFINISHED)}[^/\s]+/")
        text = str(problem)
        raise SpikeError(f"{where}: {inside.sub('', text)}" if inside.search(text) else text) from None


def _fetched(facts: EventFacts, folder: Path, offline: bool, progress: Progress) -> list[Path]:
    def begin(what: str, total: int | None) -> None:
        size = "" if total is None else f" ({total / 1e6:,.0f} MB)"
        progress.on_phase(f"{what[:1].upper()}{what[1:]}{size}", None)

    how = Fetching(offline=offline, on_phase=begin, on_step=progress.on_step)
    return [fetch(remote, folder, how) for remote in facts.remotes]


def _items_in(
    facts: EventFacts, path: Path, scratch: Path, stack: ExitStack, progress: Progress, depth: int = 0
) -> list[EventItem]:
    """Return the recordings in a folder or archive; if it has none, those in the archives in it."""
    if path.is_file():
        progress.on_phase(f"Unpacking {path.name}", None)
    folder = stack.enter_context(open_source(path, scratch))
    items = find_items(facts, folder)
    if items or depth == _DEEPEST:
        return items
    inner = [file for file in walk(folder) if is_archive(file)]
    return [item for file in inner for item in _items_in(facts, file, scratch, stack, progress, depth + 1)]


def _check_complete(facts: EventFacts, items: list[EventItem], sources: list[Path]) -> list[str]:
    """Return a note on the classes without recordings.

    Raise SpikeError if a split has none, or the layout promised all.
    """
    where = ", ".join(str(path) for path in sources)
    found = {item.split for item in items}
    missing = [split for split in SPLITS if split not in found]
    if missing:
        raise SpikeError(
            f"found {len(items)} recordings of {facts.name} in {where} and none to {missing[0]}; wanted both splits "
            f"({facts.split_rule}); give the folder or archive as it was published"
        )
    gone = missing_classes(facts, items)
    few = f"{', '.join(gone[:5])}{' …' if len(gone) > 5 else ''}"
    if gone and promises_all(facts):
        raise SpikeError(
            f"found no recordings of {few} in {where}; wanted all {len(facts.classnames)} classes of {facts.name}; "
            "fetch the whole data set again"
        )
    return [f"found no recordings of {len(gone)} classes of {facts.name}: {few}"] if gone else []


def _write_splits(
    facts: EventFacts,
    place: Path,
    items: list[EventItem],
    settings: dict[str, Any],
    progress: Progress,
    workers: int | None,
    how: Decoding,
) -> Entry:
    splits = {}
    for split in SPLITS:
        chosen = [item for item in items if item.split == split]
        batches = decode_all(chosen, facts.sensor, progress.on_step, workers, how)
        labels, names = [item.label for item in chosen], [item.name for item in chosen]
        path = place / f"{split}-{settings_key(settings)}.h5"
        splits[split] = write_split(path, batches, labels, names, facts.classnames, facts.sensor, settings)
    return {"settings": settings, "skipped": [], "splits": splits}
