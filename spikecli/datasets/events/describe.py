"""The facts of a data set of recordings with what is prepared of it, and the check of its prepared files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.split import load_events, split_hash
from spikecli.datasets.events.store import RECORD
from spikecli.datasets.record import Entry, check_file, current_entry, read_record
from spikecli.errors import SpikeError
from spikecli.progress import Progress


def describe_events(facts: EventFacts, data_dir: Path) -> dict[str, Any]:
    """Return the facts of a data set and, if it is prepared, its recordings and events a split."""
    place = data_dir / facts.name
    record = read_record(place, RECORD)
    entry: Entry = record["sets"][record["current"]] if record else {"splits": {}, "settings": None, "skipped": []}
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
        "skipped": entry["skipped"],
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
