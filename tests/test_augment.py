"""Augmentations keep shapes, leave their input alone and draw what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikecli.datasets.clouds.augment import (
    AUGMENTATIONS,
    cut,
    mirror,
    overwrite_points,
    scale_and_shift,
    shake,
    thin_points,
    turn,
)
from spikecli.training.device_augment import damage as on_device


def clouds(count: int = 6, points: int = 200) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, points, 3)).astype(np.float32)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_the_input_is_untouched_and_the_seed_decides(name: str) -> None:
    points = clouds()
    before = points.copy()
    first = AUGMENTATIONS[name](points, np.random.default_rng(5))
    assert np.array_equal(points, before)
    assert np.array_equal(first, AUGMENTATIONS[name](points, np.random.default_rng(5)))
    assert first.dtype == np.float32 and len(first) == 6
    assert np.array_equal(first, before) == (name == "none")


def test_dropped_points_become_the_first_one() -> None:
    points = clouds(4000, 50)
    dropped = overwrite_points(points, np.random.default_rng(0))
    gone = (dropped == points[:, :1]).all(-1)
    assert np.array_equal(dropped[~gone], points[~gone])
    assert gone.mean() == pytest.approx(0.875 / 2, abs=0.03)


def test_thinning_leaves_a_subset_without_copies() -> None:
    points = clouds()
    sizes = []
    for seed in range(200):
        thin = thin_points(points, np.random.default_rng(seed))
        sizes.append(thin.shape[1])
        assert {tuple(p) for p in thin[0]} <= {tuple(p) for p in points[0]}
        assert len({tuple(p) for p in thin[0]}) == thin.shape[1]
    assert min(sizes) >= 25 and max(sizes) <= 200
    assert np.mean(sizes) == pytest.approx(200 * (1 - 0.875 / 2), rel=0.07)


def test_scale_and_shift_stay_within_their_bounds() -> None:
    points = clouds(2000, 4)
    moved = scale_and_shift(points, np.random.default_rng(0))
    scale = (moved[:, 1] - moved[:, 0]) / (points[:, 1] - points[:, 0])
    assert np.allclose(scale, scale[:, :1], rtol=1e-2)  # one factor for the three axes
    assert scale[:, 0].min() == pytest.approx(0.8, abs=0.02) and scale[:, 0].max() == pytest.approx(1.25, abs=0.02)
    shift = moved[:, 0] - scale[:, :1] * points[:, 0]
    assert np.abs(shift).max() == pytest.approx(0.1, abs=0.01)


def test_mirrored_clouds_stand_upright_and_each_of_four_ways_is_as_likely() -> None:
    points = clouds(4000, 3)
    sign = mirror(points, np.random.default_rng(0)) / points
    assert np.array_equal(sign, np.broadcast_to(sign[:, :1], sign.shape)) and set(np.unique(sign)) == {-1, 1}
    assert (sign[..., 2] == 1).all()
    _, ways = np.unique(sign[:, 0], axis=0, return_counts=True)
    assert ways == pytest.approx(1000, abs=120) and len(ways) == 4


def test_stretching_takes_a_factor_for_each_axis() -> None:
    points = clouds(2000, 4)
    moved = scale_and_shift(points, np.random.default_rng(0), axes=3)
    scale = np.median(np.diff(moved, axis=1) / np.diff(points, axis=1), axis=1)
    assert scale.min() == pytest.approx(0.8, abs=0.02) and scale.max() == pytest.approx(1.25, abs=0.02)
    assert np.abs(np.corrcoef(scale.T) - np.eye(3)).max() < 0.1


def test_half_of_the_clouds_are_turned_about_the_upright() -> None:
    points = clouds(2000, 5)
    turned = turn(points, np.random.default_rng(0))
    assert np.allclose(turned[..., 2], points[..., 2])
    assert np.allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(points, axis=-1), atol=1e-5)
    moved = np.abs(turned - points).max(axis=(1, 2)) > 1e-4
    assert moved.mean() == pytest.approx(0.5, abs=0.05)
    angle = np.angle(
        (turned[moved, 0, 0] + 1j * turned[moved, 0, 1]) / (points[moved, 0, 0] + 1j * points[moved, 0, 1])
    )
    assert np.mean(angle > 0) == pytest.approx(0.5, abs=0.06) and np.abs(angle).max() > 3


def test_what_is_cut_away_lay_beyond_a_plane() -> None:
    points = clouds(400, 64)
    found = cut(points, np.random.default_rng(0))
    whole = 0
    for before, after in zip(points, found, strict=True):
        kept = np.isin(before, after).all(axis=1)
        whole += kept.all()
        assert 32 <= kept.sum() <= 64
        if not kept.all():  # some plane parts the two: a perceptron finds it
            lifted, side = np.c_[before, np.ones(64)], np.where(kept, 1, -1)
            weights, _ = _parted(lifted, side)
            assert (np.sign(lifted @ weights) == side).all()
    assert whole / 400 == pytest.approx(0.5 + 0.5 / 32, abs=0.07)


def _parted(lifted: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, int]:
    weights, rounds = np.zeros(4), 0
    while (wrong := np.sign(lifted @ weights) != side).any() and rounds < 20000:
        first = wrong.argmax()
        weights, rounds = weights + side[first] * lifted[first], rounds + 1
    return weights, rounds


def test_noise_has_a_deviation_of_its_own_for_each_cloud() -> None:
    points = clouds(500, 300)
    deviation = (shake(points, np.random.default_rng(0)) - points).std(axis=(1, 2))
    assert deviation.max() == pytest.approx(0.04, abs=0.004) and deviation.mean() == pytest.approx(0.02, abs=0.002)


def test_a_device_damages_clouds_as_the_host_does() -> None:
    """A cloud on a line along z cannot be turned: how many points are left, and how far they lie from it."""
    line = np.zeros((3000, 40, 3), np.float32)
    line[..., 2] = np.linspace(-1, 1, 40)
    torch.manual_seed(0)
    for damaged in (AUGMENTATIONS["robust"](line, np.random.default_rng(0)), on_device(torch.from_numpy(line)).numpy()):
        assert damaged.shape == line.shape
        off = damaged[..., 0].std(axis=1)
        assert 0.01 < off.mean() < 0.035
    clean = on_device(torch.from_numpy(clouds(300, 40))).numpy()
    assert np.linalg.norm(clean, axis=-1).max(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(clean.mean(axis=1)).max() < 1e-5
