"""Damage: drawn from its seed, never in place, worse with each severity, and within the ranges that readers promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spikecli.datasets.clouds import damage as corrupt
from spikecli.datasets.clouds.damage import CLOUD_CORRUPTIONS, corrupt_clouds
from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.corrupt import SEVERITIES, chosen_kinds, chosen_severities
from spikecli.datasets.events.damage import EVENT_CORRUPTIONS, corrupt_recording
from spikecli.datasets.events.recording import EVENT, Recording
from spikecli.errors import SpikeError

SHARE_LEFT = {"dropout-global": -1, "dropout-local": -1, "outliers-global": 1, "outliers-local": 1}


def clouds(count: int = 6, points: int = 300) -> np.ndarray:
    """Boxes of different proportions, their points on the faces."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (count, points, 3))
    xyz[np.arange(count)[:, None], np.arange(points), rng.integers(0, 3, points)] = rng.choice([-1, 1], points)
    return normalize_unit_sphere(xyz * rng.uniform(0.3, 1, (count, 1, 3)))


def recording() -> Recording:
    """Four hundred events, each at a pixel of its own, so that it can be found again."""
    rng = np.random.default_rng(1)
    events = np.empty(400, EVENT)
    places = rng.permutation(30 * 20)[:400]
    events["x"], events["y"] = places % 30, places // 30
    events["t"], events["p"] = np.sort(rng.integers(5_000, 105_000, 400)), rng.integers(0, 2, 400)
    return Recording(events, 30, 20)


