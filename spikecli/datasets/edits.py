"""Whether an edited `dataset.toml` still agrees with what was prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikecli.datasets.facts_file import FILE, check_kind, prepare_command, read_toml, short
from spikecli.datasets.own.split import FILE as SPLITS
from spikecli.datasets.own.split import read_classes
from spikecli.errors import SpikeError
from spikecli.files.gate import fits, read_json

RECORD = "prepared.json"
# Facts that the prepared files depend on, with the value of those that were prepared before there was such a fact.
_PREPARED_WITH = {"up": None, "sensor": None, "size": None, "fit": "squeeze"}


def check_fixed(place: Path, values: Mapping[str, Any], kinds: tuple[str, ...]) -> None:
    """Raise SpikeError if `kind` or `folders` in the facts of the folder `place` is not that of the prepared data.

    Both say how the prepared files are to be read. Measured values, which only checkpoints have, are refused, too.
    """
    path = place / FILE
    kind = check_kind(values, str(path), kinds)
    if "rates" in values:
        raise SpikeError(f"{path}: found rates, which training measures; remove the line")
    if (place / RECORD).is_file():
        of = f"prepare {place.name} again"
        record = read_json(place / RECORD, dict, f"remove it and {of}")
        if record.get("kind") in kinds and record["kind"] != kind:
            raise SpikeError(_fixed(path, "kind", kind, record["kind"]))
    classes = read_classes(place / SPLITS)
    folders = values.get("folders", classes)
    if classes and fits(folders, [str]) and folders != classes:
        raise SpikeError(f"{_fixed(path, 'folders', folders, classes)}, and give other names in classnames")


def check_prepared(place: Path, settings: Mapping[str, Any]) -> None:
    """Raise SpikeError if the facts of the folder `place` hold an edit for which the data must be prepared again.

    `settings` are those that the data were prepared with.
    """
    path = place / FILE
    if not path.is_file():
        return
    values = read_toml(path)
    for key, before in _PREPARED_WITH.items():
        with_it = settings.get(key, before)
        if key in values and with_it is not None and values[key] != with_it:
            raise SpikeError(
                f"{path}: found {key} = {short(repr(values[key]))}, and {place.name} was prepared with "
                f"{with_it!r}; run {prepare_command(place)} again, or undo the edit"
            )


def _fixed(path: Path, key: str, found: Any, wanted: Any) -> str:
    return f"{path}: found {key} = {short(repr(found))}; wanted {short(repr(wanted))}, as the files are; undo the edit"
