"""CIFAR from its binary files: read byte by byte, refused when broken or a pickle, augmented, trained on."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from PIL import Image

from spikecli.datasets.augment_maps import IMAGE_AUGMENTATIONS, auto_augment, crop, cut_out, flip, roll, shift
from spikecli.datasets.images.facts import CIFAR10, CIFAR100
from spikecli.datasets.images.picture import read_picture
from spikecli.datasets.images.prepare import load_images, read_binary
from spikecli.errors import SpikeError
from spikecli.models.inputs import to_network
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.recipes import RECIPES, train_settings
from spikecli.training.schedule import learning_rate, optimizer

Cli = Callable[..., Outcome]


def records(labels: np.ndarray, front: bytes = b"") -> bytes:
    """Return records in which a class has a color of its own, with noise."""
    out = b""
    for place, label in enumerate(labels):
        rng = np.random.default_rng([int(label), place])
        color = np.array([25 * (label % 10), 255 - 25 * (label % 10), 12 * (label % 20)])
        pixels = np.clip(color[:, None] + rng.normal(0, 20, (3, 1024)), 0, 255).astype(np.uint8)
        out += front + bytes([int(label)]) + pixels.tobytes()
    return out


def archive(folder: Path, files: dict[str, bytes], name: str = "cifar-10-binary.tar.gz") -> Path:
    inner = folder / "cifar-10-batches-bin"
    inner.mkdir(parents=True)
    for each, content in files.items():
        (inner / each).write_bytes(content)
    with tarfile.open(folder / name, "w:gz") as tar:
        tar.add(inner, inner.name)
    return folder / name


def tiny_cifar10(folder: Path) -> Path:
    files = {f"data_batch_{n}.bin": records(np.arange(10)) for n in range(1, 6)}
    return archive(folder, {**files, "test_batch.bin": records(np.arange(10).repeat(2))})


def test_records_are_read_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    pixels = np.arange(3072, dtype=np.uint32).astype(np.uint8)
    path.write_bytes(bytes([19, 99]) + pixels.tobytes() + bytes([3, 0]) + pixels[::-1].tobytes())
    images, labels = read_binary(path, CIFAR100)
    assert labels.tolist() == [99, 0] and images.shape == (2, 3, 32, 32) and images.dtype == np.uint8
    assert images[0, 0, 0, :3].tolist() == [0, 1, 2] and images[0, 0, 1, 0] == 32  # red first, row by row
    assert images[0, 1, 0, 0] == 1024 % 256 and images[1, 2, 31, 31] == 0
    for content, complaint in (
        (b"", "0 bytes"),
        (b"\0" * 3075, "3075 bytes"),
        (bytes([0, 100]) + pixels.tobytes(), "class 100"),
    ):
        path.write_bytes(content)
        with pytest.raises(SpikeError, match=complaint):
            read_binary(path, CIFAR100)


def test_classes_and_checksums_are_whole() -> None:
    assert len(CIFAR10.classnames) == 10 and len(CIFAR100.classnames) == 100
    assert list(CIFAR100.classnames) == sorted(CIFAR100.classnames)
    assert all(len(facts.remotes[0].checksum) == 36 for facts in (CIFAR10, CIFAR100))


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_or_a_folder_is_prepared_verified_and_kept(cli: Cli, tmp_path: Path, packed: bool) -> None:
    path = tiny_cifar10(tmp_path / "source")
    source, place = path if packed else path.parent / "cifar-10-batches-bin", ("--data-dir", tmp_path / "data")
    done = cli("data", "prepare", "cifar10", "--from", source, *place, "--json")
    assert done.code == 0 and done.document["samples"] == {"train": 50, "test": 20}
    assert not done.document["reused"] and not done.document["official"] and "not the whole" in done.err
    train = load_images(tmp_path / "data", "cifar10", "train")
    assert train.labels.tolist() == list(range(10)) * 5 and train.classnames[3] == "cat"
    expected, _ = read_binary(path.parent / "cifar-10-batches-bin" / "data_batch_2.bin", CIFAR10)
    assert np.array_equal(train.images[10:20], expected)
    assert cli("data", "prepare", "cifar10", *place, "--json").document["reused"]
    assert cli("data", "verify", "cifar10", *place, "--json").document["splits"]["test"]["samples"] == 20
    (line,) = [row for row in cli("data", "list", *place, "--json").document if row["name"] == "cifar10"]
    assert line["prepared"] and line["kind"] == "images"
    stored = next((tmp_path / "data" / "cifar10").glob("test-*.h5"))
    content = stored.read_bytes()
    middle = content.index(train.images[0, 0, 0, :8].tobytes())  # the same pictures open both splits
    stored.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    changed = cli("data", "verify", "cifar10", *place)
    assert changed.code == 1 and stored.name in changed.err and "--force" in changed.err


def test_pickles_and_what_is_missing_are_refused(cli: Cli, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    pickled = archive(tmp_path / "python", {"data_batch_1": b"\x80\x02}q", "batches.meta": b"\x80\x02}q"})
    for source, said in (
        (pickled, "pickles"),
        (archive(tmp_path / "part", {"data_batch_1.bin": records(np.arange(10))}), "no data_batch_2.bin"),
        (archive(tmp_path / "cut", {f"data_batch_{n}.bin": b"\0" * 100 for n in range(1, 6)}), "100 bytes"),
        (tmp_path / "nowhere", "nowhere"),
    ):
        done = cli("data", "prepare", "cifar10", "--from", source, "--quiet", *place)
        assert done.code == 1 and said in done.err and str(source) in done.err and done.err.count("\n") == 1
        assert "unpacked" not in done.err
    refused = cli("data", "prepare", "cifar100", "--points", 5, *place)
    assert refused.code == 1 and "holds images" in refused.err
    assert "data prepare cifar10" in cli("train", "cifar10", *place).err


def pictures(count: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("name", list(IMAGE_AUGMENTATIONS))
def test_augmented_images_are_the_seeds_and_leave_the_originals_alone(name: str) -> None:
    images = pictures()
    before = images.copy()
    first, again, other = (IMAGE_AUGMENTATIONS[name](images, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(images, before) and np.array_equal(first, again)
    assert first.shape == images.shape and first.dtype == np.uint8
    assert np.array_equal(first, other) == (name == "none")


def test_crops_flips_and_holes_are_what_they_say() -> None:
    images, rng = pictures(400), np.random.default_rng(1)
    bordered = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    corners = set()
    for one, whole in zip(crop(images, rng), bordered, strict=True):
        found = [(y, x) for y in range(9) for x in range(9) if np.array_equal(whole[:, y : y + 32, x : x + 32], one)]
        corners |= set(found)
        assert len(found) == 1
    assert len(corners) > 70  # of 81
    mirrored, below = flip(images, np.random.default_rng(2)), np.random.default_rng(2).random(400) < 0.5
    turned = [np.array_equal(one, two[..., ::-1]) for one, two in zip(mirrored, images, strict=True)]
    assert all(t or np.array_equal(one, two) for t, one, two in zip(turned, mirrored, images, strict=True))
    assert np.array_equal(turned, below) and 0.4 < np.mean(turned) < 0.6  # which ones, a seed says
    holes = (cut_out(np.zeros_like(images), rng) == 128).sum((1, 2, 3))
    assert holes.max() == 3 * 16 * 16 and holes.min() >= 3 * 8 * 8


def test_auto_augment_leaves_torchs_own_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    changed = auto_augment(pictures(), np.random.default_rng(0))
    assert torch.equal(torch.rand(1), expected) and not np.array_equal(changed, pictures())


@pytest.mark.parametrize(("side", "far"), [(48, 5), (128, 13), (17, 2), (34, 4)])
def test_frames_are_rolled_by_pixels_and_shifted_by_a_share_of_their_side(side: int, far: int) -> None:
    frames = np.zeros((300, 2, 2, side, side), np.uint8)
    frames[:, :, :, side // 2, side // 2] = 1
    for move, most in ((roll, 5), (shift, far)):
        places = np.argwhere(move(frames, np.random.default_rng(0)))
        assert len(places) == 1200
        offsets = places[:, 3:].reshape(300, 4, 2) - side // 2
        assert (offsets == offsets[:, :1]).all() and offsets.min() == -most and offsets.max() == most


def test_a_roll_goes_around_the_edge_and_a_shift_loses_what_leaves() -> None:
    full = np.ones((50, 1, 2, 48, 24), np.uint8)
    assert roll(full, np.random.default_rng(0)).all()
    moved = shift(full, np.random.default_rng(0))[:, 0, 0]
    kept = moved.any(2).sum(1), moved.any(1).sum(1)
    assert (kept[0].min(), kept[0].max(), kept[1].min(), kept[1].max()) == (43, 48, 22, 24)
    edge = np.zeros((50, 1, 2, 48, 24), np.uint8)
    edge[..., 0, :] = 1
    assert not shift(edge, np.random.default_rng(0))[..., -1, :].any()
    assert np.array_equal(full, np.ones_like(full))


def test_a_crop_and_a_hole_are_shares_of_a_picture() -> None:
    images = np.full((200, 3, 64, 96), 255, np.uint8)
    black = (crop(images, np.random.default_rng(0)) == 0)[:, 0]
    assert black.all(2).sum(1).max() == 8 and black.all(1).sum(1).max() == 12
    hole = (cut_out(images, np.random.default_rng(0)) == 128).sum((1, 2, 3))
    assert hole.max() == 3 * 32 * 32


def test_images_enter_a_network_about_zero() -> None:
    x = to_network(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), torch.device("cpu"), torch.float32)
    assert x.flatten().tolist() == [-2, 2]


def test_the_papers_recipe_for_cifar() -> None:
    config = train_settings("cifar10", "lif", "cifar", {}, {}, {"name": "resnet20"})
    assert (config.epochs, config.batch_size, config.lr, config.weight_decay) == (400, 128, 0.1, 1e-4)
    assert (config.optimizer, config.schedule, config.augment) == ("sgd", "cosine", "cifar")
    assert [learning_rate(config, e) for e in (0, 200, 400)] == pytest.approx([0.1, 0.05, 0])
    assert set(RECIPES) == {"short", "paper", "events", "pictures", "cifar", "dela"}


def test_weight_decay_on_weights_spares_norms_biases_and_neurons() -> None:
    from spikecli import models

    changes: dict[str, Any] = {"optimizer": "sgd", "decayed": "weights", "weight_decay": 0.5}
    parts = {"amplitude": "element", "norm": "mpbn"}
    config = train_settings("cifar10", "lif", "cifar", changes, parts, {"name": "resnet18", "width": 0.1})
    model = models.build(config.model)
    names = {id(p): name for name, p in model.named_parameters()}
    weights, others = optimizer(config, model).param_groups
    assert (weights["weight_decay"], others["weight_decay"], weights["momentum"]) == (0.5, 0, 0.9)
    decayed = {names[id(p)] for p in weights["params"]}
    assert {"stem.0.conv.weight", "stage1.0.conv2.weight", "out.weight"} <= decayed
    assert all(name.endswith("weight") and "norm" not in name and "fire" not in name for name in decayed)
    assert len(decayed) + len(others["params"]) == len(names)
    (everything,) = optimizer(config.model_copy(update={"decayed": "all"}), model).param_groups
    assert len(everything["params"]) == len(names)


def test_pictures_of_ones_own(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 48, 3), (255, 0, 10), np.uint8)).save(tmp_path / "red.png")
    pixels = read_picture(tmp_path / "red.png", (32, 32))
    assert pixels.shape == (3, 32, 32) and [int(c.mean()) for c in pixels] == [255, 0, 10]
    (tmp_path / "no.png").write_bytes(b"not a picture")
    for name in ("no.png", "nowhere.png"):
        with pytest.raises(SpikeError, match=name):
            read_picture(tmp_path / name, (32, 32))


def test_a_photograph_stands_upright_and_deep_gray_keeps_its_values(tmp_path: Path) -> None:
    from PIL import Image

    wide = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))  # red left, blue right
    note = wide.getexif()
    note[274] = 6  # the camera was held upright: turn by 90° clockwise to show
    wide.save(tmp_path / "held.png", exif=note)
    upright = read_picture(tmp_path / "held.png", None)
    assert upright.shape == (3, 2, 1) and upright[:, :, 0].T.tolist() == [[255, 0, 0], [0, 0, 255]]
    Image.fromarray(np.array([[0, 257, 25_700, 65_535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png", None)[1].tolist() == [[0, 1, 100, 255]]


def test_a_network_learns_colors_through_the_command_line(cli: Cli, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    cli("data", "prepare", "cifar10", "--from", tiny_cifar10(tmp_path / "source"), *place)
    options = ("--width", 0.1, "--model", "resnet18", "--epochs", 2, "--batch-size", 20, "--augment", "none")
    done = cli("train", "cifar10", *options, "--out", tmp_path / "run", *place, "--json")
    assert done.code == 0 and "images to train on" in done.err
    assert "not named, so chosen: --recipe cifar --paper lif\n" in done.err
    assert done.document["chosen"] == {"recipe": "cifar", "paper": "lif"}
    saved = TrainConfig.model_validate_json((tmp_path / "run" / "config.json").read_text())
    assert (saved.optimizer, saved.model.inputs, saved.model.size) == ("sgd", 3, (32, 32))
    assert saved.model == network_settings(**saved.model.model_dump())
    scored = cli("eval", tmp_path / "run", "--timesteps", "1,2", "--runs", 1, *place, "--json").document
    assert scored["samples"] == 20 and scored["results"][0]["synaptic_operations"] > 0
    Image.new("RGB", (32, 32), (0, 255, 0)).save(tmp_path / "green.png")
    (answer,) = cli("predict", tmp_path / "run", tmp_path / "green.png", "--json").document
    assert len(answer["predictions"]) == 5
