"""The record of a data set: `prepared.json` names the files, the settings that made them, and the last used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikecli.datasets.edits import RECORD as _NAME
from spikecli.datasets.edits import check_prepared
from spikecli.datasets.facts_file import prepare_again, prepare_command
from spikecli.errors import SpikeError
from spikecli.files.atomic import write_text
from spikecli.files.gate import at_least, file_hash, is_plain_name, read_json

_SUM = (str, type(None))
_PART = {"file": is_plain_name, "samples": at_least(0), "fingerprint": str, "sha256": _SUM, "bytes": at_least(0)}
# Recordings and images had a format of their own, with the sum of the content as sha256.
_OLD_PART = {"file": is_plain_name, "samples": at_least(0), "sha256": str}

Entry = dict[str, Any]  # settings, skipped, perhaps layout, and splits: {split: a part as in `_PART`}


@dataclass(frozen=True)
class RecordOf:
    """The format of a record of one kind of data: shapes (`gate.fits`) of its settings and further fields of a part."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    part: Mapping[str, Any] = field(default_factory=dict)
    variants: bool = False  # whether files of other settings are kept


def read_record(place: Path, of: RecordOf) -> dict[str, Any] | None:
    """Return the record in the folder `place`, or None: `current`, and `sets` of entries by key.

    Raise SpikeError if the record is damaged.
    """
    path = place / _NAME
    if not path.is_file():
        return None
    cure = f"remove it and prepare {place.name} again"
    part = {**_PART, **of.part}
    entry = {"settings": {**of.settings}, "skipped": [str], "splits": {str: part}}
    new = {"kind": lambda kind: kind == of.kind, "current": str, "sets": {str: entry}}
    old = {"kind": new["kind"], "settings": dict, "splits": {str: {**_OLD_PART, **of.part}}}
    record: dict[str, Any] = read_json(path, (new, old), cure)
    if "sets" not in record:
        return _of_today(place, record)
    if record["current"] not in record["sets"]:
        raise SpikeError(f"{path} names what it does not hold; {cure}")
    return record


def _of_today(place: Path, old: dict[str, Any]) -> dict[str, Any]:
    parts = {
        split: {
            **{name: value for name, value in part.items() if name != "file_sha256"},
            "fingerprint": part["sha256"],
            "sha256": part.get("file_sha256"),  # old records have none
            "bytes": max(0, _size(place / part["file"])),
        }
        for split, part in old["splits"].items()
    }
    key = settings_key(old["settings"])
    return {"current": key, "sets": {key: {"settings": old["settings"], "skipped": [], "splits": parts}}}


def write_record(place: Path, of: RecordOf, key: str, entry: Entry) -> None:
    """Record `key` as prepared last in the folder `place`; keep or remove other settings and their files."""
    before = read_record(place, of) if of.variants else None
    sets = {} if before is None else {name: old for name, old in before["sets"].items() if name != key}
    text = json.dumps({"kind": of.kind, "current": key, "sets": {key: entry, **sets}}, indent=2)
    write_text(place / _NAME, text + "\n")
    if not of.variants:
        kept = {part["file"] for part in entry["splits"].values()}
        for path in sorted(place.glob("*-*.h5")):
            if path.name not in kept:
                path.unlink(missing_ok=True)


def current_entry(data_dir: Path, name: str, of: RecordOf) -> tuple[Path, Entry]:
    """Return a data set's folder and the entry prepared last; raise SpikeError if there is none, or it is outdated.

    It is outdated by an edit of the facts that the data must be prepared for again.
    """
    place = data_dir / name
    record = read_record(place, of)
    if record is None:
        raise SpikeError(f"{name} is not prepared in {data_dir}; run {prepare_command(place)}")
    entry: Entry = record["sets"][record["current"]]
    check_prepared(place, entry["settings"])
    return place, entry


def current_part(data_dir: Path, name: str, split: str, of: RecordOf) -> tuple[Path, Entry, dict[str, Any]]:
    """Return a split's file prepared last, its entry and its part; raise SpikeError if one of them is missing."""
    place, entry = current_entry(data_dir, name, of)
    if split not in entry["splits"]:
        raise SpikeError(f"{name} has no split {split!r}; wanted one of {', '.join(sorted(entry['splits']))}")
    path = place / entry["splits"][split]["file"]
    if not path.is_file():
        raise SpikeError(f"{path} has gone; run {prepare_command(place)} again")
    return path, entry, entry["splits"][split]


def standing(place: Path, of: RecordOf, wanted: Mapping[str, object]) -> tuple[str, Entry] | None:
    """Return the key and entry prepared last, if it has the `wanted` settings (None: not) and all its files exist."""
    record = read_record(place, of)
    for key, entry in (record or {"sets": {}})["sets"].items():
        settings, parts = entry["settings"], entry["splits"].values()
        if all(settings.get(name) == value for name, value in wanted.items()) and all(
            _size(place / part["file"]) == part["bytes"] for part in parts
        ):
            return key, entry
    return None


def part_of(path: Path, samples: int, fingerprint: str, **more: object) -> dict[str, Any]:
    """Return the part of a record for a split's file that was just written."""
    sums = {"fingerprint": fingerprint, "sha256": file_hash(path), "bytes": path.stat().st_size}
    return {"file": path.name, "samples": samples, **more, **sums}


def check_file(path: Path, part: Mapping[str, Any]) -> None:
    """Raise SpikeError if a prepared file is missing or any bit of it has changed."""
    if not path.is_file():
        raise SpikeError(f"{path} has gone; {prepare_again(path)}")
    found, wanted = file_hash(path), part["sha256"]
    if wanted not in (None, found):
        raise SpikeError(
            f"{path} is damaged: found sha256 {found[:12]}…, wanted {wanted[:12]}… as prepared; {prepare_again(path)}"
        )


def settings_key(settings: Mapping[str, object]) -> str:
    """Return twelve hexadecimal digits that identify the settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def content_hash(header: object, parts: Iterable[memoryview | bytes]) -> str:
    """Return the sha256 of a `header`, as JSON, and of the bytes that follow it."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
