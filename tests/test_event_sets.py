"""Event data sets prepared, loaded, cut to frames, verified, kept when a later preparation fails."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_bytes import aedat4_bytes, bin_bytes, some_events, write
from event_layouts import events_of, nmnist, prepare_events, refused, zipped

from spikecli.datasets.events import decoding as event_decoding
from spikecli.datasets.events import digits
from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.frames import EqualCount, EqualTime, to_frames
from spikecli.datasets.events.recording import read_events
from spikecli.datasets.events.split import load_events, split_frames
from spikecli.datasets.sets import describe as describe_events
from spikecli.datasets.sets import verify as verify_events
from spikecli.errors import SpikeError
from spikecli.files.atomic import sole_writer
from spikecli.progress import Progress


def test_facts_are_whole() -> None:
    for name, facts in EVENT_SETS.items():
        assert facts.name == name and facts.title and facts.split_rule and facts.sizes
        assert len(set(facts.classnames)) == len(facts.classnames)
        assert not facts.folders or len(facts.folders) == len(facts.classnames)
        assert facts.templates and all(template.count("{}") == 1 for template in facts.templates)
        assert all(remote.checksum.startswith("md5:") and len(remote.checksum) == 36 for remote in facts.remotes)
    assert len(EVENT_SETS["ncaltech101"].classnames) == 101
    assert EVENT_SETS["cifar10dvs"].threshold == 1


def test_nmnist(tmp_path: Path) -> None:
    source, steps, totals = nmnist(tmp_path / "from"), [], []
    report = prepare_events(
        tmp_path, "nmnist", source, progress=Progress(lambda what, total: totals.append(total), steps.append)
    )
    assert report["samples"] == {"train": 30, "test": 20} and not report["reused"] and not report["official"]
    assert totals == [50] and sum(steps) == 50
    train = load_events(tmp_path, "nmnist", "train")
    assert train.labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    assert train.labels.dtype == np.int64 and train.classnames[7] == "seven"
    assert train.names[3:6] == ("1/00001", "1/00002", "1/00003")
    assert (train.width, train.height, len(train)) == (34, 34, 30)
    assert events_of(train, 4) == some_events(42, 34, 34, 102)
    described = describe_events(tmp_path, "nmnist")
    assert described["prepared"] and described["events"]["test"] == load_events(tmp_path, "nmnist", "test").offsets[-1]
    json.dumps(described)


def test_frames_of_a_split_are_the_frames_of_its_recordings(tmp_path: Path) -> None:
    source = nmnist(tmp_path / "from")
    prepare_events(tmp_path, "nmnist", source)
    test = load_events(tmp_path, "nmnist", "test")
    for slicing in (EqualCount(4), EqualTime(7)):
        frames = split_frames(test, slicing)
        assert frames.shape == (20, slicing.timesteps, 2, 34, 34)
        for index in range(20):
            path = source / "Test" / str(test.labels[index]) / f"{test.names[index].split('/')[1]}.bin"
            assert np.array_equal(frames[index], to_frames(read_events(path, (34, 34)), slicing))
        order = [5, 4, 6, 7, 7, 0, 19]
        assert np.array_equal(split_frames(test, slicing, order), frames[order])
    assert split_frames(test, EqualCount(2), []).shape == (0, 2, 2, 34, 34)
    with pytest.raises(SpikeError, match="wanted 0 to 19"):
        split_frames(test, EqualCount(2), [20])
    with pytest.raises(SpikeError, match="no recording 20"):
        test.recording(20)
    with pytest.raises(SpikeError, match=r"0/00050 has 90 events.*91 slices"):
        split_frames(test, EqualCount(91))


def test_several_processes_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = nmnist(tmp_path / "from")
    one = prepare_events(tmp_path / "one", "nmnist", source, workers=1)
    monkeypatch.setattr(event_decoding, "_TASK_BYTES", 1_000)
    two = prepare_events(tmp_path / "two", "nmnist", source, workers=2)
    assert one["samples"] == two["samples"]
    assert verify_events(tmp_path / "one", "nmnist") == verify_events(tmp_path / "two", "nmnist")
    write(source / "Test" / "9" / "00051.bin", b"1234")
    refused(tmp_path / "two", "nmnist", source, "00051.bin", "4 bytes", workers=2)
    assert verify_events(tmp_path / "two", "nmnist")


def test_what_stands_is_reused_until_something_changes(tmp_path: Path) -> None:
    source = nmnist(tmp_path / "from")
    prepare_events(tmp_path, "nmnist", source)
    before = load_events(tmp_path, "nmnist", "test")
    assert prepare_events(tmp_path, "nmnist", source)["reused"]
    assert prepare_events(tmp_path, "nmnist", None, offline=True)["reused"]
    assert not prepare_events(tmp_path, "nmnist", source, force=True)["reused"]
    assert load_events(tmp_path, "nmnist", "test").fingerprint == before.fingerprint
    write(source / "Test" / "9" / "00099.bin", bin_bytes(some_events(30, 34, 34)))
    assert not prepare_events(tmp_path, "nmnist", source)["reused"]
    after = load_events(tmp_path, "nmnist", "test")
    assert len(after) == 21 and after.fingerprint != before.fingerprint
    assert len(list((tmp_path / "nmnist").glob("*.h5"))) == 2


def test_a_broken_recording_leaves_what_stood(tmp_path: Path) -> None:
    source = nmnist(tmp_path / "from")
    prepare_events(tmp_path, "nmnist", source)
    before = verify_events(tmp_path, "nmnist")
    for data, words in (
        (b"", "no events"),
        (b"12345678", "five bytes"),
        (bin_bytes([(34, 1, 1, 1)]), "outside its sensor"),
        (bin_bytes([(1, 1, 5000, 1), (1, 1, 1, 1)]), "backwards"),
    ):
        broken = write(source / "Test" / "3" / "00050.bin", data)
        refused(tmp_path, "nmnist", source, str(broken), words)
        assert verify_events(tmp_path, "nmnist") == before
    archive = zipped(source, tmp_path / "n.zip")
    refused(tmp_path, "nmnist", archive, f"{archive}: N-MNIST/Test/3/00050.bin", "backwards")


def test_late_recordings_keep_their_clock(tmp_path: Path) -> None:
    late = [(x, y, t + 1_605_537_493_718_345, p) for x, y, t, p in some_events(30, 128, 128)]
    for index in range(2):
        write(tmp_path / "from" / "cat" / f"cifar10_cat_{index}.aedat4", aedat4_bytes(late))
    prepare_events(tmp_path, "cifar10dvs", tmp_path / "from")
    assert events_of(load_events(tmp_path, "cifar10dvs", "test"), 0) == late


def test_verify_finds_one_changed_value(tmp_path: Path) -> None:
    prepare_events(tmp_path, "nmnist", nmnist(tmp_path / "from"))
    path = load_events(tmp_path, "nmnist", "train").path
    with h5py.File(path, "r+") as file:
        file["x"][7] = (int(file["x"][7]) + 1) % 34
    with pytest.raises(SpikeError, match="as prepared"):
        verify_events(tmp_path, "nmnist")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SpikeError, match="damaged"):
        load_events(tmp_path, "nmnist", "train")
    path.unlink()
    with pytest.raises(SpikeError, match="has gone"):
        load_events(tmp_path, "nmnist", "train")
    write(path.with_name("prepared.json"), b"{")
    with pytest.raises(SpikeError, match="remove it"):
        describe_events(tmp_path, "nmnist")


def test_not_prepared_and_no_such_split(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match="spikecli data prepare nmnist"):
        load_events(tmp_path, "nmnist", "test")
    assert not describe_events(tmp_path, "nmnist")["prepared"]
    prepare_events(tmp_path, "nmnist", nmnist(tmp_path / "from"))
    with pytest.raises(SpikeError, match="wanted one of test, train"):
        load_events(tmp_path, "nmnist", "val")


def test_one_writer_at_a_time_and_no_leavings(tmp_path: Path) -> None:
    source = nmnist(tmp_path / "from")
    with sole_writer(tmp_path / "nmnist", "preparing nmnist"):
        refused(tmp_path, "nmnist", source, "already under way")
    (tmp_path / "nmnist" / ".unfinished-killed").mkdir()
    write(tmp_path / "nmnist" / ".unfinished-train-0.abc.h5", b"half")
    prepare_events(tmp_path, "nmnist", source)
    assert not list((tmp_path / "nmnist").glob(".[!l]*"))


def test_digits_take_nmnists_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "RECORDED", slice(898, 960))
    report = prepare_events(tmp_path, "digits")
    assert sum(report["samples"].values()) == 62 and report["settings"]["recipe"]["seed"] == 0
    test = load_events(tmp_path, "digits", "test")
    index = int(test.names[0].split("/")[1])
    assert index >= 898 and test.labels[0] == digits.digit_pictures(slice(index, index + 1))[1][0]
    assert prepare_events(tmp_path, "digits")["reused"]
    assert not prepare_events(tmp_path, "digits", seed=1)["reused"]
    assert load_events(tmp_path, "digits", "test").fingerprint != test.fingerprint
    prepare_events(tmp_path, "digits", seed=0)
    assert load_events(tmp_path, "digits", "test").fingerprint == test.fingerprint


def test_500_real_recordings(tmp_path: Path, shared_data: Path) -> None:
    tonic_io = pytest.importorskip("tonic.io")
    report = prepare_events(tmp_path, "nmnist", shared_data / "N-MNIST-500.tar.xz")
    assert report["samples"] == {"train": 350, "test": 150}
    train = load_events(tmp_path, "nmnist", "train")
    assert np.bincount(train.labels).tolist() == [35] * 10
    kind = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    with tarfile.open(shared_data / "N-MNIST-500.tar.xz") as archive:
        for place in (0, 349):
            content = archive.extractfile(f"N-MNIST/Train/{train.names[place]}.bin")
            theirs = tonic_io.read_mnist_file(content, dtype=kind, is_stream=True)
            ours = train.recording(place).events
            assert len(ours) == len(theirs) and all(np.array_equal(ours[axis], theirs[axis]) for axis in "xytp")
    assert split_frames(train, EqualCount(10)).sum() == report["events"]["train"]
