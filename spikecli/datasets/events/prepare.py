"""From a folder, an archive, the net or the built-in digits to prepared recordings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from spikecli.datasets.events.decoding import Decoding, decode_all
from spikecli.datasets.events.digits import RECORDED, recipe, write_digits
from spikecli.datasets.events.facts import DIGITS, EVENT_SETS, EventSetFacts
from spikecli.datasets.events.layouts import SPLITS, EventItem, find_items, in_order
from spikecli.datasets.events.split import load_events, split_hash
from spikecli.datasets.events.store import FORMAT, write_split
from spikecli.datasets.order import identify
from spikecli.datasets.splits_record import check_file, current_entry, read_record, write_record
from spikecli.errors import SpikeError
from spikecli.files.archive import is_archive, open_source
from spikecli.files.atomic import UNFINISHED, sole_writer
from spikecli.files.download import Fetching, fetch

_DEEPEST = 2  # archives in archives: N-Caltech101's and CIFAR10-DVS's

Step = Callable[[int], None]
Phase = Callable[[str], None]


def _nothing(steps: int) -> None:
    return None


def prepare_events(
    data_dir: Path,
    name: str,
    source: Path | None = None,
    seed: int = 0,
    force: bool = False,
    offline: bool = False,
    on_total: Step = _nothing,
    on_step: Step = _nothing,
    on_phase: Phase = lambda text: None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Return what stands prepared under DATA_DIR/NAME afterwards, as `describe_events`, with "reused".

    `on_total` is told the number of steps, `on_step` how many more are done, `on_phase` what goes on. SpikeError
    when there is no source, a recording is broken, or another process prepares the same data set; what was prepared
    before then still stands.
    """
    facts, place = EVENT_SETS[name], data_dir / name
    wanted = _wanted(facts, source, seed)
    with sole_writer(place, f"preparing {name}"):
        if not force and _stands(place, wanted):
            return {**describe_events(data_dir, name), "reused": True}
        if facts is DIGITS:
            on_total(2 * (RECORDED.stop - RECORDED.start))
            sources = [write_digits(place / "raw", seed, on_step)]
        else:
            sources = [source] if source else _fetched(facts, place / "raw", offline, on_phase, on_step)
            wanted["sources"] = [identify(path) for path in sources]
        with ExitStack() as stack, _naming(sources):
            items = [item for path in sources for item in _items_in(facts, path, place, stack, on_phase)]
            _check_splits(facts, items, sources)
            if facts is not DIGITS:
                on_total(len(items))
            entry = _write_splits(facts, place, in_order(facts, items), wanted, on_step, workers)
        write_record(place, entry)
        return {**describe_events(data_dir, name), "reused": False}


def describe_events(data_dir: Path, name: str) -> dict[str, Any]:
    """Return the facts of the data set `name` and, where it is prepared, its recordings and events a split."""
    facts, place = EVENT_SETS[name], data_dir / name
    entry = read_record(place)
    splits = entry["splits"] if entry else {}
    samples = {split: part["samples"] for split, part in splits.items()}
    files = [place / part["file"] for part in splits.values()]
    return {
        "dataset": name,
        "description": facts.description,
        "classes": len(facts.classnames),
        "classnames": list(facts.classnames),
        "sensor": list(facts.size),
        "templates": list(facts.templates),
        "threshold": facts.threshold,
        "split_rule": facts.split_rule,
        "whole_set": dict(facts.sizes),
        "terms": facts.terms,
        "prepared": entry is not None,
        "folder": str(place),
        "samples": samples,
        "official": sum(samples.values()) == sum(count for _, count in facts.sizes),
        "events": {split: part["events"] for split, part in splits.items()},
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "settings": entry["settings"] if entry else None,
        "urls": [url for remote in facts.remotes for url in remote.urls],
    }


