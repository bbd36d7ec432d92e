"""The facts of a data set with what is prepared of it, for `data info`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spikecli.datasets.edits import check_prepared
from spikecli.datasets.facts import Facts
from spikecli.datasets.record import Entry, RecordOf, read_record


def described(
    facts: Facts,
    data_dir: Path,
    of: RecordOf,
    more: Mapping[str, Any],
    counted: Callable[[Entry], Mapping[str, Any]] = lambda entry: {},
) -> dict[str, Any]:
    """Return what every kind says of a data set, with facts of its own kind (`more`) and counts of what is prepared.

    Raise SpikeError if its record is damaged, or its facts were edited and not prepared again.
    """
    place = data_dir / facts.name
    record = read_record(place, of)
    entry: Entry = record["sets"][record["current"]] if record else {"splits": {}, "settings": None, "skipped": []}
    check_prepared(place, entry["settings"] or {})
    files = [place / part["file"] for part in entry["splits"].values()]
    return {
        "dataset": facts.name,
        "description": facts.title,
        "classes": len(facts.classnames),
        "classnames": list(facts.classnames),
        **more,
        "whole_set": dict(facts.sizes),
        "terms": facts.terms,
        "prepared": record is not None,
        "folder": str(place),
        "samples": {split: part["samples"] for split, part in entry["splits"].items()},
        **counted(entry),
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "settings": entry["settings"],
        "skipped": entry["skipped"],
        "urls": [url for remote in facts.remotes for url in remote.urls],
    }
