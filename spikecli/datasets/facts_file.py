"""Facts of a data set in `dataset.toml` and checkpoints: every value is checked, files are easy to edit."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from spikecli.datasets.facts import Facts
from spikecli.errors import SpikeError
from spikecli.files.atomic import write_text
from spikecli.files.gate import at_least, fits, read_text

FILE = "dataset.toml"  # in DATA_DIR/NAME
_TWICE = "Cannot overwrite a value"  # tomllib's words
_LARGEST = 1 << 14  # side of a sensor or picture


def prepare_command(folder: Path, options: str = "") -> str:
    """Return the command that prepares the data set in `folder`; that of a user's own files needs them again."""
    more = options and f" {options}"
    if (folder / FILE).is_file():
        return f"`spikecli data prepare {folder.name} --from SOURCE{more}`"
    return f"`spikecli data prepare {folder.name}{more}`"


def prepare_again(path: Path) -> str:
    """Return the cure for a damaged prepared file: prepare it again."""
    return f"run {prepare_command(path.parent, '--force')}"


@dataclass(frozen=True)
class _Key:
    """One key: the check of its value, what is wanted, and its purpose."""

    will_do: Callable[[Any], bool]
    wanted: str
    comment: str
    kinds: tuple[str, ...] = ("points", "events", "images")


def _is_text(value: Any) -> bool:
    return fits(value, str) and bool(value.strip())


def _are_names(value: Any) -> bool:
    return fits(value, [str]) and all(map(_is_text, value)) and len(set(value)) == len(value) >= 2


def _is_size(value: Any) -> bool:
    return fits(value, [at_least(1)]) and len(value) == 2 and max(value) <= _LARGEST


def _are_templates(value: Any) -> bool:
    return fits(value, [str]) and len(value) > 0 and all("{}" in one for one in value)


_TWO_NAMES = 'two or more different names, such as ["cup", "plate"]'
_KEYS = {
    "title": _Key(lambda value: fits(value, str), "text", "what the data set is"),
    "classnames": _Key(_are_names, _TWO_NAMES, "names that results and prompts use, in the order of `folders`"),
    "folders": _Key(_are_names, _TWO_NAMES, "the classes as the files name them; not to be edited"),
    "templates": _Key(
        _are_templates, "prompts with {} where the class name goes", "prompts of zero-shot; {} is the class name"
    ),
    "mirrors": _Key(
        lambda value: fits(value, bool), "true or false", "whether a mirrored sample is still of its class"
    ),
    "terms": _Key(lambda value: fits(value, str), "text", "terms of use"),
    "split_rule": _Key(lambda value: fits(value, str), "text", "how it was split into train and test"),
    "up": _Key(
        lambda value: value in ("x", "y", "z"),
        "x, y or z",
        "axis of the files that points up; prepare again",
        ("points",),
    ),
    "sensor": _Key(_is_size, "[width, height] in pixels", "width and height in pixels; prepare again", ("events",)),
    "threshold": _Key(
        at_least(0), "a whole number from 0", "a pixel of CLIP's picture is drawn where more events fell", ("events",)
    ),
    "frame_size": _Key(at_least(8), "a whole number from 8", "side of the frames of networks", ("events",)),
    "rates": _Key(
        lambda value: fits(value, [float]) and len(value) == 2 and 0 <= value[0] <= value[1],
        "[slowest, fastest] in events a second",
        "events a second of the training recordings, from the slowest to the fastest",
        ("events",),
    ),
    "size": _Key(_is_size, "[height, width] in pixels", "height and width of the images; prepare again", ("images",)),
    "fit": _Key(
        lambda value: value in ("squeeze", "crop"),
        "squeeze or crop",
        "a picture of another shape: squeeze it to the size, or crop its middle; prepare again",
        ("images",),
    ),
}


def check_kind(values: Any, where: str, kinds: Collection[str]) -> str:
    """Return the kind in the facts; raise SpikeError if they are no table or their kind is not in `kinds`."""
    if not isinstance(values, dict):
        raise SpikeError(f"{where} holds no facts of a data set; wanted a table of them; copy it again")
    if "kind" not in values:
        wanted = f'kind = "{" or ".join(kinds)}", title and classnames'
        raise SpikeError(f"{where}: found no kind; wanted {wanted}; write them, or remove the file and prepare again")
    kind = values["kind"]
    if kind not in kinds:
        _wrong(where, "kind", kind, f"one of {', '.join(kinds)}")
    return str(kind)


def checked_facts(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return facts as the fields of `Facts`; raise SpikeError for a wrong value, with `where` and the key."""
    found: dict[str, Any] = {}
    keys = {name: key for name, key in _KEYS.items() if values["kind"] in key.kinds}
    for name, value in values.items():
        if name == "kind":
            continue
        if name not in keys:
            close = get_close_matches(name, keys, 1)
            hint = f"; did you mean {close[0]}" if close else ""
            raise SpikeError(f"{where}: found the key {name!r}; wanted one of {', '.join(keys)}{hint}")
        if not keys[name].will_do(value):
            _wrong(where, name, value, keys[name].wanted)
        found[name] = tuple(value) if isinstance(value, list) else value
    for name in ("title", "classnames"):
        if name not in found:
            raise SpikeError(f"{where}: found no {name}; wanted {keys[name].wanted}")
    if len(found.get("folders", found["classnames"])) != len(found["classnames"]):
        _wrong(
            where, "classnames", list(found["classnames"]), f"{len(found['folders'])} names, one for each of folders"
        )
    return found


def as_values(facts: Facts) -> dict[str, Any]:
    """Return facts for JSON, as `checked` reads them."""
    values: dict[str, Any] = {"kind": facts.kind}
    for name, key in _KEYS.items():
        value = getattr(facts, name, None)
        if facts.kind in key.kinds and value not in (None, (), (0.0, 0.0)):
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file; raise SpikeError, with the line, if it is no TOML."""
    text = read_text(path, "save it as UTF-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)", str(error))
        number = int(place[1]) if place else text.count("\n") + 1
        found = "".join(text.splitlines()[number - 1 : number]).strip()
        reason = re.sub(r" \(at .*\)", "", str(error)).replace(_TWICE, "its key stands in the file already")
        raise SpikeError(
            f"{path}, line {number}: found {short(found)} ({reason}); wanted a line such as mirrors = false, each key "
            "once; correct it"
        ) from None


def write_facts(path: Path, facts: Facts) -> None:
    """Write facts as TOML that is easy to read and edit."""
    lines = [
        f'# Facts of the data set "{facts.name}". You may edit this file; `spikecli data info {facts.name}` checks it.'
    ]
    for name, value in as_values(facts).items():
        comment = _KEYS[name].comment if name in _KEYS else "what it holds; not to be edited"
        lines += ["", f"# {comment}", f"{name} = {json.dumps(value, ensure_ascii=False)}"]
    write_text(path, "\n".join(lines) + "\n")


def _wrong(where: str, key: str, value: Any, wanted: str) -> NoReturn:
    raise SpikeError(f"{where}: found {key} = {short(repr(value))}; wanted {wanted}")


def short(text: str) -> str:
    """Return a text of at most 80 letters."""
    return text if len(text) <= 80 else text[:79] + "…"
