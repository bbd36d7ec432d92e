"""Preparing recordings: damaged files left out and listed, notes of readers said once, N-CARS, N-Caltech101 as .npy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_bytes import dat_bytes, some_events, write
from event_layouts import nmnist, prepare_events

from spikecli.datasets.events.split import load_events
from spikecli.datasets.own.find import find_samples
from spikecli.errors import SpikeError


def test_damaged_recordings_are_left_out_and_listed(cli: Callable, tmp_path: Path) -> None:
    tree = nmnist(tmp_path / "raw")
    write(tree / "Train" / "3" / "00002.bin", b"1234567")
    write(tree / "Test" / "8" / "00051.bin", b"")
    given = ("data", "prepare", "nmnist", "--from", tree, "--data-dir", tmp_path / "data")
    stopped = cli(*given)
    assert stopped.code == 1 and "3/00002.bin is broken" in stopped.err and "--skip-bad" in stopped.err
    done = cli(*given, "--skip-bad", "--json")
    assert done.code == 1 and done.document["samples"] == {"train": 29, "test": 19}
    assert done.document["bad"] == 2 and [Path(line.split()[0]).name for line in done.document["skipped"]] == [
        "00002.bin",
        "00051.bin",
    ]
    assert "left out: " in done.err and "2 files cannot be used" in done.err
    train = load_events(tmp_path / "data", "nmnist", "train")
    assert "3/00002" not in train.names and "3/00003" in train.names
    assert cli("data", "verify", "nmnist", "--data-dir", tmp_path / "data").code == 0
    again = cli(*given, "--skip-bad", "--json")
    assert again.code == 1 and again.document["reused"] and again.document["bad"] == 2
    assert cli(*given).code == 1  # without the option nothing incomplete is reused


def test_without_damage_skipping_changes_no_content(tmp_path: Path) -> None:
    tree = nmnist(tmp_path / "raw")
    prepare_events(tmp_path / "a", "nmnist", tree)
    report = prepare_events(tmp_path / "b", "nmnist", tree, skip_bad=True)
    assert report["bad"] == 0 and report["skipped"] == []
    for split in ("train", "test"):
        one, two = (load_events(tmp_path / place, "nmnist", split) for place in "ab")
        assert one.fingerprint == two.fingerprint


def test_a_split_that_is_damaged_throughout_is_refused(tmp_path: Path) -> None:
    tree = nmnist(tmp_path / "raw")
    for path in (tree / "Test").rglob("*.bin"):
        path.write_bytes(b"123")
    with pytest.raises(SpikeError, match=r"no test recording can be used, first .*00050\.bin is broken"):
        prepare_events(tmp_path / "data", "nmnist", tree, skip_bad=True)


def ncaltech_arrays(folder: Path, unit: float) -> Path:
    """N-Caltech101 as tables x y t p in training, validation and testing, times in `unit` of µs."""
    for split, count in (("training", 4), ("validation", 2), ("testing", 2)):
        for name in ("airplanes", "yin_yang"):
            for index in range(count):
                events = np.array(some_events(200, 240, 180, index), np.float64)
                events[:, 2] *= unit
                path = folder / "N-Caltech101" / split / name / f"{name}_{index}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, events)
    return folder


def test_ncaltech101_as_arrays_in_seconds_is_noted_once(cli: Callable, tmp_path: Path) -> None:
    seconds = ncaltech_arrays(tmp_path / "raw", 1e-6)
    done = cli("data", "prepare", "ncaltech101", "--from", seconds, "--data-dir", tmp_path / "data", "--json")
    assert done.document["samples"] == {"train": 12, "test": 4}
    notes = [note for note in done.document["notes"] if "took times for seconds" in note]
    assert len(notes) == 1 and "(and 15 more like it)" in notes[0] and done.err.count("took times for seconds") == 1
    train = load_events(tmp_path / "data", "ncaltech101", "train")
    assert (train.width, train.height) == (240, 180) and "validation/airplanes/airplanes_0" in train.names
    whole = prepare_events(tmp_path / "us", "ncaltech101", ncaltech_arrays(tmp_path / "raw us", 1.0))
    assert not [note for note in whole["notes"] if "took" in note]
    assert np.array_equal(
        train.recording(3).events, load_events(tmp_path / "us", "ncaltech101", "train").recording(3).events
    )


def ncars(folder: Path) -> Path:
    for split, count in (("train", 3), ("test", 2)):
        for name in ("cars", "background"):
            for index in range(count):
                data = dat_bytes(some_events(80, 110, 90, index + 10 * len(name)))
                write(folder / "Prophesee_Dataset_n_cars" / f"n-cars_{split}" / name / f"obj_{index:06d}_td.dat", data)
    return folder


def test_ncars_is_prepared_by_its_folders(cli: Callable, tmp_path: Path) -> None:
    done = cli("data", "prepare", "ncars", "--from", ncars(tmp_path / "raw"), "--data-dir", tmp_path / "data", "--json")
    assert done.document["samples"] == {"train": 6, "test": 4} and done.document["sensor"] == [120, 100]
    test = load_events(tmp_path / "data", "ncars", "test")
    assert test.labels.tolist() == [0, 0, 1, 1] and test.classnames == ("background", "car")
    gone = cli("data", "prepare", "ncars", "--data-dir", tmp_path / "other")
    assert gone.code == 1 and "prophesee.ai" in gone.err and "--from" in gone.err
    own = cli("data", "prepare", "traffic", "--from", tmp_path / "raw", "--data-dir", tmp_path / "data", "--json")
    assert own.document["samples"] == {"train": 6, "test": 4} and set(own.document["classes"]) == {"background", "cars"}


def test_folders_of_a_name_and_a_split_are_splits_and_others_classes(tmp_path: Path) -> None:
    def found(*names: str) -> list[tuple[str, str | None]]:
        samples = find_samples([tmp_path / name for name in names], tmp_path, None, None)
        return sorted({(one.folder, one.split) for one in samples})

    assert found("xTrain/a/1.npy", "xTest/b/1.npy") == [("a", "train"), ("b", "test")]
    assert found("cup_train/1.npy", "cup_test/2.npy") == [("cup_test", None), ("cup_train", None)]
    assert found("cup_train/a/1.npy", "dog_test/a/2.npy") == [("cup_train", None), ("dog_test", None)]
    assert found("s_train/a/1.npy", "s_training/b/2.npy") == [("s_train", None), ("s_training", None)]
