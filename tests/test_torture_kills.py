"""Training and preparation that are killed: a short seeded part of `make torture`."""

from __future__ import annotations

from pathlib import Path

import forks
import pytest
from torture import commands, kills
from torture.report import sound


@pytest.fixture(autouse=True)
def as_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have processes that start at once; `make torture` starts real ones."""
    monkeypatch.setattr(commands, "Process", forks.Fork)


def test_killed_training_ends_in_the_same_bits(shapes_dir: Path, tmp_path: Path) -> None:
    sound(kills.train(seed=0, kills=2, folder=tmp_path, epochs=3, data=shapes_dir, points=16))


def test_killed_preparations_end_in_the_same_files(tmp_path: Path) -> None:
    sound(kills.prepare(seed=0, kills=4, folder=tmp_path))