def apart(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean distance to the nearest point of the other cloud, both ways, over clouds."""
    pairs = [(cKDTree(a), cKDTree(b), a, b) for a, b in zip(before, after, strict=True)]
    return float(np.mean([ta.query(b)[0].mean() + tb.query(a)[0].mean() for ta, tb, a, b in pairs]))


@pytest.mark.parametrize("name", CLOUD_CORRUPTIONS)
def test_clouds_are_damaged_by_seed_and_never_in_place(name: str) -> None:
    before = clouds()
    kept = before.copy()
    after = corrupt_clouds(before, name, 3, 7)
    assert (before == kept).all()
    assert np.array_equal(after, corrupt_clouds(before, name, 3, 7))
    assert not np.array_equal(after, corrupt_clouds(before, name, 3, 8))
    assert after.dtype == np.float32


@pytest.mark.parametrize("name", CLOUD_CORRUPTIONS)
def test_clouds_get_worse_with_severity_and_stay_in_the_unit_sphere(name: str) -> None:
    before, distances = clouds(), []
    for severity, level in zip(SEVERITIES, CLOUD_CORRUPTIONS[name].levels, strict=True):
        after = corrupt_clouds(before, name, severity, 0)
        assert after.shape == (6, 300 + SHARE_LEFT.get(name, 0) * round(level * 300), 3)
        np.testing.assert_allclose(after.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(after, axis=-1).max(1), 1, atol=1e-6)
        distances.append(apart(before, after))
    assert distances[0] > 0 and (np.diff(distances) > 0).all()


def test_what_each_kind_does_to_a_cloud() -> None:
    before = clouds()

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    off = corrupt.jitter(before, 0.05, rng()) - before
    assert off.std() == pytest.approx(0.05, rel=0.03) and abs(off.mean()) < 0.005
    factors = corrupt.scale(before, 2.0, rng()) / before
    assert np.allclose(factors, factors[:, :1], rtol=1e-4) and ((factors > 0.499) & (factors < 2.001)).all()
    assert not np.allclose(factors[..., 0], factors[..., 1])
    turned = corrupt.rotate(before, 40, rng())
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(before, axis=-1), rtol=1e-5)
    turn = np.linalg.lstsq(before[0], turned[0], rcond=None)[0]
    assert np.linalg.det(turn) == pytest.approx(1, abs=1e-4)
    assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(40, abs=0.01)


def test_points_that_stay_are_those_of_the_cloud() -> None:
    before = clouds()
    for drop in (corrupt.drop_globally, corrupt.drop_locally):
        after = drop(before, 0.4, np.random.default_rng(0))
        for one, whole in zip(after, before, strict=True):
            rows = {tuple(point) for point in one}
            assert len(rows) == 180 and rows <= {tuple(point) for point in whole}  # none is a copy
    gone = corrupt.drop_locally(before, 0.1, np.random.default_rng(0))
    holes = [len(np.flatnonzero(cKDTree(a).query(b)[0] > 0)) for a, b in zip(gone, before, strict=True)]
    assert holes == [30] * 6
    for add in (corrupt.add_globally, corrupt.add_locally):
        after = add(before, 0.2, np.random.default_rng(0))
        assert np.array_equal(after[:, :300], before) and np.linalg.norm(after, axis=-1).max() < 1 + 1e-6


def test_local_outliers_lie_about_the_cloud_and_global_ones_anywhere() -> None:
    before = clouds()
    near, far = (
        add(before, 0.2, np.random.default_rng(0))[:, 300:] for add in (corrupt.add_locally, corrupt.add_globally)
    )
    middles = near.reshape(6, 3, 20, 3).mean(2)
    assert cKDTree(before[0]).query(middles[0])[0].max() < 0.15
    assert near.reshape(6, 3, 20, 3).std(2).mean() == pytest.approx(corrupt.CLUMP, rel=0.2)
    assert np.linalg.norm(far, axis=-1).mean() == pytest.approx(3 / 4, abs=0.03)  # of the uniform ball


def lost(before: Recording, after: Recording) -> float:
    return len(before) - len(after)


def gained(before: Recording, after: Recording) -> float:
    return len(after) - len(before)


def late(before: Recording, after: Recording) -> float:
    order, other = (np.lexsort((one.events["x"], one.events["y"])) for one in (before, after))
    assert (before.events["x"][order] == after.events["x"][other]).all()
    return float(np.abs(before.events["t"][order] - after.events["t"][other]).mean())


def flipped(before: Recording, after: Recording) -> float:
    return float((before.events["p"] != after.events["p"]).mean())


MEASURES: dict[str, Callable[[Recording, Recording], float]] = {
    "noise": gained,
    "dropped-events": lost,
    "dead-pixels": lost,
    "time-jitter": late,
    "polarity-flips": flipped,
}


@pytest.mark.parametrize("name", EVENT_CORRUPTIONS)
def test_recordings_are_damaged_by_seed_worse_with_severity_and_within_their_sensor_and_time(name: str) -> None:
    before = recording()
    kept = before.events.copy()
    found = []
    for severity in SEVERITIES:
        after = corrupt_recording(before, name, severity, 3)
        assert (before.events == kept).all()
        assert np.array_equal(after.events, corrupt_recording(before, name, severity, 3).events)
        assert not np.array_equal(after.events, corrupt_recording(before, name, severity, 3, index=1).events)
        events = after.events
        assert events.dtype == EVENT and (after.width, after.height) == (30, 20)
        assert events["x"].max() < 30 and events["y"].max() < 20 and events["p"].max() <= 1
        assert (np.diff(events["t"]) >= 0).all()
        assert kept["t"][0] <= events["t"][0] and events["t"][-1] <= kept["t"][-1]
        found.append(MEASURES[name](before, after))
    assert found[0] > 0 and (np.diff(found) > 0).all()


def test_how_much_of_a_recording_is_damaged() -> None:
    before = recording()
    assert len(corrupt_recording(before, "noise", 4, 0)) == 800
    assert len(corrupt_recording(before, "dropped-events", 5, 0)) == pytest.approx(40, abs=20)
    assert len(corrupt_recording(before, "dead-pixels", 5, 0)) == pytest.approx(200, abs=40)
    assert flipped(before, corrupt_recording(before, "polarity-flips", 5, 0)) == pytest.approx(0.5, abs=0.1)


def test_an_empty_recording_stays_empty() -> None:
    empty = Recording(np.empty(0, EVENT), 30, 20)
    assert [len(corrupt_recording(empty, name, 5, 0)) for name in EVENT_CORRUPTIONS] == [0] * len(EVENT_CORRUPTIONS)


def test_kinds_and_severities_are_read_in_the_tables_order() -> None:
    assert chosen_kinds("all", CLOUD_CORRUPTIONS) == tuple(CLOUD_CORRUPTIONS)
    assert chosen_kinds("rotation, jitter", CLOUD_CORRUPTIONS) == ("jitter", "rotation")
    assert chosen_severities("5,1,5") == (1, 5)
    with pytest.raises(SpikeError, match=r"corrupt cannot be 'fog': .*all, jitter"):
        chosen_kinds("jitter,fog", CLOUD_CORRUPTIONS)
    for wrong in ("0", "6", "1-3", ""):
        with pytest.raises(SpikeError, match="severities"):
            chosen_severities(wrong)
