"""How clouds stand: a note on a cloud that lies another way than the training data; --up as a fact of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cloud_runs import fit, settings

from spikecli.datasets.clouds.facts import MODELNET10
from spikecli.datasets.clouds.stance import built_in_stances, proportions, stance_from, stance_of
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.provenance import facts_at_training
from spikecli.errors import SpikeError, naming_options
from spikecli.weights.trained import Trained


def lying(points: np.ndarray, up: str) -> np.ndarray:
    """Return clouds with z up as files hold them that have the axis `up` up instead."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack({"z": (x, y, z), "y": (x, z, -y), "x": (z, y, -x)}[up], axis=-1)


def columns(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return tall columns on a broad foot, and low plates under a small knob: clouds (S, 256, 3) and labels."""
    rng = np.random.default_rng(seed)
    shapes = []
    for label in np.arange(count) % 2:
        body = rng.uniform(-1, 1, (256, 3)) * ([0.1, 0.1, 1] if label == 0 else [1, 1, 0.05])
        body[:60] = rng.uniform(-1, 1, (60, 3)) * ([0.6, 0.6, 0.02] if label == 0 else [0.1, 0.1, 0.1])
        body[:60, 2] += -1 if label == 0 else 0.15
        shapes.append(body * rng.uniform(0.9, 1.1, 3))
    return np.stack(shapes).astype(np.float32), np.arange(count) % 2


def test_proportions_are_those_of_a_box_and_of_a_wedge() -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-2, 2) for z in (-3, 3)], np.float64)
    variance, kurtosis, extent, products, *mixed = proportions(corners).reshape(7, 3)
    assert np.allclose(variance, np.log([1, 4, 9]), atol=1e-5) and np.allclose(kurtosis, 0, atol=1e-5)
    assert np.allclose(extent, np.log([2, 4, 6]), atol=1e-3)
    assert np.allclose(products, 0) and np.allclose(mixed, 0)
    wedge = np.array([[-2, 0, 1], [2, 0, 1], [0, 0, -1], [0, 0, -1]], np.float64)  # broad above: x² grows with z
    parts = proportions(wedge)
    assert np.isclose(parts[12 + 3 * 0 + 2], 1, atol=1e-5) and np.isfinite(parts).all()  # flat along y


def test_a_cloud_on_its_side_is_noted_with_the_axis_that_points_up() -> None:
    stance = stance_of(*columns(100))
    assert stance is not None
    others, _ = columns(20, seed=1)
    upright = [stance.doubt(one) for one in others]
    assert upright.count(None) >= 19
    for up in ("x", "y"):
        with naming_options():
            notes = [stance.doubt(one) for one in lying(others, up)]
            turned = [stance.doubt(one, as_in_file=False) or "" for one in lying(others, up)]
        assert sum(note is not None and f"--up {up}" in note for note in notes) >= 15
        assert not any("--up" in note for note in turned)


def test_a_stance_survives_json_and_damage_is_said() -> None:
    clouds, labels = columns(60)
    stance = stance_of(clouds, labels)
    assert stance is not None and stance_of(clouds[:40], labels[:40]) is None  # too few to say
    values = stance.as_values()
    again = stance_from(values, "here")
    found = proportions(clouds)
    np.testing.assert_allclose(again.distance(found), stance.distance(found), rtol=0.02, atol=0.2)
    for wrong in (
        {},
        {**values, "means": [[1.0]]},
        {**values, "covariances": [[0.0] * 231] * 2},
        {**values, "limit": None},
    ):
        with pytest.raises(SpikeError, match="here does not say how its training clouds stand"):
            stance_from(wrong, "here")
    for known in built_in_stances().values():
        assert len(stance_from(known, "the package").means) in (10, 40)


def test_predict_says_it_of_a_run_and_of_the_reference_weights(cli: Callable, shapes_dir: Path, tmp_path: Path) -> None:
    fit(settings(epochs=1), shapes_dir, tmp_path / "run")
    assert len(Trained.open(tmp_path / "run").notes["stance"]["means"]) == 10
    test = load_points(shapes_dir, "shapes", "test", 64)
    chosen = range(0, 100, 7)
    for up in ("z", "y"):
        (tmp_path / up).mkdir()
        for index in chosen:
            np.save(tmp_path / up / f"{index}.npy", lying(test.points[index], up))
    noted = {
        up: sum(
            "--up y" in note
            for one in cli("predict", tmp_path / "run", tmp_path / up, "--json").document
            for note in one["notes"]
        )
        for up in ("z", "y")
    }
    assert noted["z"] == 0 and noted["y"] >= 4
    told = cli("predict", tmp_path / "run", tmp_path / "y", "--up", "y", "--json").document
    assert not any(one["notes"] for one in told)  # who names the axis is not advised
    side = cli("predict", tmp_path / "y", "--json", "-T", 1).document  # by the reference weights, of other furniture
    assert all(isinstance(one["notes"], list) for one in side)


def test_the_toilet_on_its_side_is_noted_by_the_reference_weights(
    cli: Callable, shared_data: Path, tmp_path: Path
) -> None:
    lines = (shared_data / "samples" / "toilet_0345.off").read_text().split("\n")
    count = int(lines[1].split()[0])
    corners = lying(np.array([line.split() for line in lines[2 : 2 + count]], np.float64), "y")
    side = tmp_path / "side.off"
    side.write_text(
        "\n".join([*lines[:2], *(" ".join(map(repr, row)) for row in corners.tolist()), *lines[2 + count :]])
    )
    upright, turned = cli("predict", shared_data / "samples" / "toilet_0345.off", side, "--json", "-T", 1).document
    assert upright["notes"] == [] and any("--up y" in note for note in turned["notes"])


def small_modelnet(folder: Path) -> Path:
    """A ModelNet10 of 30 clouds of 80 points."""
    rng = np.random.default_rng(0)
    for name in MODELNET10.classnames:
        for number, split in enumerate(("train", "train", "test")):
            (folder / name / split).mkdir(parents=True, exist_ok=True)
            np.savetxt(folder / name / split / f"{name}_{number:04d}.txt", rng.normal(size=(80, 3)))
    return folder


def test_up_is_a_fact_of_a_built_in_set_too(cli: Callable, tmp_path: Path) -> None:
    given = ("--points", 64, "--data-dir", tmp_path / "data")
    flat = small_modelnet(tmp_path / "raw")
    assert cli("data", "prepare", "modelnet10", "--from", flat, *given, "--up", "y").code == 0
    assert cli("data", "info", "modelnet10", "--data-dir", tmp_path / "data", "--json").document["up"] == "y"
    side = load_points(tmp_path / "data", "modelnet10", "train")
    fit_settings = settings(epochs=1).model_copy(update={"dataset": "modelnet10", "batch_size": 5})
    fit(fit_settings, tmp_path / "data", tmp_path / "run")
    facts = facts_at_training(Trained.open(tmp_path / "run"))
    assert facts.up == "y"  # type: ignore[attr-defined]
    again = cli("data", "prepare", "modelnet10", "--from", flat, *given, "--json").document
    assert not again["reused"]  # z up is another preparation
    plain = load_points(tmp_path / "data", "modelnet10", "train")
    np.testing.assert_allclose(
        side.points, np.stack([plain.points[..., 0], -plain.points[..., 2], plain.points[..., 1]], -1), atol=1e-6
    )
    file = next(flat.rglob("*.txt"))
    noted = cli("predict", tmp_path / "run", file, "--json").document[0]
    assert noted["notes"][0] == "read with y up, as the files of modelnet10; --up overrules"
    overruled = cli("predict", tmp_path / "run", file, "--json", "--up", "z").document[0]
    assert not any("read with" in note for note in overruled["notes"])
    for name in ("shapes", "digits", "cifar10"):
        refused = cli("data", "prepare", name, "--up", "y", "--data-dir", tmp_path / "other")
        assert refused.code == 1 and "--up" in refused.err
