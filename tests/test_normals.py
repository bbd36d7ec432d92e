"""Points with normals, six numbers each: prepared, augmented, damaged, trained on, folded, shown and predicted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cloud_files import CUBE, write
from conftest import Outcome
from furniture import chair, table

import spikecli
from spikecli import models
from spikecli.datasets.clouds.augment import AUGMENTATIONS
from spikecli.datasets.clouds.damage import CLOUD_CORRUPTIONS, corrupt_clouds, rotate
from spikecli.datasets.clouds.facts import MODELNET10
from spikecli.datasets.clouds.formats import read_sample
from spikecli.datasets.clouds.normals import scaled
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.sets import prepare
from spikecli.errors import SpikeError
from spikecli.models.batch_norm import BatchNorm
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import neuron_of
from spikecli.training import device_augment
from spikecli.training.reestimation import reestimate
from spikecli.weights.reparameterize import reparameterize

Cli = Callable[..., Outcome]
Batch = np.ndarray


def slanted(points: int = 200) -> Batch:
    """Return three clouds on the plane x + 2y + 2z = 0, whose normal is (1, 2, 2)/3."""
    free = np.random.default_rng(3).uniform(-0.5, 0.5, (3, points, 2))
    places = np.concatenate([-2 * free.sum(-1, keepdims=True), free], -1)
    return np.concatenate([places, np.broadcast_to(np.array([1, 2, 2]) / 3, places.shape)], -1).astype(np.float32)


def off_the_plane(points: Batch) -> float:
    """Return the largest |n·(p − q)| of a normal and two points of its cloud: 0 if all lie on one plane and n is its
    normal, wherever it was turned or stretched."""
    apart = points[:, 1:, :3] - points[:, :1, :3]
    return float(np.abs((points[:, 1:, 3:] * apart).sum(-1)).max())


def lengths(points: Batch) -> Batch:
    return np.linalg.norm(points[..., 3:], axis=-1)


# Where they come from.


@pytest.mark.parametrize("sampling", ["uniform", "fps"])
def test_points_of_a_cube_have_the_normals_of_its_faces(tmp_path: Path, sampling: Any) -> None:
    path = write(tmp_path / "cube.off", "OFF\n" + CUBE)
    points = read_sample(path, 300, sampling, normals=True).points
    assert points.shape == (300, 6) and points.dtype == np.float32
    np.testing.assert_array_equal(points[:, :3], read_sample(path, 300, sampling).points)  # the same points
    normals = points[:, 3:]
    assert set(np.unique(np.abs(normals))) == {0, 1} and (np.abs(normals).sum(1) == 1).all()
    side = np.abs(points[:, :3]).max()  # a cube about its center: the outer face lies where the normal points
    corner = (points[:, :3] * normals).sum(1)
    np.testing.assert_allclose(corner, side, atol=0.15)
    assert {tuple(row) for row in normals.astype(int)} == {
        tuple(sign * row) for row in np.eye(3, dtype=int) for sign in (1, -1)
    }


def test_normals_of_a_file_are_kept_and_of_length_1(tmp_path: Path) -> None:
    path = tmp_path / "resampled.txt"
    path.write_text("0.5,0.1,0.2,0.6,0.8,0\n-0.3,0.2,0.1,0,0,1\n0.1,-0.4,0.3,0,-1,0\n")
    points = read_sample(path, 3, normals=True).points
    np.testing.assert_allclose(points[:, 3:], [[0.6, 0.8, 0], [0, 0, 1], [0, -1, 0]], atol=1e-7)
    assert read_sample(path, 3).points.shape == (3, 3)
    np.testing.assert_array_equal(points[:, :3], read_sample(path, 3).points)
    bare = write(tmp_path / "bare.xyz", "0.5 0.1 0.2\n-0.3 0.2 0.1\n0.1 -0.4 0.3\n")
    with pytest.raises(SpikeError, match=r"bare\.xyz: found points without normals, and normals are wanted; give a"):
        read_sample(bare, 3, normals=True)


def resampled(root: Path, names: tuple[str, ...]) -> Path:
    """Write a little modelnet10_normal_resampled: text files by class, with the lists of train and test."""
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for place in (1, 2):
            rng = np.random.default_rng([number, place])
            normals = rng.normal(size=(40, 3))
            rows = np.concatenate([rng.normal(size=(40, 3)), normals / np.linalg.norm(normals, axis=1)[:, None]], 1)
            np.savetxt(root / name / f"{name}_{place:04d}.txt", rows, "%.6f", ",")
    for split, place in (("train", 1), ("test", 2)):
        (root / f"modelnet10_{split}.txt").write_text("".join(f"{name}_{place:04d}\n" for name in names))
    (root / "modelnet10_shape_names.txt").write_text("\n".join(names) + "\n")
    return root


def test_the_resampled_lists_are_prepared_with_six_numbers_a_point(cli: Cli, tmp_path: Path) -> None:
    source, data = resampled(tmp_path / "modelnet10_normal_resampled", MODELNET10.classnames), tmp_path / "data"
    plain = prepare(data, "modelnet10", PrepareOptions(source, points=32))
    asked = ["data", "prepare", "modelnet10", "--from", source, "--points", 32, "--normals", "--data-dir", data]
    found = cli(*asked, "--json").document
    assert found["layout"] == "lists" and found["settings"]["normals"] is True and found["key"] != plain["key"]
    assert "normals" not in plain["settings"]  # as in records from before
    clouds = load_points(data, "modelnet10", "train")
    assert clouds.points.shape == (10, 32, 6)
    np.testing.assert_allclose(lengths(clouds.points), 1, atol=1e-5)
    assert clouds.points[:, :, :3] == pytest.approx(load_points(data, "modelnet10", "train", inputs=3).points)
    about = cli("data", "info", "modelnet10", "--data-dir", data, "--json").document
    assert about["normals"] is True and about["variants"] == [
        "32 points, uniform, seed 0, with normals", "32 points, uniform, seed 0"
    ]  # fmt: skip
    assert cli("data", "verify", "modelnet10", "--data-dir", data).code == 0
    again = prepare(data, "modelnet10", PrepareOptions(source, points=32))
    assert again["reused"] and again["key"] == plain["key"]
    assert load_points(data, "modelnet10", "test").points.shape == (10, 32, 3)
    with pytest.raises(SpikeError, match="without normals, wanted those too; run `spikecli data prepare modelnet10 "):
        load_points(data, "modelnet10", "test", inputs=6)


def test_hdf5_files_may_hold_normals_beside_their_points(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(0), MODELNET10.classnames
    normals = rng.normal(size=(10, 24, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    for split in ("train", "test"):
        with h5py.File(tmp_path / f"ply_data_{split}0.h5", "w") as file:
            file["data"] = rng.normal(size=(10, 24, 3)).astype(np.float32)
            file["normal"] = normals.astype(np.float32)
            file["label"] = np.arange(10, dtype=np.uint8)[:, None]
    prepare(tmp_path / "data", "modelnet10", PrepareOptions(tmp_path, points=24, normals=True))
    found = load_points(tmp_path / "data", "modelnet10", "train").points[names.index("sofa"), :, 3:]
    np.testing.assert_allclose(np.sort(found, 0), np.sort(normals[names.index("sofa")], 0), atol=1e-6)


def test_data_of_other_kinds_have_no_normals(cli: Cli, tmp_path: Path) -> None:
    refused = cli("data", "prepare", "digits", "--normals", "--data-dir", tmp_path)
    assert refused.code != 0 and "--normals, which is for data sets of points" in refused.err


# What turns them.


def test_a_rotation_and_a_mirror_keep_normals_on_their_surface() -> None:
    points = slanted()
    turned = rotate(points, 37.0, np.random.default_rng(1))
    assert off_the_plane(points) < 1e-6 and off_the_plane(turned) < 1e-5
    assert np.abs(turned[..., 3:] - points[..., 3:]).max() > 0.1
    np.testing.assert_allclose(lengths(turned), 1, atol=1e-6)
    mirrored = scaled(points, np.array([[[-1.0, 1, 1]]], np.float32))
    np.testing.assert_allclose(mirrored[..., 3:], np.broadcast_to(np.array([-1, 2, 2]) / 3, (3, 200, 3)), atol=1e-6)


def test_a_factor_of_all_axes_leaves_directions_and_one_by_axis_turns_them() -> None:
    points = slanted()
    np.testing.assert_array_equal(scaled(points, np.float32([[[3.0]]]))[..., 3:], points[..., 3:])
    # x + 2y + 2z = 0 with x twice as long is x/2 + 2y + 2z = 0: its normal is (1, 4, 4)/√33.
    stretched = scaled(points, np.array([[[2.0, 1, 1]]], np.float32))
    np.testing.assert_allclose(stretched[0, 0, 3:], np.array([1, 4, 4]) / 33**0.5, atol=1e-6)
    unknown = np.zeros((1, 2, 6), np.float32)
    assert not scaled(unknown, np.float32([[[2.0, 1, 1]]])).any()


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_every_augmentation_keeps_them_on_their_surface(name: str) -> None:
    points = slanted()
    found = AUGMENTATIONS[name](points, np.random.default_rng(4))
    assert found.shape[2] == 6 and found.dtype == np.float32
    assert name == "robust" or off_the_plane(found) < 1e-5  # whose points are shaken off it
    np.testing.assert_allclose(lengths(found), 1, atol=1e-5)
    plain = AUGMENTATIONS[name](points[..., :3], np.random.default_rng(4))
    np.testing.assert_array_equal(found[..., :3], plain)  # as without them
    torch.manual_seed(1)
    on_device = device_augment.ON_DEVICE[name](torch.from_numpy(points), 64).numpy()
    assert name == "robust" or off_the_plane(on_device) < 1e-5
    np.testing.assert_allclose(lengths(on_device), 1, atol=1e-5)


def test_points_drawn_again_keep_their_normals() -> None:
    drawn = device_augment.points_drawn(torch.from_numpy(slanted()), 50).numpy()
    assert drawn.shape == (3, 50, 6) and off_the_plane(drawn) < 1e-5
    assert np.linalg.norm(drawn[..., :3], axis=-1).max(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", list(CLOUD_CORRUPTIONS))
def test_every_damage_gives_clouds_with_normals(name: str) -> None:
    points = slanted()
    found = corrupt_clouds(points, name, 3, 0)
    np.testing.assert_allclose(lengths(found), 1, atol=1e-5)
    kept = slice(0, 200) if name.startswith("outliers") else slice(None)  # outliers face anywhere
    assert name == "jitter" or off_the_plane(found[:, kept]) < 2e-5
    if not name.startswith("outliers"):  # whose normals are drawn too
        np.testing.assert_allclose(found[..., :3], corrupt_clouds(points[..., :3], name, 3, 0), atol=1e-6)


# Networks.


def network(name: str, **fields: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    small = {"width": 0.05, "neighbors": 4} if name == "dela" else {}
    config = network_settings(name, classes=4, neuron=neuron_of("lif"), **small, **fields)
    model = models.build(config).double()
    for module in model.modules():  # as after training: neurons fire
        if isinstance(module, BatchNorm):
            torch.nn.init.uniform_(module.weight, 0.7, 1.4)
            torch.nn.init.uniform_(module.bias, 0.1, 0.6)
    if name == "dela":  # whose first weights are small beside its offsets
        torch.nn.init.normal_(model.embeddings[0].first.weight, std=0.5)  # type: ignore[index,union-attr]
    inputs = torch.from_numpy(slanted(32)[..., : fields.get("inputs", 3)]).double()
    reestimate(model, iter([inputs]), TrainConfig(), torch.device("cpu"))
    return model.eval()


CASES = [("pointnet", {}), ("pointnet", {"tnet": "pooled"}), ("pointnet", {"tnet": "paper"}), ("dela", {})]


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_network_reads_what_the_data_hold_and_folds(name: str, fields: dict[str, Any]) -> None:
    model = network(name, inputs=6, **fields)
    points = torch.from_numpy(slanted(32)).double()
    other = torch.cat([points[..., :3], -points[..., 3:]], 2)
    with torch.no_grad():
        assert not torch.equal(model(points, 2), model(other, 2))  # the normals matter
        torch.testing.assert_close(reparameterize(model)(points, 3), model(points, 3), atol=1e-9, rtol=0)
    given = set(network(name, **fields).state_dict())
    assert set(model.state_dict()) == given and network_settings(name).inputs == 3  # type: ignore[attr-defined]


def test_the_first_tnet_reads_normals_and_turns_positions() -> None:
    model: Any = network("pointnet", tnet="pooled", inputs=6)
    assert model.input_tnet.point1.weight.shape[1] == model.point1.weight.shape[1] == 6
    x = torch.from_numpy(slanted(8)).double()[None]
    a = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]).double().expand(2, 3, 3, 3)  # a quarter about z, at T = 2
    found = model._turned(x, a)
    torch.testing.assert_close(found[1, ..., 0], -x[0, ..., 1])
    torch.testing.assert_close(found[0, ..., 3:], x[0, ..., 3:])


# From end to end.


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs on tables and chairs with normals, of each network, and their data."""
    root = tmp_path_factory.mktemp("normals")
    for split, count in (("train", 6), ("test", 2)):
        for name, make in (("chair", chair), ("table", table)):
            (root / "source" / split / name).mkdir(parents=True)
            for number in range(count):
                make(root / "source" / split / name / f"{number}.off")
    data = root / "data"
    report = spikecli.prepare("seats", data, root / "source", points=32, normals=True)
    assert report["settings"]["normals"] is True
    made = {"data": data, "mesh": root / "source" / "test" / "chair" / "0.off"}
    line: dict[str, Any] = {"epochs": 1, "points": 32, "batch_size": 4, "data_dir": data, "val_fraction": 0.2}
    for name, small in (("pointnet", {}), ("dela", {"width": 0.05, "neighbors": 4})):
        made[name] = root / name
        augment = "mirror" if name == "pointnet" else "stretch"
        spikecli.train("seats", out=root / name, model=name, augment=augment, **small, **line)
    return made


