"""The built-in furniture: real surfaces, the same for a seed, unlike within a kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.clouds.facts import SHAPES
from spikecli.datasets.clouds.formats import read_cloud
from spikecli.datasets.clouds.geometry import Mesh, draw_points
from spikecli.datasets.clouds.shapes import ShapeRecipe, build_shape, write_shapes


def nothing(steps: int) -> None:
    return None


@pytest.mark.parametrize("classname", SHAPES.classnames)
def test_pieces_stand_on_the_floor_and_differ(classname: str) -> None:
    pieces = [build_shape(classname, np.random.default_rng(seed)) for seed in range(40)]
    sizes = set()
    for piece in pieces:
        assert piece.vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
        assert piece.faces.min() >= 0 and piece.faces.max() < len(piece.vertices)
        extent = np.ptp(piece.vertices, axis=0)
        assert (extent > 0.02).all() and (extent < 4).all()
        assert np.isfinite(draw_points(piece, 64, "uniform", np.random.default_rng(0))).all()
        sizes.add(tuple(extent.round(6)))
    assert len(sizes) == 40
    same = build_shape(classname, np.random.default_rng(7))
    np.testing.assert_array_equal(same.vertices, pieces[7].vertices)


def test_variety_is_the_knob() -> None:
    def spread(variety: float) -> float:
        pieces = [build_shape("table", np.random.default_rng(seed), variety) for seed in range(60)]
        return float(np.std([np.log(np.ptp(piece.vertices, axis=0)) for piece in pieces], axis=0).sum())

    assert spread(0.1) < spread(0.5) < spread(1.0) < spread(2.0)


def test_files_are_written_once_for_a_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    recipe = ShapeRecipe(seed=3, train=2, test=1)
    write_shapes(folder, recipe, nothing)
    paths = sorted(folder.glob("*/*/*.off"))
    assert len(paths) == 30
    assert (folder / "chair" / "train" / "chair_0002.off").exists()
    assert (folder / "chair" / "test" / "chair_0003.off").exists()
    mesh = read_cloud(folder / "chair" / "test" / "chair_0003.off")
    assert isinstance(mesh, Mesh)
    built = build_shape("chair", np.random.default_rng([3, SHAPES.classnames.index("chair"), 3]))
    np.testing.assert_allclose(mesh.vertices, built.vertices, atol=1e-6)
    before = {path: path.stat().st_mtime_ns for path in paths}
    steps: list[int] = []
    write_shapes(folder, recipe, steps.append)
    assert steps == [] and before == {path: path.stat().st_mtime_ns for path in paths}
    write_shapes(folder, ShapeRecipe(seed=4, train=1, test=1), nothing)
    assert len(sorted(folder.glob("*/*/*.off"))) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_no_two_pieces_of_a_kind_are_alike(tmp_path: Path) -> None:
    write_shapes(tmp_path / "raw", ShapeRecipe(train=4, test=4), nothing)
    texts = [path.read_text() for path in (tmp_path / "raw").glob("*/*/*.off")]
    assert len(set(texts)) == len(texts) == 80
