"""Prepare recordings from a folder, an archive, a download or the built-in digits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikecli.datasets.events.decoding import Decoding, decode_all, find_bad
from spikecli.datasets.events.describe import describe_events
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
from spikecli.datasets.events.store import FORMAT, RECORD, write_split
from spikecli.datasets.notes import summed_notes
from spikecli.datasets.own_sample import OwnSample, by_split
from spikecli.datasets.prepare_options import PrepareOptions, refuse_point_options
from spikecli.datasets.reading_options import AS_FOUND
from spikecli.datasets.record import Entry, settings_key, standing, write_record
from spikecli.datasets.walk import identify, walk
from spikecli.errors import SpikeError, named
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
        if not options.force and standing(place, RECORD, {"skip_bad": None, **wanted}):
            found = describe_events(facts, data_dir)
            return {**found, "reused": True, "bad": len(found["skipped"])}
        if facts is DIGITS:
            progress.on_phase(f"Preparing {name}", 2 * (RECORDED.stop - RECORDED.start))
            sources = [write_digits(place / "raw", options.seed, progress.on_step)]
        else:
            sources = [options.source] if options.source else _fetched(facts, place / "raw", options.offline, progress)
            wanted["sources"] = [identify(path) for path in sources]
        with ExitStack() as stack, _naming(sources):
            items = [item for path in sources for item in _items_in(facts, path, place, stack, progress)]
            notes = _check_complete(facts, items, sources)
            how = Decoding(facts.turned, replace(options.reading, on_note=AS_FOUND.on_note))  # fit for other processes
            items, bad = _good_items(facts, in_order(facts, items), options.skip_bad, progress, workers, how)
            if facts is not DIGITS:
                progress.on_phase(f"Preparing {name}", len(items))
            with _advising(options.skip_bad):
                entry = _write_splits(facts, place, items, wanted, progress, workers, how)
        entry["skipped"] = [_inside(line) for line in bad]
        notes += [_inside(line) for line in entry.pop("notes")]
        write_record(place, RECORD, settings_key(wanted), entry)
        return {**describe_events(facts, data_dir), "reused": False, "notes": notes, "bad": len(bad)}


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
    for split, chosen, labels in by_split(samples, facts.folders):
        items = [EventItem(one.path, label, split, one.name) for one, label in zip(chosen, labels, strict=True)]
        how = Decoding(options=replace(asked, sensor=facts.sensor, on_note=AS_FOUND.on_note))
        batches = decode_all(items, facts.sensor, progress.on_step, None, how)
        path = place / f"{split}-{settings_key(settings)}.h5"
        names = [one.name for one in chosen]
        splits[split] = write_split(path, batches, labels, names, facts.classnames, facts.sensor, settings)
    return {"settings": settings, "skipped": [], "splits": splits}


def _wanted(facts: EventFacts, options: PrepareOptions) -> dict[str, Any]:
    """Return the settings that prepared data must have; without a source, any source will do."""
    wanted: dict[str, Any] = {"dataset": facts.name, "format": FORMAT}
    if facts is DIGITS:
        if options.source is not None:
            raise SpikeError(f"digits is built in, found {named('source')} {options.source}; remove {named('source')}")
        wanted["recipe"] = recipe(options.seed)
    elif options.source is not None:
        wanted["sources"] = [identify(options.source)]
    if facts.split_order != "number":
        wanted["split_order"] = facts.split_order
    if options.skip_bad and facts is not DIGITS:
        wanted["skip_bad"] = True
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
        text, where = str(problem), ", ".join(str(path) for path in sources)
        raise SpikeError(text if _inside(text) == text else f"{where}: {_inside(text)}") from None


@contextmanager
def _advising(skip_bad: bool) -> Iterator[None]:
    """Let the error of a damaged file name the option that leaves such files out."""
    try:
        yield
    except SpikeError as problem:
        raise (
            problem if skip_bad else SpikeError(f"{problem}; or leave such files out with {named('skip_bad')}")
        ) from None


def _inside(text: str) -> str:
    """Return a line without the temporary folder to which an archive is unpacked."""
    return re.sub(rf"[^\s,]*{re.escape(UNFINISHED)}[^/\s]+/", "", text)


def _fetched(facts: EventFacts, folder: Path, offline: bool, progress: Progress) -> list[Path]:
    if not facts.remotes:
        raise SpikeError(
            f"{facts.name} cannot be fetched ({facts.terms}); give its folder or archive with {named('source')}"
        )

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


def _good_items(
    facts: EventFacts, items: list[EventItem], skip_bad: bool, progress: Progress, workers: int | None, how: Decoding
) -> tuple[list[EventItem], list[str]]:
    """Return the items, without damaged ones and with the reasons for each if those are to be left out.

    Raise SpikeError if a split has no others.
    """
    if not skip_bad or facts is DIGITS:
        return items, []
    progress.on_phase("Looking at the files", None)
    bad = find_bad(items, facts.sensor, workers, how)
    good = [item for item in items if item not in bad]
    for split in SPLITS:
        if not any(item.split == split for item in good):
            raise SpikeError(f"no {split} recording can be used, first {next(iter(bad.values()))}")
    return good, list(dict.fromkeys(bad.values()))


def _write_splits(
    facts: EventFacts,
    place: Path,
    items: list[EventItem],
    settings: dict[str, Any],
    progress: Progress,
    workers: int | None,
    how: Decoding,
) -> Entry:
    splits, notes = {}, list[str]()
    for split in SPLITS:
        chosen = [item for item in items if item.split == split]
        batches = decode_all(chosen, facts.sensor, progress.on_step, workers, how, notes.extend)
        labels, names = [item.label for item in chosen], [item.name for item in chosen]
        path = place / f"{split}-{settings_key(settings)}.h5"
        splits[split] = write_split(path, batches, labels, names, facts.classnames, facts.sensor, settings)
    return {"settings": settings, "skipped": [], "splits": splits, "notes": summed_notes(notes)}