@pytest.mark.parametrize("name", ["pointnet", "dela"])
def test_a_run_with_normals_goes_through_every_command(
    cli: Cli, runs: dict[str, Path], name: str, tmp_path: Path
) -> None:
    run, data = runs[name], ("--data-dir", runs["data"])
    assert json.loads((run / "config.json").read_text())["model"]["inputs"] == 6
    scores = cli("eval", run, "-T", "1,2", *data, "--json").document
    assert scores["samples"] == 4 and scores["results"][0]["energy_uj"] > 0
    damage = cli("eval", run, "-T", 1, "--corrupt", "rotation,outliers-local", "--severities", 1, *data, "--json")
    assert damage.code == 0
    answer = cli("predict", run, runs["mesh"], "--json").document
    assert answer[0]["predictions"][0]["class"] in ("chair", "table")
    bare = write(tmp_path / "bare.xyz", "\n".join(f"{x} {x * x} {x % 3}" for x in range(40)))
    refused = cli("predict", run, bare)
    assert refused.code == 1 and "found points without normals" in refused.err and refused.err.count("\n") == 1
    drawn = cli("view", runs["mesh"], "--checkpoint", run, "--out", tmp_path / "one.png", *data, "--json")
    assert drawn.document["sources"][0]["points"] == 32
    folded = cli("reparameterize", run, "--out", tmp_path / "folded.safetensors", *data, "--json")
    assert folded.code == 0 and folded.document["spikes_flipped"] == 0


def test_the_library_takes_clouds_with_normals(runs: dict[str, Path]) -> None:
    model = spikecli.load(runs["pointnet"])
    points = read_sample(runs["mesh"], 32, normals=True).points
    assert model.predict(points).probabilities == model.predict(np.array(points)).probabilities
    with pytest.raises(SpikeError, match="without normals"):
        model.predict(points[:, :3])
