"""Augmentations keep shapes, leave their input alone and draw what they say."""

from __future__ import annotations

import numpy as np
import pytest

from spikecli.datasets.clouds.augment import AUGMENTATIONS, mirror, overwrite_points, scale_and_shift, thin_points


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
