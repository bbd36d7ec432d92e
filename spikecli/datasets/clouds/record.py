"""The record of a data set: `prepared.json` names the files, the settings that made them, and the last used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError
from spikecli.files.atomic import write_text
from spikecli.files.gate import at_least, is_plain_name, read_json

FORMAT = 1  # raise it when the meaning of a prepared file changes
_NAME = "prepared.json"

_PART = {"file": is_plain_name, "samples": at_least(0), "fingerprint": str, "sha256": str, "bytes": at_least(0)}
_SETTINGS = {"points": at_least(1), "sampling": str, "seed": at_least(0)}
_ENTRY = {"settings": _SETTINGS, "layout": str, "skipped": [str], "splits": {str: _PART}}
_SHAPE = {"kind": lambda kind: kind == "points", "current": str, "sets": {str: _ENTRY}}

Entry = dict[str, Any]  # settings, layout, skipped, and splits: {split: file, samples, fingerprint, sha256, bytes}


def read_record(place: Path) -> dict[str, Any] | None:
    """Return what was prepared in the folder `place`, or None; SpikeError when its record is damaged."""
    path = place / _NAME
    if not path.is_file():
        return None
    cure = f"remove it and prepare {place.name} again"
    record: dict[str, Any] = read_json(path, _SHAPE, cure)
    if record["current"] not in record["sets"]:
        raise SpikeError(f"{path} names what it does not hold; {cure}")
    return record


def write_record(place: Path, key: str, entry: Entry) -> None:
    """Write that `key` is what was prepared last in the folder `place`, keeping what was prepared before."""
    before = read_record(place)
    sets = {} if before is None else {name: old for name, old in before["sets"].items() if name != key}
    text = json.dumps({"kind": "points", "current": key, "sets": {key: entry, **sets}}, indent=2)
    write_text(place / _NAME, text + "\n")


def current(data_dir: Path, dataset: str) -> tuple[Path, Entry]:
    """Return the folder of a data set and the entry it was prepared with last; SpikeError when there is none."""
    place = data_dir / dataset
    record = read_record(place)
    if record is None:
        raise SpikeError(f"{dataset} is not prepared in {data_dir}; run `spikecli data prepare {dataset}`")
    entry: Entry = record["sets"][record["current"]]
    return place, entry


def standing(place: Path, wanted: Mapping[str, object]) -> tuple[str, Entry] | None:
    """Return the key and entry of what was prepared last with the `wanted` settings, if its files are all there."""
    record = read_record(place)
    for key, entry in (record or {"sets": {}})["sets"].items():
        settings, parts = entry["settings"], entry["splits"].values()
        if all(name in settings and settings[name] == value for name, value in wanted.items()) and all(
            _size(place / part["file"]) == part["bytes"] for part in parts
        ):
            return key, entry
    return None


def settings_key(settings: Mapping[str, object]) -> str:
    """Return twelve hexadecimal digits that differ whenever a setting differs."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
