"""The pages on own data, run on tiny files: each command in its order, with one epoch and few points."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from event_bytes import bin_bytes, some_events, write
from own_scans import scans
from page_commands import commands_of
from rooms import ROOT

from spikecli.datasets.events import digits

Cli = Callable[..., Any]
SMALLER = {
    r"--epochs \d+": "--epochs 1",
    r"--points \d+": "--points 32",
    "(--epochs 1) (--timesteps)": r"\1 --width 0.1 \2",
    r"(export \S+) --timesteps \d+": r"\1 --timesteps 1",  # a graph is written down step by step
}


def letters(folder: Path) -> None:
    for letter in "AB":
        for number in range(5):
            events = some_events(120, 34, 34, 10 * ord(letter) + number)
            write(folder / letter / f"{number}.bin", bin_bytes(events))


@pytest.mark.filterwarnings("ignore:digits. trained with 2 time steps, this run takes 1:UserWarning")
@pytest.mark.parametrize(("page", "make"), [("own-clouds", scans), ("own-recordings", letters)])
def test_every_command_of_the_page_runs(
    page: str, make: Callable[[Path], None], cli: Cli, few_dots: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(digits, "RECORDED", slice(898, 958))
    for name, value in (
        ("TRAIN_BATCH_SIZE", "8"),
        ("TRAIN_POINTS", "32"),
        ("EVAL_RUNS", "1"),
        ("EXPORT_TIMESTEPS", "1"),
    ):
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
