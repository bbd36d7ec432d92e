"""Folders whose validation part is a list, as ImageNet, Tiny-ImageNet and ES-ImageNet come, made small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from PIL import Image

from spikecli.datasets.events.formats import DECODERS
from spikecli.datasets.events.recording import read_own
from spikecli.datasets.images.prepare import load_images
from spikecli.datasets.sets import kind_of_file

Cli = Callable[..., Outcome]
WNIDS = ("n01443537", "n01629819", "n02058221")


def picture(path: Path, color: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (color, 0, 255 - color)).save(path)


def trained(root: Path, inner: str = "") -> None:
    for number, wnid in enumerate(WNIDS):
        for place in range(4):
            picture(root / "train" / wnid / inner / f"{wnid}_{place}.JPEG", 20 * number + place)


def held_out(root: Path, names: Sequence[str], inner: str = "") -> None:
    for number, name in enumerate(names):
        picture(root / "val" / inner / name, 120 + 30 * number)


def prepared(cli: Cli, root: Path, data: Path, name: str = "tiny") -> Outcome:
    return cli("data", "prepare", name, "--from", root, "--data-dir", data, "--json")


def of_test(data: Path, name: str = "tiny") -> list[str]:
    """Return the class of each test picture in order of their red, which says its place in the list."""
    found = load_images(data, name, "test")
    order = np.argsort(found.images[:, 0].mean((1, 2)))
    return [found.classnames[label] for label in found.labels[order]]


def test_tiny_imagenet_has_its_classes_in_a_list_and_a_test_part_without_any(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "tiny-imagenet-200"
    trained(root, "images")
    held_out(root, [f"val_{number}.JPEG" for number in range(4)], "images")
    said = [WNIDS[2], WNIDS[0], WNIDS[1], WNIDS[0]]
    rows = [f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62" for number, wnid in enumerate(said)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    for number in range(5):
        picture(root / "test" / "images" / f"test_{number}.JPEG", 90)
    for wnid in WNIDS:
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
    done = prepared(cli, root, tmp_path / "data")
    assert done.code == 0 and done.document["samples"] == {"train": 12, "test": 4}
    assert "5 files of a test part without classes" in done.document["skipped"]
    assert any("named for validation is the one to test on" in note for note in done.document["notes"])
    assert of_test(tmp_path / "data") == said


LISTS = {
    "val.txt": "ILSVRC2012_val_00000001.JPEG 2\nILSVRC2012_val_00000002.JPEG 0\n",
    "LOC_val_solution.csv": (
        f"ImageId,PredictionString\nILSVRC2012_val_00000001,{WNIDS[2]} 111 108 230 366 {WNIDS[2]} 1 2 3 4\n"
        f"ILSVRC2012_val_00000002,{WNIDS[0]} 5 6 7 8\n"
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_validation_part_of_imagenet_goes_by_a_list(cli: Cli, tmp_path: Path, name: str) -> None:
    trained(tmp_path / "ILSVRC")
    held_out(tmp_path / "ILSVRC", ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG"])
    (tmp_path / "ILSVRC" / name).write_text(LISTS[name])
    done = prepared(cli, tmp_path / "ILSVRC", tmp_path / "data")
    assert done.code == 0 and done.document["samples"] == {"train": 12, "test": 2}
    assert of_test(tmp_path / "data") == [WNIDS[2], WNIDS[0]]


def test_or_by_folders(cli: Cli, tmp_path: Path) -> None:
    trained(tmp_path / "ILSVRC")
    for number, wnid in enumerate(WNIDS):
        picture(tmp_path / "ILSVRC" / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", 120 + 30 * number)
    done = prepared(cli, tmp_path / "ILSVRC", tmp_path / "data")
    assert done.document["samples"] == {"train": 12, "test": 3} and of_test(tmp_path / "data") == list(WNIDS)


def test_beside_a_test_part_validation_is_trained_on(cli: Cli, tmp_path: Path) -> None:
    trained(tmp_path / "mine")
    for part in ("val", "test"):
        for number, wnid in enumerate(WNIDS):
            picture(tmp_path / "mine" / part / wnid / f"{part}_{number}.JPEG", 120 + 30 * number)
    done = prepared(cli, tmp_path / "mine", tmp_path / "data")
    assert done.document["samples"] == {"train": 15, "test": 3}


@pytest.mark.parametrize(
    ("line", "said"),
    [("one.JPEG 3", "names class 3, and the training part beside it has 3 classes"), ("one.JPEG", "its class")],
)
def test_a_list_that_means_nothing_is_one_line(cli: Cli, tmp_path: Path, line: str, said: str) -> None:
    trained(tmp_path / "ILSVRC")
    held_out(tmp_path / "ILSVRC", ["one.JPEG"])
    (tmp_path / "ILSVRC" / "val.txt").write_text(f"{line}\n")
    done = prepared(cli, tmp_path / "ILSVRC", tmp_path / "data")
    assert done.code == 1 and said in done.err and done.err.count("\n") == 1


# Events.


def of_steps(path: Path, seed: int) -> None:
    """Write a recording as ES-ImageNet has them: rows y, x and step of events, by sign."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    signs = [
        np.stack([rng.integers(17, 240, 30), rng.integers(17, 240, 30), rng.integers(1, 9, 30)], 1) for _ in range(2)
    ]
    np.savez_compressed(path, pos=signs[0].astype(np.uint8), neg=signs[1].astype(np.uint8))


def test_events_by_sign_are_read_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "class0_1.npz"
    np.savez(path, pos=np.array([[20, 30, 2], [21, 31, 1]], np.uint8), neg=np.array([[40, 50, 8]], np.uint8))
    assert path.suffix in DECODERS and kind_of_file(path) == "events"
    found = read_own(path)
    assert (found.width, found.height) == (256, 256)
    assert [tuple(int(value) for value in row) for row in found.events[["x", "y", "t", "p"]]] == [
        (31, 21, 0, 1), (30, 20, 1000, 1), (50, 40, 7000, 0)
    ]  # fmt: skip


def test_es_imagenet_is_prepared_and_trained_on(cli: Cli, tmp_path: Path) -> None:
    root, data = tmp_path / "ES-imagenet-0.18", tmp_path / "data"
    for number in (0, 7):
        for place in range(1, 5):
            of_steps(root / "train" / f"class{number}" / f"class{number}_{place}.npz", 10 * number + place)
    names = [f"ILSVRC2012_val_{number:08d}" for number in range(3)]
    for number, name in enumerate(names):
        of_steps(root / "val" / f"{name}.npz", 100 + number)
    rows = [f"{name}.npz {label} 194 254" for name, label in zip(names, (7, 0, 7), strict=True)]
    (root / "vallabel.txt").write_text("\n".join(rows) + "\n")
    done = prepared(cli, root, data, "es-imagenet")
    assert done.code == 0 and done.document["classes"] == {
        "class0": {"train": 4, "test": 1},
        "class7": {"train": 4, "test": 2},
    }
    line = ["train", "es-imagenet", "--model", "resnet20", "--width", 0.0625, "--size", 32, "--epochs", 1, "-q"]
    sizes = [
        "--batch-size",
        4,
        "--lr",
        1e-4,
        "--timesteps",
        2,
        "--slicing",
        "time",
        "--augment",
        "none",
        "--data-dir",
        data,
    ]
    trained_on = cli(*line, *sizes, "--out", tmp_path / "run")
    assert trained_on.code == 0, trained_on.err
    assert cli("eval", tmp_path / "run", "-T", 2, "--data-dir", data, "--json").document["samples"] == 3
