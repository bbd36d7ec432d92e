"""`spikecli data`: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikecli.datasets.clouds.facts import MODELNET10
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.sets import built_in

Cli = Callable[..., Any]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A little ModelNet10 of 20 clouds of 80 points."""
    generator = np.random.default_rng(0)
    for classname in MODELNET10.classnames:
        for number, split in enumerate(("train", "test"), 1):
            place = tmp_path / "source" / classname / split
            place.mkdir(parents=True)
            np.savetxt(place / f"{classname}_{number:04d}.txt", generator.normal(size=(80, 3)))
    return tmp_path / "source"


@pytest.fixture
def prepared(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    done = cli("data", "prepare", "modelnet10", "--from", tree, "--points", 64, "--data-dir", tmp_path / "data")
    assert done.code == 0, done.err
    return tmp_path / "data"


def test_prepare_tells_what_it_did(cli: Cli, tree: Path, tmp_path: Path) -> None:
    arguments = ("data", "prepare", "modelnet10", "--from", tree, "--points", 64, "--data-dir", tmp_path / "data")
    done = cli(*arguments)
    assert done.code == 0
    assert done.out.startswith("modelnet10: 10 train, 10 test prepared in ")
    assert "not the whole of modelnet10, which has 3,991 train, 908 test" in done.err
    again = cli(*arguments, "--json", "--quiet")
    document = again.document
    assert document["reused"] is True and document["samples"] == {"train": 10, "test": 10}
    assert document["settings"]["points"] == 64 and document["settings"]["sampling"] == "uniform"
    assert load_points(tmp_path / "data", "modelnet10", "test").points.shape == (10, 64, 3)


def test_list_has_a_line_for_every_data_set(cli: Cli, prepared: Path) -> None:
    lines = cli("data", "list", "--data-dir", prepared, "--json").document
    assert [line["name"] for line in lines] == list(built_in())
    by_name = {line["name"]: line for line in lines}
    assert by_name["modelnet10"]["prepared"] and by_name["modelnet10"]["samples"] == {"train": 10, "test": 10}
    assert by_name["modelnet10"]["bytes"] > 10 * 2 * 64 * 12
    assert not by_name["modelnet40"]["prepared"] and by_name["modelnet40"]["how"] == "spikecli data prepare modelnet40"
    text = cli("data", "list", "--data-dir", prepared).out
    assert all(name in text for name in built_in())


def test_a_damaged_record_does_not_hide_the_other_sets(cli: Cli, prepared: Path) -> None:
    (prepared / "modelnet10" / "prepared.json").write_text("{")
    lines = {line["name"]: line for line in cli("data", "list", "--data-dir", prepared, "--json").document}
    assert lines["modelnet10"]["damaged"] and "prepared.json" in lines["modelnet10"]["description"]
    assert not lines["shapes"]["damaged"]


def test_info_before_and_after(cli: Cli, prepared: Path) -> None:
    after = cli("data", "info", "modelnet10", "--data-dir", prepared, "--json").document
    assert (
        after["prepared"] and after["settings"]["points"] == 64 and after["classnames"] == list(MODELNET10.classnames)
    )
    before = cli("data", "info", "modelnet40", "--data-dir", prepared, "--json").document
    assert not before["prepared"] and before["samples"] == {} and before["whole_set"] == {"train": 9843, "test": 2468}
    assert "bathtub, bed, chair" in cli("data", "info", "modelnet10", "--data-dir", prepared).out


def test_verify_finds_a_flipped_bit(cli: Cli, prepared: Path) -> None:
    good = cli("data", "verify", "modelnet10", "--data-dir", prepared, "--json")
    assert good.code == 0 and good.document["ok"] and len(good.document["files"]) == 2
    path = Path(good.document["files"][0]["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    bad = cli("data", "verify", "modelnet10", "--data-dir", prepared, "--json")
    assert bad.code == 1 and bad.out == ""
    assert "is damaged" in bad.err and "spikecli data prepare modelnet10 --force" in bad.err


def refused(done: Any, *said: str) -> None:
    assert done.code == 1 and done.out == ""
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(text in errors[0] for text in said), errors[0]


def test_what_cannot_be_done_says_what_can(cli: Cli, tree: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    unknown = cli("data", "info", "imagenet", *place)
    assert unknown.code == 2 and "imagenet" in unknown.err and "shapes, modelnet10, modelnet40" in unknown.err
    refused(cli("data", "verify", "modelnet10", *place), "run `spikecli data prepare modelnet10`")
    refused(cli("data", "prepare", "modelnet10", "--offline", *place), "ModelNet10.zip", "--from")
    refused(cli("data", "prepare", "modelnet10", "--from", tree / "none.zip", *place), "found nothing at", "--from")
    refused(cli("data", "prepare", "modelnet40", "--from", tree, *place), "no train files of airplane")
    refused(cli("data", "prepare", "shapes", "--from", tree, *place), "built in")
    refused(cli("data", "prepare", "digits", "--points", 64, *place), "--points", "events")
    assert cli("data", "prepare", "modelnet10", "--sampling", "grid", *place).code == 2
    assert cli("data", "prepare", "modelnet10", "--points", 1, *place).code == 2


def test_bad_files_are_named_and_can_be_left_out(cli: Cli, tree: Path, tmp_path: Path) -> None:
    (tree / "desk" / "train" / "desk_0002.txt").write_text("1 2 nan\n3 4 5\n" * 64)
    arguments = ("data", "prepare", "modelnet10", "--from", tree, "--points", 64, "--data-dir", tmp_path / "data")
    refused(cli(*arguments, "--quiet"), "desk/train/desk_0002.txt", "--skip-bad")
    done = cli(*arguments, "--skip-bad")
    assert done.code == 1 and "left out: desk/train/desk_0002.txt" in done.err
    assert done.out.startswith("modelnet10: 10 train")


def test_settings_come_from_a_file_too(cli: Cli, tree: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'from = "{tree}"\npoints = 48\nsampling = "fps"\n')
    arguments = ("data", "prepare", "modelnet10", "--config", settings, "--data-dir", tmp_path / "data", "--json")
    assert cli(*arguments).document["settings"]["points"] == 48
    changed = cli(*arguments, "--points", 32).document
    assert changed["settings"]["points"] == 32 and changed["settings"]["sampling"] == "fps"


@pytest.mark.parametrize("command", ["list", "prepare", "info", "verify"])
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    shown = cli("data", command, "--help")
    assert shown.code == 0 and "Example" in shown.out and "--json" in shown.out


def test_json_is_one_document_and_nothing_else(cli: Cli, prepared: Path) -> None:
    for command in (("list",), ("info", "shapes"), ("verify", "modelnet10")):
        done = cli("data", *command, "--data-dir", prepared, "--json", "--quiet")
        assert json.loads(done.out) is not None and done.err == ""
