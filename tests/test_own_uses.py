"""Own data in every command: scans, recordings and pictures; seen, damaged, folded, asked by CLIP."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_bytes import bin_bytes, some_events, write
from own_pictures import pictures
from own_scans import scans

from spikecli.datasets.facts_file import prepare_again

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five classes of scans, y up, a readme beside them, and a network trained for an epoch."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("parts")
    scans(folder / "scans")
    write(folder / "scans" / "readme.txt", b"scanned in May\n")
    write(folder / "scans" / "cup" / "NOTES.txt", b"the handle is missing\n")
    place = ["--points", "32", "--data-dir", str(folder / "data"), "--quiet"]
    assert run(["data", "prepare", "parts", "--from", str(folder / "scans"), "--up", "y", *place]) == 0
    how = ["--epochs", "1", "--batch-size", "8", "--val-fraction", "0", "--out", str(folder / "run")]
    assert run(["train", "parts", *how, *place]) == 0
    return folder


def test_what_is_no_sample_is_left_out_with_a_reason(cli: Cli, parts: Path) -> None:
    asked = ("data", "prepare", "more", "--from", parts / "scans", "--dry-run", "--json", "--data-dir", parts / "data")
    skipped = cli(*asked).document["skipped"]
    assert len(skipped) == 2 and all("which is no sample" in line for line in skipped)
    write(parts / "scans" / "stray.xyz", b"0 0 0\n1 1 1\n2 0 1\n" * 20)
    refused = cli(*asked)
    (parts / "scans" / "stray.xyz").unlink()
    assert refused.code == 1 and "stray.xyz in no folder of a class" in refused.err


def test_to_prepare_again_the_command_names_that_the_scans_are_needed(cli: Cli, parts: Path) -> None:
    few = cli("train", "parts", "--points", "64", "--data-dir", parts / "data", "--out", parts / "more")
    assert few.code == 1 and "`spikecli data prepare parts --from SOURCE --points 64`" in few.err
    assert prepare_again(parts / "data" / "parts" / "x.h5") == "run `spikecli data prepare parts --from SOURCE --force`"
    assert prepare_again(Path("data/digits/x.h5")) == "run `spikecli data prepare digits --force`"


def test_a_scan_with_the_name_of_a_readme_is_a_scan(cli: Cli, tmp_path: Path) -> None:
    scans(tmp_path / "scans", 3)
    write(tmp_path / "scans" / "cup" / "Readme.xyz", b"0 0 0\n1 1 1\n2 0 1\n" * 20)
    asked = ("data", "prepare", "more", "--from", tmp_path / "scans", "--dry-run", "--data-dir", tmp_path / "data")
    found = cli(*asked, "--json").document
    assert found["classes"]["cup"] == {"train": 3, "test": 1} and found["skipped"] == []
    assert [note for note in found["notes"] if "Readme.xyz can be read, so it is a sample" in note]
    write(tmp_path / "scans" / "cup" / "about.ply", b"no scan\n")
    refused = cli(*asked)
    assert refused.code == 1 and "about.ply" in refused.err and "--skip-bad" in refused.err


def test_a_quiet_preparation_says_one_line_and_a_dry_one_its_table(cli: Cli, tmp_path: Path) -> None:
    scans(tmp_path / "scans", 3)
    asked = ("data", "prepare", "more", "--from", tmp_path / "scans", "--points", 8, "--data-dir", tmp_path / "data")
    assert "bolt" in cli(*asked, "--dry-run", "--quiet").out
    done = cli(*asked, "--quiet", "--out", tmp_path / "counts.csv")
    assert len(done.out.splitlines()) == 1 and "10 train, 5 test prepared" in done.out
    assert "bolt,2,1" in (tmp_path / "counts.csv").read_text()
    assert "bolt" in cli(*asked).out


def test_view_shows_what_predict_answers_of_files_with_another_axis_up(cli: Cli, parts: Path, tmp_path: Path) -> None:
    file = parts / "scans" / "cup" / "cup_0.ply"
    told = cli("predict", parts / "run", file, "-T", 2, "--json", "--quiet").document[0]["predictions"][0]
    shown = cli("view", file, "--checkpoint", parts / "run", "-T", 2, "--out", tmp_path / "x.png", "--json", "--quiet")
    last = shown.document["sources"][0]["predictions"][-1]
    assert last["class"] == told["class"] and last["probability"] == pytest.approx(told["probability"], abs=1e-5)
    other = ("--up", "z", "--out", tmp_path / "x.png", "--json", "--quiet")
    turned = cli("view", file, "--checkpoint", parts / "run", "-T", 2, *other).document["sources"][0]["predictions"][-1]
    assert turned["probability"] != pytest.approx(last["probability"], abs=1e-5)


@pytest.mark.parametrize(
    "line",
    [
        "view parts:test:0 --checkpoint RUN --out x.png",
        "view RUN -T 2 --out x.pdf",
        "view parts:test:0 --checkpoint RUN --show membranes --out x.svg",
        "eval RUN -T 1 --corrupt jitter --severities 3 --runs 1 --out x.csv",
        "reparameterize RUN --out x.safetensors --samples 2",
        "ablate parts --papers lif,ann --epochs 1 --batch-size 8 --points 32 -T 1 --runs 1 --out x",
        "compare RUN RUN --out x.md",
    ],
)
def test_scans_of_ones_own_are_known_to_every_command(
    line: str, cli: Cli, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.replace("RUN", str(parts / "run")).split()
    ended = cli(*words, "--data-dir", parts / "data", "--quiet")
    assert ended.code == 0, ended.err
    assert next(tmp_path.glob("x*")).exists()


def test_recordings_of_ones_own_and_clip(cli: Cli, tmp_path: Path) -> None:
    for letter in ("zero", "one"):
        for number in range(5):
            write(tmp_path / "from" / letter / f"{number}.bin", bin_bytes(some_events(200, 34, 34, number)))
    place = ("--data-dir", tmp_path / "data", "--quiet")
    assert cli("data", "prepare", "mine", "--from", tmp_path / "from", "--sensor", "34x34", *place).code == 0
    facts = tmp_path / "data" / "mine" / "dataset.toml"
    facts.write_text(facts.read_text().replace("A low quality point cloud image of {}.", "the digit {}"))
    asked = cli("zeroshot", "mine", "-T", 2, "--json", "--out", tmp_path / "zero.csv", *place)
    assert asked.code == 0 and asked.document["templates"] == ["the digit {}"], asked.err
    assert asked.document["samples"] == 2
    assert "the digit" not in (tmp_path / "zero.csv").read_text() and "mine" in (tmp_path / "zero.csv").read_text()
    table = tmp_path / "few.csv"
    few = cli("fewshot", "mine", "--shots", 2, "--runs", 2, "-T", 2, "--json", "--out", table, *place)
    assert few.code == 0 and few.document["shots"] == 2, few.err
    assert [row["draw"] for row in csv.DictReader(table.read_text().splitlines())] == ["0", "1", "mean", "std"]
    facts.write_text(facts.read_text().replace('"zero"', '"wombat"', 1))
    never = cli("zeroshot", "mine", "-T", 2, *place)
    assert never.code == 1 and "wombat" in never.err


def test_pictures_of_ones_own_are_scored_folded_and_on_the_run_page(cli: Cli, tmp_path: Path) -> None:
    pictures(tmp_path / "from", ("leaf", "bark"), 5, (20, 30), np.random.default_rng(1))
    place = ("--data-dir", tmp_path / "data", "--quiet")
    assert cli("data", "prepare", "trees", "--from", tmp_path / "from", *place).code == 0
    run = tmp_path / "run"
    assert cli("train", "trees", "--epochs", 1, "--width", 0.1, "--batch-size", 4, "--out", run, *place).code == 0
    shown = cli("view", run, "-T", 1, "--split", "train", "--out", tmp_path / "run.html", "--json", *place)
    assert shown.code == 0 and shown.document["warnings"] == [], shown.err
    assert shown.document["runs"][0]["mistakes"] and "mistakes at T = 1" in (tmp_path / "run.html").read_text()
    folded = cli("reparameterize", run, "--out", tmp_path / "folded.safetensors", "--samples", 2, *place)
    assert folded.code == 0, folded.err
    assert cli("eval", run, "-T", 1, "--by-class", "--json", *place).document["results"][0]["by_class"].keys() == {
        "bark",
        "leaf",
    }
