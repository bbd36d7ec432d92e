"""The layouts of ModelNet, each listed alike, and what is wrong with one that is not whole."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikecli.datasets.clouds.facts import MODELNET10, MODELNET40, POINT_SETS, CloudFacts
from spikecli.datasets.clouds.items import Draw, Item, draw_all, draw_item
from spikecli.datasets.clouds.layouts import list_items
from spikecli.datasets.sets import built_in
from spikecli.errors import SpikeError

FACTS = CloudFacts("pets", "pets", ("cat", "dog", "night_owl"), (("train", 6), ("test", 3)))
COUNTS = {"train": 2, "test": 1}


def cloud(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32)


def by_class(root: Path, suffix: str = ".npy", by_split: bool = False) -> Path:
    number = 0
    for classname in FACTS.classnames:
        for split, count in COUNTS.items():
            place = root / split / classname if by_split else root / classname / split
            place.mkdir(parents=True)
            for _ in range(count):
                number += 1
                path = place / f"{classname}_{number:04d}{suffix}"
                if suffix == ".npy":
                    np.save(path, cloud(number))
                else:
                    np.savetxt(path, cloud(number))
    return root


def lists(root: Path) -> Path:
    """Write the layout of `modelnet40_normal_resampled`."""
    stems: dict[str, list[str]] = {"train": [], "test": []}
    for classname in FACTS.classnames:
        (root / classname).mkdir(parents=True)
        for number, split in enumerate(("train", "train", "test"), 1):
            stem = f"{classname}_{number:04d}"
            np.savetxt(root / classname / f"{stem}.txt", np.hstack([cloud(number), cloud(9)]), delimiter=",")
            stems[split].append(stem)
    for split, names in stems.items():
        (root / f"pets_{split}.txt").write_text("\n".join(names) + "\n")
    (root / "pets_shape_names.txt").write_text("\n".join(FACTS.classnames))
    return root


def hdf5(root: Path, names: bool = True) -> Path:
    """Write the layout of `modelnet40_ply_hdf5_2048`, with the classes named in another order than ours."""
    root.mkdir(parents=True)
    order = ["night_owl", "dog", "cat"]
    (root / "shape_names.txt").write_text("\n".join(order) + "\n")
    for split, count in COUNTS.items():
        labels = [label for label in range(3) for _ in range(count)]
        with h5py.File(root / f"ply_data_{split}0.h5", "w") as file:
            file["data"] = np.stack([cloud(row) for row in range(len(labels))])
            file["label"] = np.array(labels, dtype=np.uint8)[:, None]
        if names:
            stems = [f"{order[label]}/{order[label]}_{row:04d}.ply" for row, label in enumerate(labels)]
            (root / f"ply_data_{split}_0_id2file.json").write_text(json.dumps(stems))
    return root


def summary(items: tuple[Item, ...]) -> list[tuple[str, str]]:
    return [(item.split, FACTS.classnames[item.label]) for item in items]


EXPECTED = [("train", name) for name in FACTS.classnames for _ in range(2)] + [("test", n) for n in FACTS.classnames]


@pytest.mark.parametrize(
    ("build", "layout"),
    [
        (by_class, "class/split"),
        (lambda root: by_class(root, ".txt"), "class/split"),
        (lambda root: by_class(root, by_split=True), "split/class"),
        (lists, "lists"),
        (hdf5, "hdf5"),
        (lambda root: hdf5(root, names=False), "hdf5"),
    ],
    ids=["class", "split-txt", "split/class", "lists", "hdf5", "hdf5-unnamed"],
)
@pytest.mark.parametrize("down", ["", "one_folder_down"])
def test_every_layout_is_listed_alike(tmp_path: Path, build, layout: str, down: str) -> None:  # type: ignore[no-untyped-def]
    build(tmp_path / "root" / down)
    listing = list_items(tmp_path / "root", FACTS)
    assert listing.layout == layout
    assert summary(listing.items) == EXPECTED
    points = draw_item(listing.items[0], Draw(32, "uniform", 0))
    assert points.shape == (32, 3)


def test_labels_of_hdf5_follow_its_own_names(tmp_path: Path) -> None:
    items = list_items(hdf5(tmp_path / "a"), FACTS).items
    assert [(item.name, item.row) for item in items if item.split == "test"] == [
        ("cat_0002", 2), ("dog_0001", 1), ("night_owl_0000", 0),
    ]  # fmt: skip
    drawn = draw_item(items[0], Draw(40, "uniform", 0))
    raw = cloud(4) - cloud(4).mean(axis=0)
    unit = raw / np.linalg.norm(raw, axis=1).max()
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(unit, axis=0), atol=1e-5)


def test_hidden_and_foreign_files_are_left_out(tmp_path: Path) -> None:
    root = by_class(tmp_path / "a")
    for name in ("._cat_0001.npy", ".DS_Store", "readme.md"):
        (root / "cat" / "train" / name).write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    assert summary(list_items(root, FACTS).items) == EXPECTED


def refused(root: Path, said: str, facts: CloudFacts = FACTS) -> None:
    with pytest.raises(SpikeError, match=said) as problem:
        list_items(root, facts)
    assert "\n" not in str(problem.value)


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    root = by_class(tmp_path / "a")
    for path in (root / "dog" / "test").iterdir():
        path.unlink()
    refused(root, "no test files of dog; wanted all 3 classes")


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    root = by_class(tmp_path / "a")
    (root / "wolf" / "train").mkdir(parents=True)
    refused(root, "folder wolf, which is no class of pets")


def test_a_file_in_the_wrong_folder_is_named(tmp_path: Path) -> None:
    root = by_class(tmp_path / "a")
    np.save(root / "cat" / "train" / "dog_0099.npy", cloud(1))
    refused(root, "named after dog but is in the folder of cat")


def test_no_layout_says_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    refused(tmp_path, "known layout.*cat, dog, night_owl")


def test_lists_that_disagree_with_the_files(tmp_path: Path) -> None:
    root = lists(tmp_path / "a")
    train = root / "pets_train.txt"
    good = train.read_text()
    train.write_text(good + "cat_0099\n")
    refused(root, "names cat_0099, but .* has no such file")
    train.write_text(good + f"cat_{'9' * 300}\n")
    refused(root, r"cannot read .*pets_train\.txt: File name too long")
    train.write_text(good + "wolf_0001\n")
    refused(root, "'wolf_0001', which is of no class")
    train.write_text(good + "cat_0003\n")
    refused(root, "cat_0003 is named twice")
    train.write_text(good)
    (root / "pets_shape_names.txt").write_text("cat\ndog\n")
    refused(root, "does not name the 3 classes")
    (root / "pets_shape_names.txt").unlink()
    (root / "pets_test.txt").unlink()
    refused(root, "wanted the list of the test part")


def test_hdf5_whose_labels_disagree(tmp_path: Path) -> None:
    root = hdf5(tmp_path / "a")
    names = root / "ply_data_train_0_id2file.json"
    stems = json.loads(names.read_text())
    names.write_text(json.dumps([*stems[:-1], "dog/dog_0005.ply"]))
    refused(root, "labels row 5 cat, its list of files dog")
    names.write_text(json.dumps(stems[:-1]))
    refused(root, "does not name the 6 rows")
    names.write_text(json.dumps(stems))
    with h5py.File(root / "ply_data_train0.h5", "r+") as file:
        file["label"][0] = 7
    refused(root, "has the label 7; wanted 0 to 2")
    (root / "ply_data_train0.h5").write_bytes(b"not hdf5")
    refused(root, "damaged")
    refused(hdf5(tmp_path / "b"), "not those of modelnet10", MODELNET10)


def test_bad_files_are_listed_and_the_others_kept_in_order(tmp_path: Path) -> None:
    root = by_class(tmp_path / "a")
    bad = sorted((root / "dog" / "train").iterdir())[0]
    bad.write_bytes(b"")
    items = list_items(root, FACTS).items
    steps: list[int] = []
    drawn = draw_all(items, Draw(32, "uniform", 0), steps.append)
    assert len(drawn.items) == 8 and drawn.points.shape == (8, 32, 3) and sum(steps) == 9
    assert len(drawn.skipped) == 1 and str(bad) in drawn.skipped[0]
    np.testing.assert_array_equal(drawn.points[2], draw_item(drawn.items[2], Draw(32, "uniform", 0)))


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    items = list_items(by_class(tmp_path / "a"), FACTS).items * 8
    for sampling in ("uniform", "fps"):
        draw = Draw(32, sampling, 3)
        one, two = (draw_all(items, draw, lambda steps: None, workers) for workers in (1, 2))
        np.testing.assert_array_equal(one.points, two.points)
        assert one.items == two.items == items


def test_facts_agree_with_one_another() -> None:
    assert set(POINT_SETS) == {name for name, facts in built_in().items() if facts.kind == "points"}
    assert len(MODELNET10.classnames) == 10 and len(MODELNET40.classnames) == 40
    assert set(MODELNET10.classnames) < set(MODELNET40.classnames)
    for facts in POINT_SETS.values():
        assert list(facts.classnames) == sorted(facts.classnames)
        assert all(url.startswith("https://") for remote in facts.remotes for url in remote.urls)
