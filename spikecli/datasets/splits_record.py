"""The record beside prepared splits: what was prepared, from what, with which checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError
from spikecli.files.atomic import write_text
from spikecli.files.gate import at_least, file_hash, is_plain_name, read_json
from spikecli.files.hdf5 import anew

_RECORD = "prepared.json"


_PART = {"file": is_plain_name, "samples": at_least(0), "sha256": str}


def current_entry(data_dir: Path, name: str, kind: str = "events") -> tuple[Path, dict[str, Any]]:
    """Return the folder of a data set and what was prepared there last; SpikeError when nothing was."""
    place = data_dir / name
    entry = read_record(place, kind)
    if entry is None:
        raise SpikeError(f"{name} is not prepared in {data_dir}; run `spikecli data prepare {name}`")
    gone = [part["file"] for part in entry["splits"].values() if not (place / part["file"]).is_file()]
    if gone:
        raise SpikeError(f"{place / gone[0]} has gone; run `spikecli data prepare {name}` again")
    return place, entry


def read_record(place: Path, kind: str = "events") -> dict[str, Any] | None:
    """Return what was prepared last in the folder `place`, or None; SpikeError when its record is damaged."""
    path = place / _RECORD
    if not path.is_file():
        return None
    part = {**_PART, "events": at_least(0)} if kind == "events" else _PART
    shape = {"kind": lambda found: found == kind, "settings": dict, "splits": {str: part}}
    record: dict[str, Any] = read_json(path, shape, f"remove it and prepare {place.name} again")
    return record


def check_file(path: Path, part: dict[str, Any]) -> None:
    """SpikeError when a bit of a prepared file has changed, be it one that lies between its contents.

    Records of the first days have no sum of the whole file: theirs is of the content alone.
    """
    if part.get("file_sha256") not in (None, file_hash(path)):
        raise SpikeError(f"{path} is damaged: its sha256 is not the one it was prepared with; {anew(path)}")


def write_record(place: Path, entry: dict[str, Any], kind: str = "events") -> None:
    """Write `entry` as what was prepared last in the folder `place`, and remove the files of other settings."""
    write_text(place / _RECORD, json.dumps({"kind": kind, **entry}, indent=2) + "\n")
    kept = {part["file"] for part in entry["splits"].values()}
    for path in sorted(place.glob("*-*.h5")):
        if path.name not in kept:
            path.unlink(missing_ok=True)
