"""A short seeded part of `make torture`: the harnesses find what they are made for, and then nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import forks
import numpy as np
import pytest
from torture import cloud_specimens, commands, downloads, event_specimens, fuzz, image_specimens, report
from torture.formats import all_formats
from torture.report import Tally, sound

from spikecli.datasets.clouds.formats import READERS
from spikecli.datasets.events.formats import DECODERS
from spikecli.datasets.images.kind import KIND
from spikecli.datasets.images.picture import read_picture

SMALL = tuple(group for group in fuzz.GROUPS if not group.startswith("CLIP") and group != "adapters")


@pytest.fixture(autouse=True)
def as_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have processes that start at once; `make torture` starts real ones."""
    monkeypatch.setattr(commands, "Process", forks.Fork)


def test_damaged_files_of_every_format_are_data_or_one_line() -> None:
    tallies = fuzz.run(seed=0, files=500, groups=SMALL)
    sound(*tallies)
    assert sum(tally.tried for tally in tallies) > 450 and all(tally.tried for tally in tallies)
    assert 0 < sum(tally.refused for tally in tallies) < sum(tally.tried for tally in tallies)


def test_the_shares_of_the_formats_add_up(tmp_path: Path) -> None:
    formats = all_formats(tmp_path / "kept")
    assert sum(one.share for one in formats) == pytest.approx(fuzz.SHARES)
    assert {one.group for one in formats} == set(fuzz.GROUPS)
    assert len({one.name for one in formats}) == len(formats)


def test_every_reader_of_a_file_is_fuzzed(tmp_path: Path) -> None:
    """A reader that is added to a kind's list of formats is tried with damaged files, or this fails."""
    readers: tuple[tuple[ModuleType, Mapping[str, object]], ...] = (
        (event_specimens, DECODERS), (cloud_specimens, READERS),
        (image_specimens, dict.fromkeys(KIND.suffixes(), read_picture)),
    )  # fmt: skip
    for number, (specimens, by_suffix) in enumerate(readers):
        tried = {
            Path(one.name).suffix for one in specimens.formats(tmp_path / str(number)) if one.read is specimens.read
        }
        assert {by_suffix[suffix] for suffix in tried} == set(by_suffix.values())


def test_what_must_not_be_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")

    def endless(path: Path) -> None:
        while True:
            path.exists()

    def greedy(path: Path) -> object:
        return np.ones(3 << 27)

    said = {read.__name__: fuzz.judged(read, path) for read in (endless, greedy, Path.read_text, Path.mkdir)}
    kinds = {name: said[name]["kind"] for name in said}
    assert kinds == {"endless": "hang", "greedy": "traceback", "read_text": "data", "mkdir": "traceback"}
    assert "MemoryError" in said["greedy"]["line"] and "FileExistsError" in said["mkdir"]["line"]


def test_downloads_end_in_the_right_file_or_in_one_line(tmp_path: Path) -> None:
    sound(*downloads.run(seed=0, lies=20, kills=3, folder=tmp_path))


def test_the_report_counts() -> None:
    one, two = Tally("one", seconds=1), Tally("two", peak_mb=7)
    one.good()
    one.good(refused=True)
    two.fault("traceback", "see again with --seed 0")
    lines = report.table([one, two]).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")][1:8] == ["one", "2", "2", "1", "0", "0", "0"]
    assert [cell.strip() for cell in lines[-1].split("|")][1:10] == ["all", "3", "2", "1", "1", "0", "0", "0.00", "7"]
    assert json.loads(report.document([one, two], 5))["harnesses"][1]["faults"] == [
        "two: traceback: see again with --seed 0"
    ]
