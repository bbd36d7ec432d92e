"""Event files of public bug reports, each read with its right values; `truth.npz` is the recording behind most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.events.recording import Recording, decode, read_events
from spikecli.datasets.reading_options import ReadOptions
from spikecli.errors import SpikeError


def is_truth(recording: Recording, faults: Path, axes: str = "xytp") -> bool:
    with np.load(faults / "truth.npz") as truth:
        return len(recording) == 5000 and all(np.array_equal(recording.events[axis], truth[axis]) for axis in axes)


@pytest.mark.parametrize(
    ("name", "size", "notes"),
    [
        ("truth.npz", (240, 180), ["240 x 180"]),
        ("sec.npz", (240, 180), ["seconds", "240 x 180"]),
        ("sec_table_txyp.npy", (240, 180), ["t x y p", "seconds", "240 x 180"]),
        ("us_xypt.npy", (240, 180), ["x y p t", "240 x 180"]),
        ("v1.dat", (240, 180), ["240 x 180"]),
        ("a4_two.aedat4", (346, 260), ["stream 0 (camA, 346 x 260); the file has also 2 (camB, 640 x 480)"]),
        ("event_utils.h5", (240, 180), ["seconds"]),
        ("v2e_u32.h5", (240, 180), ["t x y p", "240 x 180"]),
        ("nimagenet.npz", (240, 180), ["240 x 180"]),
    ],
)
def test_each_is_the_recording_behind_it(faults: Path, name: str, size: tuple[int, int], notes: list[str]) -> None:
    recording = read_events(faults / name)
    assert is_truth(recording, faults)
    assert (recording.width, recording.height) == size
    assert len(recording.notes) == len(notes)
    for note, words in zip(recording.notes, notes, strict=True):
        assert words in note


def test_nanoseconds_are_asked_about(faults: Path) -> None:
    with pytest.raises(SpikeError, match=r"2\.5 events a second.*time_unit ns"):
        read_events(faults / "ns.npz")
    assert is_truth(read_events(faults / "ns.npz", options=ReadOptions(time_unit="ns")), faults)
    slow = read_events(faults / "ns.npz", options=ReadOptions(time_unit="us"))
    assert int(slow.events["t"][-1]) == 1_999_928_000


def test_what_cannot_be_mended_is_refused(faults: Path) -> None:
    for name, words in {
        "pol0123.npz": "polarities beyond 0 and 1",
        "unsorted.npz": "time runs backwards",
        "000001.bin": "laser scans.*KITTI",
    }.items():
        with pytest.raises(SpikeError, match=words):
            read_events(faults / name)


def test_a_dvs128_is_decoded_as_its_chip_counts(faults: Path) -> None:
    recording = read_events(faults / "letterF_dvs128.aedat")
    with np.load(faults / "letterF.npz") as letter:
        assert all(np.array_equal(recording.events[axis], letter[axis]) for axis in "xytp")
    assert (recording.width, recording.height) == (128, 128)


def test_a_davis_counts_from_the_right_and_upward(faults: Path) -> None:
    recording = read_events(faults / "davis240_v2e.aedat")
    assert (recording.width, recording.height) == (240, 180) and not recording.notes
    assert is_truth(recording, faults, "tp")
    with np.load(faults / "truth.npz") as truth:  # the file has the truth as its addresses
        assert np.array_equal(recording.events["x"], 239 - truth["x"])
        assert np.array_equal(recording.events["y"], 179 - truth["y"])


def test_the_second_stream_is_read_when_it_is_chosen(faults: Path) -> None:
    second = decode(faults / "a4_two.aedat4", ReadOptions(stream=2))
    assert second.size == (640, 480) and not second.notes and len(second.t) == 10_000
    with pytest.raises(SpikeError, match=r"no event stream 1; wanted one of 0, 2"):
        read_events(faults / "a4_two.aedat4", options=ReadOptions(stream=1))


def test_the_whole_packets_of_a_cut_file_are_kept(faults: Path) -> None:
    recording = read_events(faults / "a4_cut.aedat4")
    with np.load(faults / "truth.npz") as truth:
        assert all(np.array_equal(recording.events[axis], truth[axis][:4000]) for axis in "xytp")
    assert recording.notes == ("the last packet is cut off, as by a crash: read the 4 whole packets before it",)


def test_the_camera_in_an_aedat_3_header_names_the_sensor(faults: Path) -> None:
    recording = read_events(faults / "davis346_small_31.aedat")
    assert (recording.width, recording.height) == (346, 260) and not recording.notes
    assert int(recording.events["x"].max()) < 240


def test_dsec_under_blosc(faults: Path) -> None:
    pytest.importorskip("hdf5plugin")
    recording = read_events(faults / "dsec_blosc.h5")
    assert is_truth(recording, faults, "xyp")
    with np.load(faults / "truth.npz") as truth:
        assert np.array_equal(recording.events["t"], truth["t"] + 49_599_300_523)
