"""Edits of `dataset.toml`: one that agrees with the prepared data works, any other is one clear line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_bytes import bin_bytes, some_events, write
from own_scans import scans

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with own clouds, recordings and pictures, prepared, and their files."""
    from PIL import Image

    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("edits")
    scans(folder / "from" / "clouds", 3)
    for name in ("zero", "one"):
        for number in range(3):
            write(folder / "from" / "events" / name / f"{number}.bin", bin_bytes(some_events(200, 34, 34, number)))
            picture = write(folder / "from" / "images" / name / f"{number}.png", b"")
            Image.fromarray(np.full((9, 9, 3), 40 * number, np.uint8)).save(picture)
    for kind, more in (("clouds", ["--points", "32", "--up", "y"]), ("events", ["--sensor", "34x34"]), ("images", [])):
        asked = ["data", "prepare", kind, "--from", str(folder / "from" / kind), *more]
        assert run([*asked, "--data-dir", str(folder / "data"), "--quiet", "--json"]) == 0
    return folder


@pytest.fixture
def edit(sets: Path) -> Iterator[Callable[[str, str, str], None]]:
    """A function that replaces the value of a key in a set's facts; afterwards they are as before."""
    kept = {path: path.read_bytes() for path in sets.glob("data/*/dataset.toml")}

    def change(name: str, key: str, value: str) -> None:
        path = sets / "data" / name / "dataset.toml"
        text = path.read_text()
        line = re.compile(rf"^{key} = .*$", re.MULTILINE)
        found = f"{key} = {value}"
        path.write_text(line.sub(found, text) if line.search(text) else f"{text}\n{found}\n")

    yield change
    for path, text in kept.items():
        path.write_bytes(text)


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("clouds", "kind", '"events"', "found kind = 'events'; wanted 'points', as the files are; undo the edit"),
        ("clouds", "folders", '["bolt", "cup", "gear", "nut", "tube"]', "found folders = .*'pipe'.*classnames"),
        ("clouds", "folders", '["cup", "bolt", "gear", "nut", "pipe"]', "found folders = .*; wanted .*undo the edit"),
        ("clouds", "folders", '["bolt", "cup"]', "found folders = .*; wanted"),
        ("clouds", "up", '"z"', "found up = 'z', and clouds was prepared with 'y'; run `spikecli data prepare clouds"),
        ("clouds", "up", '"w"', "found up = 'w'; wanted x, y or z"),
        ("clouds", "classnames", '["a", "b"]', "wanted 5 names, one for each of folders"),
        ("clouds", "sensor", "[34, 34]", "found the key 'sensor'; wanted one of title"),
        ("events", "sensor", "[64, 64]", r"found sensor = \[64, 64\], and events was prepared with \[34, 34\]"),
        ("events", "sensor", "[34, 0]", r"wanted \[width, height\] in pixels"),
        ("events", "rates", "[1.0, 2.0]", "found rates, which training measures; remove the line"),
        ("events", "frame_size", "4", "found frame_size = 4; wanted a whole number from 8"),
        ("events", "threshold", "-1", "found threshold = -1; wanted a whole number from 0"),
        ("events", "templates", '["digit"]', r"wanted prompts with \{\}"),
        ("images", "size", "[16, 16]", r"found size = \[16, 16\], and images was prepared with \[32, 32\]"),
        ("images", "fit", '"crop"', "found fit = 'crop', and images was prepared with 'squeeze'"),
        ("images", "fit", '"pad"', "found fit = 'pad'; wanted squeeze or crop"),
        ("images", "title", "3", "found title = 3; wanted text"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["info", "train"])
def test_a_wrong_edit_is_one_line(
    command: str,
    name: str,
    key: str,
    value: str,
    said: str,
    sets: Path,
    cli: Cli,
    edit: Callable[[str, str, str], None],
) -> None:
    edit(name, key, value)
    asked = ("data", "info", name) if command == "info" else ("train", name, "--out", sets / "run")
    ended = cli(*asked, "--data-dir", sets / "data")
    assert ended.code == 1 and len(ended.err.splitlines()) == 1 and "dataset.toml" in ended.err
    assert re.search(said, ended.err)


def test_edits_that_need_no_preparing_are_used(sets: Path, cli: Cli, edit: Callable[[str, str, str], None]) -> None:
    edit("events", "classnames", '["eins", "null"]')
    edit("events", "frame_size", "12")
    edit("events", "mirrors", "false")
    edit("events", "title", '"numbers"')
    place = ("--data-dir", sets / "data")
    about = cli("data", "info", "events", *place, "--json").document
    assert about["classnames"] == ["eins", "null"] and about["description"] == "numbers"
    line = ("train", "events", "--epochs", 1, "--width", 0.1, "--batch-size", 2, "--val-fraction", 0, *place)
    refused = cli(*line, "--augment", "flip-roll", "--out", sets / "flipped")
    assert refused.code != 0 and "mirror" in refused.err
    assert cli(*line, "--out", sets / "named", "--quiet").code == 0
    scored = cli("eval", sets / "named", "-T", 1, "--by-class", "--json", *place).document
    assert scored["results"][0]["by_class"].keys() == {"eins", "null"}
    answer = cli("predict", sets / "named", sets / "from" / "events" / "one" / "0.bin", "-T", 1, "--json", *place)
    assert {one["class"] for one in answer.document[0]["predictions"]} == {"eins", "null"}


def test_an_edit_of_how_the_files_are_read_works_after_preparing_again(
    sets: Path, cli: Cli, edit: Callable[[str, str, str], None]
) -> None:
    for name, key, value in (("clouds", "up", '"x"'), ("events", "sensor", "[40, 36]"), ("images", "size", "[16, 20]")):
        edit(name, key, value)
        place = ("--data-dir", sets / "data", "--quiet")
        points = ("--points", 32) if name == "clouds" else ()
        assert cli("data", "prepare", name, "--from", sets / "from" / name, *points, *place).code == 0
        ended = cli("data", "info", name, *place, "--json")
        assert ended.code == 0, ended.err
    assert cli("data", "info", "clouds", "--data-dir", sets / "data", "--json").document["up"] == "x"
