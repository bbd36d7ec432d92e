"""Prepared clouds: keyed by their settings, whole or not at all, checked to the bit."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.clouds.facts import MODELNET10
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.sets import describe as describe_points
from spikecli.datasets.sets import prepare as prepare_points
from spikecli.datasets.sets import verify as verify_points
from spikecli.errors import SpikeError
from spikecli.files.atomic import sole_writer
from spikecli.files.sink import Sink

COUNTS = {"train": 3, "test": 2}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A little ModelNet10: 30 + 20 clouds of 96 points."""
    generator = np.random.default_rng(0)
    for classname in MODELNET10.classnames:
        number = 0
        for split, count in COUNTS.items():
            place = tmp_path / "source" / classname / split
            place.mkdir(parents=True)
            for _ in range(count):
                number += 1
                np.save(place / f"{classname}_{number:04d}.npy", generator.normal(size=(96, 3)) * 50 + 7)
    return tmp_path / "source"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def order(tree: Path, points: int = 64) -> PrepareOptions:
    return PrepareOptions(source=tree, points=points)


def test_what_is_prepared_is_what_is_loaded(tree: Path, data_dir: Path) -> None:
    report = prepare_points(data_dir, "modelnet10", order(tree))
    assert report["samples"] == {"train": 30, "test": 20} and not report["reused"] and not report["official"]
    for split, count in (("train", 30), ("test", 20)):
        clouds = load_points(data_dir, "modelnet10", split)
        assert clouds.points.shape == (count, 64, 3) and clouds.points.dtype == np.float32
        assert clouds.labels.dtype == np.int64 and len(clouds.names) == count
        assert np.bincount(clouds.labels).tolist() == [COUNTS[split]] * 10
        assert clouds.classnames == MODELNET10.classnames
        assert (clouds.dataset, clouds.split) == ("modelnet10", split)
        assert clouds.fingerprint == report["splits"][split]["fingerprint"] and len(clouds.fingerprint) == 64
        np.testing.assert_allclose(clouds.points.mean(axis=1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(clouds.points, axis=2).max(axis=1), 1, atol=1e-6)
        for name, label in zip(clouds.names, clouds.labels, strict=True):
            assert name.rsplit("_", 1)[0] == clouds.classnames[label]


def test_fewer_points_are_the_first_ones_normalized_again(tree: Path, data_dir: Path) -> None:
    prepare_points(data_dir, "modelnet10", order(tree))
    whole, part = (load_points(data_dir, "modelnet10", "test", points) for points in (None, 16))
    first = whole.points[:, :16] - whole.points[:, :16].mean(axis=1, keepdims=True)
    first /= np.linalg.norm(first, axis=2).max(axis=1)[:, None, None]
    np.testing.assert_allclose(part.points, first, atol=1e-6)
    assert part.fingerprint == whole.fingerprint


def test_the_same_settings_are_reused_and_others_are_not(tree: Path, data_dir: Path) -> None:
    base = order(tree)
    first = prepare_points(data_dir, "modelnet10", base)
    again = prepare_points(data_dir, "modelnet10", base)
    assert again["reused"] and again["key"] == first["key"]
    for change in ({"points": 32}, {"sampling": "fps"}, {"seed": 1}):
        other = prepare_points(data_dir, "modelnet10", replace(base, **change))
        assert not other["reused"] and other["key"] != first["key"]
        loaded = load_points(data_dir, "modelnet10", "train")
        assert loaded.fingerprint == other["splits"]["train"]["fingerprint"] != first["splits"]["train"]["fingerprint"]
    back = prepare_points(data_dir, "modelnet10", base)
    assert back["reused"]
    assert load_points(data_dir, "modelnet10", "train").fingerprint == first["splits"]["train"]["fingerprint"]
    forced = prepare_points(data_dir, "modelnet10", replace(base, force=True))
    assert not forced["reused"] and forced["splits"]["train"]["fingerprint"] == first["splits"]["train"]["fingerprint"]


def test_a_changed_source_is_prepared_anew(tree: Path, data_dir: Path) -> None:
    first = prepare_points(data_dir, "modelnet10", order(tree))
    np.save(tree / "bed" / "train" / "bed_0001.npy", np.random.default_rng(5).normal(size=(96, 3)))
    second = prepare_points(data_dir, "modelnet10", order(tree))
    assert not second["reused"] and second["key"] != first["key"]


def test_without_a_source_what_stands_is_enough_and_nothing_is_fetched(tree: Path, data_dir: Path) -> None:
    first = prepare_points(data_dir, "modelnet10", order(tree))
    again = prepare_points(data_dir, "modelnet10", PrepareOptions(points=64, offline=True))
    assert again["reused"] and again["key"] == first["key"]
    with pytest.raises(SpikeError, match=r"ModelNet10\.zip is not there and offline is set"):
        prepare_points(data_dir, "modelnet10", PrepareOptions(points=32, offline=True))


def test_missing_and_short_say_which_command_helps(tree: Path, data_dir: Path) -> None:
    with pytest.raises(SpikeError, match="run `spikecli data prepare modelnet10`"):
        load_points(data_dir, "modelnet10", "train")
    prepare_points(data_dir, "modelnet10", order(tree))
    with pytest.raises(SpikeError, match=r"64 points a cloud, wanted 65; run `.* modelnet10 --points 65`"):
        load_points(data_dir, "modelnet10", "train", 65)
    with pytest.raises(SpikeError, match="no split 'val'; wanted one of test, train"):
        load_points(data_dir, "modelnet10", "val")
    prepare_points(data_dir, "modelnet10", order(tree, 97))  # its clouds have 96: one is taken twice
    assert load_points(data_dir, "modelnet10", "train").points.shape == (30, 97, 3)


def test_a_bad_file_is_named_or_left_out(tree: Path, data_dir: Path) -> None:
    (tree / "sofa" / "train" / "sofa_0002.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(SpikeError, match=r"1 of 50 files cannot be used, first sofa/train/sofa_0002\.npy"):
        prepare_points(data_dir, "modelnet10", order(tree))
    assert list((data_dir / "modelnet10").glob("*.h5")) == []
    report = prepare_points(data_dir, "modelnet10", replace(order(tree), skip_bad=True))
    assert report["samples"] == {"train": 29, "test": 20}
    assert len(report["skipped"]) == 1 and "sofa_0002" in report["skipped"][0]
    assert "sofa_0002" not in load_points(data_dir, "modelnet10", "train").names
    assert "sofa_0002" in describe_points(data_dir, "modelnet10")["skipped"][0]


def test_one_flipped_bit_is_found_wherever_it_is(tree: Path, data_dir: Path) -> None:
    report = prepare_points(data_dir, "modelnet10", order(tree))
    assert len(verify_points(data_dir, "modelnet10")["files"]) == 2
    path = data_dir / "modelnet10" / report["splits"]["test"]["file"]
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(place % 8)
        path.write_bytes(bytes(damaged))
        with pytest.raises(SpikeError, match=r"is damaged.*--force"):
            verify_points(data_dir, "modelnet10")
    path.unlink()
    with pytest.raises(SpikeError, match="has gone"):
        verify_points(data_dir, "modelnet10")


def test_a_damaged_file_or_record_is_one_line(tree: Path, data_dir: Path) -> None:
    report = prepare_points(data_dir, "modelnet10", order(tree))
    place = data_dir / "modelnet10"
    path = place / report["splits"]["test"]["file"]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SpikeError, match=r"damaged.*--force") as problem:
        load_points(data_dir, "modelnet10", "test")
    assert "\n" not in str(problem.value)
    assert not prepare_points(data_dir, "modelnet10", order(tree))["reused"]  # its size tells
    for text in ("{", "[]", '{"kind": "points", "current": "a", "sets": {}}', '{"kind": "events"}'):
        (place / "prepared.json").write_text(text)
        with pytest.raises(SpikeError, match=r"prepared\.json.*remove it"):
            load_points(data_dir, "modelnet10", "test")


def test_a_prepared_file_says_how_it_was_made(tree: Path, data_dir: Path) -> None:
    import h5py

    report = prepare_points(data_dir, "modelnet10", order(tree))
    with h5py.File(data_dir / "modelnet10" / report["splits"]["train"]["file"]) as file:
        assert json.loads(str(file.attrs["settings"])) == report["settings"]
        assert file.attrs["fingerprint"] == report["splits"]["train"]["fingerprint"]
    assert report["settings"]["points"] == 64 and report["settings"]["source"].startswith("source listing:")


@pytest.mark.parametrize("room", [0, 100, 2_000, 8_000])  # bytes: nothing at all, a part of what describes the data, …
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tree: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    class Full(io.FileIO):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            if self.tell() >= room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[: room - self.tell()])

    begin, disks = Sink.__init__, []

    def begin_on_full(self: Sink, raw: io.FileIO) -> None:
        disks.append(Full(raw.name, "w+b"))
        begin(self, disks[-1])

    monkeypatch.setattr(Sink, "__init__", begin_on_full)
    with pytest.raises(SpikeError, match=r"cannot write .*train-.*h5: the disk is full"):
        prepare_points(data_dir, "modelnet10", order(tree))
    assert [path.name for path in (data_dir / "modelnet10").iterdir()] == [".lock"]
    for disk in disks:
        disk.close()


