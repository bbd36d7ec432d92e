"""Places that are full or vanish: a short seeded part of `make torture`."""

from __future__ import annotations

from pathlib import Path

import forks
import numpy as np
import pytest
from torture import commands, disks
from torture.report import Tally, sound


def test_places_that_fail_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "Process", forks.Fork)  # `make torture` starts real processes
    ground = disks.Ground(tmp_path, seed=0)
    tally = Tally("disks")
    for place in (disks._full, disks._vanished):
        place(tally, ground, np.random.default_rng(0), "short")
    sound(tally)
