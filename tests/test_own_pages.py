"""The pages on own data, run on tiny files: each command in its order, with one epoch and few points."""

from __future__ import annotations

import re
import shlex
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_bytes import bin_bytes, some_events, write
from page_commands import commands_of
from rooms import ROOT

Cli = Callable[..., Any]
SMALLER = {
    r"--epochs \d+": "--epochs 1",
    r"--points \d+": "--points 32",
    "(--epochs 1) (--timesteps)": r"\1 --width 0.1 \2",
}


def scans(folder: Path, count: int = 5) -> None:
    rng = np.random.default_rng(0)
    for label, name in enumerate(("bolt", "cup", "gear", "nut", "pipe")):
        for number in range(count):
            points = rng.normal(size=(40, 3)) * (1 + label, 1, 1)
            head = "ply\nformat ascii 1.0\nelement vertex 40\nproperty float x\nproperty float y\nproperty float z\n"
            lines = "\n".join(f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in points)
            write(folder / name / f"{name}_{number}.ply", f"{head}end_header\n{lines}\n".encode())


def letters(folder: Path) -> None:
    for letter in "AB":
        for number in range(5):
            events = some_events(120, 34, 34, 10 * ord(letter) + number)
            write(folder / letter / f"{number}.bin", bin_bytes(events))


@pytest.mark.parametrize(("page", "make"), [("own-clouds", scans), ("own-recordings", letters)])
def test_every_command_of_the_page_runs(
    page: str, make: Callable[[Path], None], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("TRAIN_BATCH_SIZE", "8"), ("TRAIN_POINTS", "32"), ("EVAL_RUNS", "1")):
        monkeypatch.setenv(f"SPIKECLI_{name}", value)
    make(tmp_path / ("scans" if page == "own-clouds" else "letters"))
    ran = []
    for command in commands_of(ROOT / "docs" / f"{page}.md", spans=False):
        for found, fewer in SMALLER.items():
            command = re.sub(found, fewer, command)
        ended = cli(*shlex.split(command)[1:])
        assert ended.code == 0, f"{page}.md: {command}\n{ended.err}"
        for name in re.findall(r"--(?:out|reliability) (\S+)", command):
            assert Path(name).exists(), f"{page}.md: {command} wrote no {name}"
        ran.append(command.split()[1])
    assert {"data", "train", "eval", "predict", "view", "reparameterize", "export"} <= set(ran)


def test_lists_in_toml_groups_archives_and_nested_folders(cli: Cli, tmp_path: Path) -> None:
    scans(tmp_path / "scans", 4)
    place = ("--points", 16, "--data-dir", tmp_path / "data", "--json", "--quiet")

    def prepared(source: Path, *more: object) -> dict[str, Any]:
        done = cli("data", "prepare", source.stem.partition(".")[0], "--from", source, *more, *place)
        assert done.code == 0, done.err
        document: dict[str, Any] = done.document
        return document

    files = sorted((tmp_path / "scans").rglob("*.ply"))
    rows = [
        f'[[samples]]\npath = "{path.relative_to(tmp_path).as_posix()}"\nclass = "{path.parent.name}"\n'
        f'split = "{"test" if path.stem.endswith("3") else "train"}"\n'
        for path in files
    ]
    listed = prepared(write(tmp_path / "listed.toml", "\n".join(rows).encode()))
    assert listed["samples"] == {"train": 15, "test": 5} and listed["classes"]["cup"] == {"train": 3, "test": 1}
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for path in files:
            archive.write(path, f"a/b/{path.parent.name}/{path.name}")
    with tarfile.open(tmp_path / "tarred.tar.bz2", "w:bz2") as packed:
        for path in files:
            packed.add(path, f"top/{path.parent.name}/{'test' if path.stem.endswith('0') else 'train'}/{path.name}")
    assert sum(prepared(tmp_path / "zipped.zip")["samples"].values()) == 20
    assert prepared(tmp_path / "tarred.tar.bz2")["samples"] == {"train": 15, "test": 5}
    grouped = prepared(tmp_path / "scans", "--group", r"[a-z]+_[01]|[a-z]+_[23]", "--test-fraction", 0.5)
    assert grouped["samples"] == {"train": 10, "test": 10}