def test_hdf5_reads_again_what_the_disk_did_not_take(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            if self.tell() >= 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[:2])

    with Full(tmp_path / "a.h5", "w+b") as disk:
        sink = Sink(disk)
        assert sink.write(memoryview(b"abcdef")) == 6 and sink.failure is not None
        sink.seek(4)
        assert sink.write(memoryview(b"EFG")) == 3
        sink.seek(1)
        buffer = bytearray(b"\xff" * 8)
        assert sink.readinto(memoryview(buffer)) == 8 and buffer == b"bcdEFG\0\0"
    assert (tmp_path / "a.h5").read_bytes() == b"ab"


def hold(folder: Path, held: multiprocessing.synchronize.Event) -> None:
    with sole_writer(folder, "preparing modelnet10"):
        held.set()
        time.sleep(30)


def test_two_preparers_at_once_are_told_apart(tree: Path, data_dir: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=hold, args=(data_dir / "modelnet10", held))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(SpikeError, match=f"already under way in process {other.pid}"):
            prepare_points(data_dir, "modelnet10", order(tree))
    finally:
        other.kill()
        other.join()
    assert not prepare_points(data_dir, "modelnet10", order(tree))["reused"]


def test_what_a_killed_preparation_left_is_swept(tree: Path, data_dir: Path) -> None:
    place = data_dir / "modelnet10"
    (place / ".unfinished-abc" / "ModelNet10").mkdir(parents=True)
    (place / ".unfinished-train-0123.xyz.h5").write_bytes(b"half")
    prepare_points(data_dir, "modelnet10", order(tree))
    assert sorted(path.name for path in place.iterdir() if path.name.startswith(".")) == [".lock"]