def verify_events(data_dir: Path, name: str, on_total: Step = _nothing, on_step: Step = _nothing) -> dict[str, Any]:
    """Return recordings, events and sha256 of each split after reading it all; SpikeError when one bit changed."""
    place, entry = current_entry(data_dir, name)
    for part in entry["splits"].values():
        check_file(place / part["file"], part)
    splits = [load_events(data_dir, name, split) for split in sorted(entry["splits"])]
    on_total(sum(len(split) for split in splits))
    report = {}
    for split in splits:
        found, wanted = split_hash(split, on_step), entry["splits"][split.split]["sha256"]
        if found != wanted:
            raise SpikeError(
                f"{split.path} has the content {found[:12]}, not {wanted[:12]} as prepared; "
                f"run `spikecli data prepare {name} --force`"
            )
        report[split.split] = {"samples": len(split), "events": int(split.offsets[-1]), "sha256": found}
    return {"dataset": name, "splits": report}


def _wanted(facts: EventSetFacts, source: Path | None, seed: int) -> dict[str, Any]:
    """Return the settings that what is prepared must have; without a source, any source will do."""
    wanted: dict[str, Any] = {"dataset": facts.name, "format": FORMAT}
    if facts is DIGITS:
        if source is not None:
            raise SpikeError(f"digits is built in, found --from {source}; leave --from away")
        wanted["recipe"] = recipe(seed)
    elif source is not None:
        wanted["sources"] = [identify(source)]
    return wanted


def _stands(place: Path, wanted: dict[str, Any]) -> bool:
    entry = read_record(place)
    if entry is None or not all((place / part["file"]).is_file() for part in entry["splits"].values()):
        return False
    return all(entry["settings"].get(key) == value for key, value in wanted.items())


@contextmanager
def _naming(sources: list[Path]) -> Iterator[None]:
    """Let errors name the archive and the file in it, instead of the folder that is gone by then."""
    try:
        yield
    except SpikeError as problem:
        where, inside = ", ".join(str(path) for path in sources), re.compile(rf"[^\s,]*{re.escape(UNFINISHED)}[^/\s]+/")
        text = str(problem)
        raise SpikeError(f"{where}: {inside.sub('', text)}" if inside.search(text) else text) from None


def _fetched(facts: EventSetFacts, folder: Path, offline: bool, on_phase: Phase, on_step: Step) -> list[Path]:
    def begin(what: str, total: int | None) -> None:
        on_phase(what if total is None else f"{what} ({total / 1e6:,.0f} MB)")

    how = Fetching(offline=offline, on_phase=begin, on_step=on_step)
    return [fetch(remote, folder, how) for remote in facts.remotes]


def _items_in(
    facts: EventSetFacts, path: Path, scratch: Path, stack: ExitStack, on_phase: Phase, depth: int = 0
) -> list[EventItem]:
    """Return the recordings in a folder or archive, or, where it holds none itself, in the archives in it."""
    if path.is_file():
        on_phase(f"unpacking {path.name}")
    folder = stack.enter_context(open_source(path, scratch))
    items = find_items(facts, folder)
    if items or depth == _DEEPEST:
        return items
    inner = [file for file in sorted(folder.rglob("*")) if file.is_file() and is_archive(file)]
    return [item for file in inner for item in _items_in(facts, file, scratch, stack, on_phase, depth + 1)]


def _check_splits(facts: EventSetFacts, items: list[EventItem], sources: list[Path]) -> None:
    found = {item.split for item in items}
    missing = [split for split in SPLITS if split not in found]
    if missing:
        where = ", ".join(str(path) for path in sources)
        raise SpikeError(
            f"found {len(items)} recordings of {facts.name} in {where} and none to {missing[0]}; wanted both splits "
            f"({facts.split_rule}); give the folder or archive as it was published"
        )


def _write_splits(
    facts: EventSetFacts,
    place: Path,
    items: list[EventItem],
    settings: dict[str, Any],
    on_step: Step,
    workers: int | None,
) -> dict[str, Any]:
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    splits = {}
    for split in SPLITS:
        chosen = [item for item in items if item.split == split]
        batches = decode_all(chosen, facts.size, on_step, workers, Decoding(facts.turned))
        labels, names = [item.label for item in chosen], [item.name for item in chosen]
        path = place / f"{split}-{key}.h5"
        splits[split] = write_split(path, batches, labels, names, facts.classnames, facts.size, settings)
    return {"settings": settings, "splits": splits}
