"""Points drawn on surfaces, points far from one another, the unit sphere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cloud_files import CUBE, POINTS, write
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecli.datasets.clouds.formats import load_points_of, read_sample
from spikecli.datasets.clouds.geometry import (
    Cloud,
    Mesh,
    Sampling,
    draw_facing,
    draw_points,
    farthest_points,
    normalize_unit_sphere,
    sample_surface,
)
from spikecli.errors import SpikeError


def test_surface_samples_follow_the_area() -> None:
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 1, 0], [10, 0, 0], [11, 0, 0], [10, 1, 0], [5, 5, 5.0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5], [6, 6, 6]]))
    points = sample_surface(mesh, 40_000, np.random.default_rng(0)) + mesh.vertices.mean(axis=0)
    big = points[:, 0] < 5
    assert big.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(points[big].mean(axis=0), [1, 1 / 3, 0], atol=0.02)  # the triangle's centroid
    assert (points[big, 0] / 3 + points[big, 1] <= 1 + 1e-9).all() and (points >= -1e-9).all()


def test_points_know_where_their_face_faces() -> None:
    corners = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [0, 0, 2], [2, 0, 2.0]])
    mesh = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3], [0, 1, 5], [0, 5, 4]]))  # a floor and a wall on its edge
    for sampling in ("uniform", "fps"):
        points, normals = draw_facing(mesh, 300, sampling, np.random.default_rng(0))
        assert normals is not None and normals.shape == (300, 3)
        np.testing.assert_array_equal(points, draw_points(mesh, 300, sampling, np.random.default_rng(0)))
        on_the_floor = points[:, 2] == points[:, 2].min()
        np.testing.assert_allclose(np.abs(normals[on_the_floor]), np.tile([0, 0, 1.0], (on_the_floor.sum(), 1)))
        np.testing.assert_allclose(np.abs(normals[~on_the_floor]), np.tile([0, 1.0, 0], ((~on_the_floor).sum(), 1)))


def test_a_cloud_brings_its_normals_or_none(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=(40, 3))
    table = np.hstack([points, 5 * points]).astype(np.float32)
    _, normals = draw_facing(Cloud(table), 30, "uniform", np.random.default_rng(1))
    chosen = np.random.default_rng(1).permutation(40)[:30]
    assert normals is not None
    np.testing.assert_allclose(
        normals, points[chosen] / np.linalg.norm(points[chosen], axis=1, keepdims=True), atol=1e-6
    )
    assert draw_facing(Cloud(table[:, :3]), 30, "uniform", generator)[1] is None


def test_the_same_seed_draws_the_same_points_and_another_does_not(tmp_path: Path) -> None:
    path = write(tmp_path / "cube.off", "OFF\n" + CUBE)
    for sampling in ("uniform", "fps"):
        one, two, other = (load_points_of(path, 256, sampling, seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, other)
        assert one.shape == (256, 3) and one.dtype == np.float32
        assert np.linalg.norm(one, axis=1).max() == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(one.mean(axis=0), 0, atol=1e-6)


def farthest_by_hand(points: np.ndarray, first: int, count: int) -> list[int]:
    chosen = [first]
    while len(chosen) < count:
        nearest = np.min([np.sum((points - points[one]) ** 2, axis=1) for one in chosen], axis=0)
        chosen.append(int(nearest.argmax()))
    return chosen


@pytest.mark.parametrize("size", [2, 3, 7, 64, 3000])
def test_farthest_points_are_those_found_by_hand(size: int) -> None:
    points = np.random.default_rng(size).normal(size=(size, 3))
    count = min(size, 40)
    found = farthest_points(points, count, np.random.default_rng(5))
    assert found.tolist() == farthest_by_hand(points, int(found[0]), count)
    firsts = {int(farthest_points(points, count, np.random.default_rng(seed))[0]) for seed in range(8)}
    assert len(firsts) > 1


@pytest.mark.parametrize("sampling", ["uniform", "fps"])
def test_a_cloud_of_few_points_gives_all_of_them_again_and_says_so(tmp_path: Path, sampling: Sampling) -> None:
    np.save(tmp_path / "a.npy", POINTS)
    sample = read_sample(tmp_path / "a.npy", 10, sampling)
    assert sample.notes == ("holds 4 points for 10: some are taken more than once",)
    rows, counts = np.unique(sample.points, axis=0, return_counts=True)
    assert len(rows) == 4 and sorted(counts) == [2, 2, 3, 3]
    assert len(np.unique(sample.points[:4], axis=0)) == len(np.unique(sample.points[4:8], axis=0)) == 4
    assert read_sample(tmp_path / "a.npy", 4, sampling).notes == ()


def test_shapes_without_extent_are_refused() -> None:
    generator = np.random.default_rng(0)
    flat = Mesh(np.ones((3, 3)) * 5, np.array([[0, 1, 2]]))
    line = Mesh(np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2.0]]), np.array([[0, 1, 2]]))
    for mesh in (flat, line):
        with pytest.raises(SpikeError, match="zero area"):
            draw_points(mesh, 8, "uniform", generator)
    with pytest.raises(SpikeError, match="all equal"):
        draw_points(Cloud(np.full((9, 3), 7.7, np.float32)), 8, "uniform", generator)
    with pytest.raises(SpikeError, match="not a finite"):
        normalize_unit_sphere(np.array([[0, 0, 0], [np.inf, 0, 0]]))


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(1e-3, 1e6),
    shift=st.floats(-1e3, 1e3),
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(2, 50),
)
def test_normalizing_undoes_scale_and_shift(scale: float, shift: float, seed: int, size: int) -> None:
    points = np.random.default_rng(seed).normal(size=(size, 3))
    moved = normalize_unit_sphere(points * scale + shift)
    np.testing.assert_allclose(moved, normalize_unit_sphere(points), atol=1e-5 * max(1, abs(shift / scale)))