def test_shapes_are_built_in(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.datasets.clouds import prepare
    from spikecli.datasets.clouds.shapes import ShapeRecipe

    monkeypatch.setattr(prepare, "ShapeRecipe", lambda seed: ShapeRecipe(seed, train=3, test=2))
    report = prepare_points(data_dir, "shapes", PrepareOptions(points=64, seed=5))
    assert report["samples"] == {"train": 30, "test": 20}
    assert prepare_points(data_dir, "shapes", PrepareOptions(points=64, seed=5))["reused"]
    other = prepare_points(data_dir, "shapes", PrepareOptions(points=64, seed=6))
    assert not other["reused"] and other["splits"]["test"]["fingerprint"] != report["splits"]["test"]["fingerprint"]
    with pytest.raises(SpikeError, match="shapes is built in"):
        prepare_points(data_dir, "shapes", PrepareOptions(source=data_dir))


def test_modelnet10_as_it_is(shared_data: Path, data_dir: Path) -> None:
    report = prepare_points(data_dir, "modelnet10", order(shared_data / "ModelNet10-pcd.tar.xz", 1024))
    assert report["samples"] == {"train": 3991, "test": 908} and report["official"]
    clouds = load_points(data_dir, "modelnet10", "test")
    assert np.bincount(clouds.labels).tolist() == [50, 100, 100, 86, 86, 100, 86, 100, 100, 100]
    assert clouds.names[0] == "bathtub_0107"
