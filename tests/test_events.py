"""Every event format read from bytes made by its definition, real files against peers' readers, event for event."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_bytes import (
    Event,
    aedat2_bytes,
    aedat3_bytes,
    aedat4_bytes,
    bin_bytes,
    dat_bytes,
    some_events,
    structured,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikecli.datasets.events.formats import write_bin
from spikecli.datasets.events.recording import EVENT, Recording, read_events

SOME = some_events(250, 128, 128)


def rows(recording: Recording) -> list[Event]:
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in recording.events]


def test_bin_by_hand(tmp_path: Path) -> None:
    data = bytes([3, 5, 0x81, 0x23, 0x45]) + bytes([7, 33, 0x01, 0x23, 0x46])
    recording = read_events(write(tmp_path / "a.bin", data))
    assert rows(recording) == [(3, 5, 0x012345, 1), (7, 33, 0x012346, 0)]
    assert (recording.width, recording.height) == (34, 34)
    assert recording.events.dtype == EVENT


def test_bin_overflow_marks_add_and_vanish(tmp_path: Path) -> None:
    data = bin_bytes([(1, 2, 8000, 1), (0, 240, 0, 0), (1, 2, 5, 0), (0, 240, 0, 0), (0, 240, 3, 1), (9, 9, 4, 1)])
    recording = read_events(write(tmp_path / "a.bin", data))
    assert rows(recording) == [(1, 2, 8000, 1), (1, 2, 8192 + 5, 0), (9, 9, 3 * 8192 + 4, 1)]


@given(
    st.lists(
        st.tuples(st.integers(0, 33), st.integers(0, 33), st.integers(0, (1 << 23) - 1), st.integers(0, 1)), min_size=1
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_bin_round_trip(tmp_path: Path, events: list[Event]) -> None:
    events.sort(key=lambda event: event[2])
    path = tmp_path / "a.bin"
    write_bin(path, np.array(events, EVENT))
    assert path.read_bytes() == bin_bytes(events)
    assert rows(read_events(path)) == events


def test_write_bin_refuses_what_the_format_cannot_say(tmp_path: Path) -> None:
    for event in ((0, 0, 1 << 23, 0), (0, 240, 0, 0), (0, 0, -1, 0)):
        with pytest.raises(ValueError, match="overflow marks"):
            write_bin(tmp_path / "a.bin", np.array([event], EVENT))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bin", bin_bytes(SOME)),
        ("a.aedat", aedat2_bytes(SOME)),
        ("b.aedat", aedat3_bytes(SOME)),
        ("c.aedat", aedat4_bytes(SOME)),
        ("lz4.aedat4", aedat4_bytes(SOME, 1)),
        ("zstd.aedat4", aedat4_bytes(SOME, 3)),
        ("plain.aedat4", aedat4_bytes(SOME, 0)),
        ("a.dat", dat_bytes(SOME)),
        ("b.dat", dat_bytes(SOME, header="% Data file containing Event2d events.\n% Version 2\n")),
    ],
)
def test_each_format(tmp_path: Path, name: str, data: bytes) -> None:
    recording = read_events(write(tmp_path / name, data))
    assert rows(recording) == SOME
    assert (recording.width, recording.height) == ((304, 240) if name == "a.dat" else (128, 128))


def test_clocks_that_go_round(tmp_path: Path) -> None:
    late = (1 << 32) - 2
    data = dat_bytes([(1, 1, late, 0)]) + struct.pack("<II", 3, 1 << 14 | 1)
    assert [t for _, _, t, _ in rows(read_events(write(tmp_path / "a.dat", data)))] == [late, (1 << 32) + 3]
    head, body = aedat3_bytes([(1, 1, 5, 0)]).split(b"#!END-HEADER\r\n")
    turned = body[:12] + struct.pack("<I", 2) + body[16:]
    path = write(tmp_path / "a.aedat", head + b"#!END-HEADER\r\n" + turned)
    assert rows(read_events(path)) == [(1, 1, (2 << 31) + 5, 0)]


def test_arrays_by_field_and_by_column(tmp_path: Path) -> None:
    table = np.array(SOME)
    np.save(tmp_path / "fields.npy", structured(SOME, "typx"))
    np.save(tmp_path / "xytp.npy", table)
    np.save(tmp_path / "txyp.npy", table[:, [2, 0, 1, 3]])
    np.save(tmp_path / "signed.npy", table * [1, 1, 1, 2] - [0, 0, 0, 1])
    np.savez(tmp_path / "four.npz", t=table[:, 2], x=table[:, 0], y=table[:, 1], p=table[:, 3])
    np.savez_compressed(tmp_path / "one.npz", events=structured(SOME))
    for name in ("fields.npy", "xytp.npy", "txyp.npy", "signed.npy", "four.npz", "one.npz"):
        assert rows(read_events(tmp_path / name)) == SOME, name


def test_tonics_gesture_array_is_in_milliseconds(tmp_path: Path) -> None:
    table = np.array([(3, 4, 1, 10), (5, 6, 0, 10), (7, 8, 1, 12)])
    np.save(tmp_path / "0.npy", table)
    assert rows(read_events(tmp_path / "0.npy")) == [(3, 4, 10_000, 1), (5, 6, 10_000, 0), (7, 8, 12_000, 1)]


def test_hdf5(tmp_path: Path) -> None:
    table = np.array(SOME)
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for axis, name in enumerate("xytp"):
            file[f"events/{name}"] = table[:, axis]
        file["t_offset"] = 1000
        file.attrs.update(width=640, height=480)
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        file["events"] = structured(SOME)
    recording = read_events(tmp_path / "dsec.h5")
    assert rows(recording) == [(x, y, t + 1000, p) for x, y, t, p in SOME]
    assert (recording.width, recording.height) == (640, 480)
    assert rows(read_events(tmp_path / "one.hdf5")) == SOME


def test_real_bin_agrees_with_tonic(shared_data: Path) -> None:
    tonic_io = pytest.importorskip("tonic.io")
    kind = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    for path in sorted((shared_data / "samples").glob("gesture_*.bin")):
        ours, theirs = read_events(path), tonic_io.read_mnist_file(str(path), dtype=kind)
        assert len(ours) == len(theirs) > 60_000
        assert all(np.array_equal(ours.events[axis], theirs[axis]) for axis in "xytp")
        assert (ours.width, ours.height) == (128, 128)


def test_real_dat_and_aedat4(shared_data: Path) -> None:
    cars = read_events(shared_data / "samples" / "ncars.dat")
    assert len(cars) == 2009 and rows(cars)[:2] == [(25, 8, 0, 0), (67, 35, 35, 0)]
    davis = read_events(shared_data / "samples" / "davis.aedat4")
    assert len(davis) == 111_954 and (davis.width, davis.height) == (320, 240)
    assert rows(davis)[0] == (154, 204, 1605537493718345, 0)
    assert rows(davis)[-1] == (88, 237, 1605537494308262, 1)
    expelliarmus = pytest.importorskip("expelliarmus")
    theirs = expelliarmus.Wizard(encoding="dat").read(str(shared_data / "samples" / "ncars.dat"))
    assert all(np.array_equal(cars.events[axis], theirs[axis]) for axis in "xytp")
