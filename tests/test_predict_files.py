"""`predict` and one's own files: notes, turned clouds, batches that go on past a bad file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clouds, of which one lies on its side and one has few points."""
    folder = tmp_path_factory.mktemp("clouds")
    points = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32) * [1, 2, 3]
    np.save(folder / "a.npy", points)
    np.save(folder / "side.npy", points[:, [0, 2, 1]] * [1, 1, -1])
    np.save(folder / "few.npy", points[:300])
    return folder


def test_a_cloud_turned_by_up_is_answered_like_the_upright_one(cli: Callable, clouds: Path) -> None:
    upright = cli("predict", clouds / "a.npy", "--json").document[0]
    turned = cli("predict", clouds / "side.npy", "--up", "y", "--json").document[0]
    plain = cli("predict", clouds / "side.npy", "--json").document[0]
    assert turned["predictions"] == upright["predictions"] != plain["predictions"]


def test_a_cloud_of_few_points_is_answered_with_a_note(cli: Callable, clouds: Path) -> None:
    found = cli("predict", clouds / "few.npy", "--json")
    assert found.document[0]["notes"] == ["holds 300 points for 1,024: some are taken more than once"]
    assert "few.npy: holds 300 points" in found.err
