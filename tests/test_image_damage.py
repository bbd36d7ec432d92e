"""Damage to pictures: seeded, of the right size, worse at each severity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_pictures import pictures

from spikecli.datasets.images.damage import IMAGE_CORRUPTIONS, blur, corrupt_images, cover, dim, flatten

Cli = Callable[..., Any]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 3, 12, 16), dtype=np.uint8)


@pytest.mark.parametrize("name", IMAGE_CORRUPTIONS)
def test_damage_is_seeded_and_grows(name: str) -> None:
    kept = IMAGES.copy()
    far = []
    for severity in range(1, 6):
        hurt = corrupt_images(IMAGES, name, severity, 7)
        assert hurt.dtype == np.uint8 and hurt.shape == IMAGES.shape
        assert np.array_equal(hurt, corrupt_images(IMAGES, name, severity, 7))
        assert np.array_equal(hurt[:1], corrupt_images(IMAGES[:1], name, severity, 7))  # whatever follows in the split
        far.append(np.abs(hurt.astype(int) - IMAGES).mean())
    assert far == sorted(far) and far[0] > 0
    assert np.array_equal(IMAGES, kept)


def test_values_by_hand() -> None:
    line = np.zeros((3, 1, 3), np.uint8)
    line[:, 0, 1] = 200
    assert dim(line, 0.25, RNG)[0].tolist() == [[0, 150, 0]]
    assert flatten(line, 0.5, RNG)[0].tolist() == [[33, 133, 33]]  # about the mean, 66.7
    assert (cover(line, 1.0, RNG) == 128).all()
    side = np.exp(-0.5 / 0.25)  # of the middle's weight, one pixel off at σ = ½; two off it is e^-8
    soft = blur(np.full((3, 5, 5), 90, np.uint8), 1.0, RNG)
    assert (soft == 90).all()
    spot = np.zeros((3, 9, 9), np.uint8)
    spot[:, 4, 4] = 255
    middle, beside = blur(spot, 0.5, RNG)[0, 4, 4:6].tolist()
    assert beside / middle == pytest.approx(side, abs=0.01)


def test_pictures_are_damaged_by_eval(cli: Cli, tmp_path: Path) -> None:
    pictures(tmp_path / "from", ("dark", "light"), 3, (9, 9), RNG)
    place = ("--data-dir", tmp_path / "data", "--quiet")
    assert cli("data", "prepare", "tones", "--from", tmp_path / "from", *place).code == 0
    how = ("--epochs", 1, "--width", 0.1, "--batch-size", 2, "--val-fraction", 0)
    assert cli("train", "tones", *how, "--out", tmp_path / "run", *place).code == 0
    asked = ("eval", tmp_path / "run", "-T", 1, "--corrupt", "all", "--severities", "1,5", "--json", *place)
    cells = cli(*asked).document["results"]
    assert {cell["corruption"] for cell in cells} == {"clean", *IMAGE_CORRUPTIONS}
