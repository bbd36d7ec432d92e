"""The facts of a data set of recordings with what is prepared of it, and the check of its prepared files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikecli.datasets.described import described
from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.split import load_events, split_hash
from spikecli.datasets.events.store import RECORD
from spikecli.datasets.facts_file import prepare_again
from spikecli.datasets.record import Entry, check_file, current_entry
from spikecli.errors import SpikeError
from spikecli.progress import Progress


def describe_events(facts: EventFacts, data_dir: Path) -> dict[str, Any]:
    """Return the facts of a data set and its prepared recordings; raise SpikeError if the record is damaged."""
    more = {
        "sensor": list(facts.sensor),
        "templates": list(facts.templates),
        "threshold": facts.threshold,
        "split_rule": facts.split_rule,
    }

    def counted(entry: Entry) -> dict[str, Any]:
        parts = entry["splits"]
        official = sum(part["samples"] for part in parts.values()) == sum(count for _, count in facts.sizes)
        return {"official": official, "events": {split: part["events"] for split, part in parts.items()}}

    return described(facts, data_dir, RECORD, more, counted)


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
                f"{split.path} has the content {found[:12]}, not {wanted[:12]} as prepared; {prepare_again(split.path)}"
            )
        report[split.split] = {"samples": len(split), "events": int(split.offsets[-1]), "sha256": found}
    return {"dataset": name, "splits": report}
