"""Units, orders, polarities and sensors by the values of the events, and the options that overrule them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from event_bytes import aedat2_bytes, aedat3_bytes, aedat4_bytes, bin_bytes, davis_bytes, some_events, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.names import with_unit
from spikecli.datasets.events.recording import Recording, read_events, read_own
from spikecli.datasets.reading_options import ReadOptions
from spikecli.errors import SpikeError

SOME = some_events(2000, 240, 180, length=2_000_000)
TABLE = np.array(SOME)
SCALE = {"s": 1e-6, "ms": 1e-3, "us": 1.0, "ns": 1e3}


def rows(recording: Recording) -> np.ndarray:
    return np.stack([recording.events[axis].astype(np.int64) for axis in "xytp"], axis=1)


def four(path: Path, t: np.ndarray) -> Path:
    np.savez(path, x=TABLE[:, 0], y=TABLE[:, 1], t=t, p=TABLE[:, 3])
    return path


@pytest.mark.parametrize("kind", ["f8", "f4"])
@pytest.mark.parametrize("unit", ["s", "ms"])
def test_fractions_are_seconds_or_milliseconds(tmp_path: Path, unit: str, kind: str) -> None:
    recording = read_events(four(tmp_path / "a.npz", (TABLE[:, 2] * SCALE[unit]).astype(kind)))
    narrow = kind == "f4"  # 24 bits of 2 s are 0.12 µs, of 2,000 ms the same
    assert np.abs(rows(recording) - TABLE).max() <= (1 if narrow else 0)
    assert {"s": "seconds", "ms": "milliseconds"}[unit] in recording.notes[0]


@given(st.sampled_from(["s", "ms", "us", "ns"]), st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
def test_time_unit_overrules(tmp_path: Path, unit: Any, offset: int) -> None:
    t = np.rint(TABLE[:, 2] * SCALE[unit] * 1000) / 1000 if unit != "s" else TABLE[:, 2] * SCALE[unit]
    recording = read_events(four(tmp_path / "a.npz", t + offset), options=ReadOptions(time_unit=unit))
    assert np.abs(rows(recording)[:, 2] - TABLE[:, 2] - round(offset / SCALE[unit])).max() <= 1
    assert not any("took times" in note for note in recording.notes)


def test_times_since_1970(tmp_path: Path) -> None:
    for unit, start in (("s", 1.5e9), ("ms", 1.5e12), ("us", 1.5e15), ("ns", 1.5e18)):
        t = start + TABLE[:, 2] * SCALE[unit]
        stored = t if unit in ("s", "ms") else (TABLE[:, 2] * int(SCALE[unit]) + int(start))
        recording = read_events(four(tmp_path / f"{unit}.npz", stored))
        assert np.abs(recording.events["t"] - 1_500_000_000_000_000 - TABLE[:, 2]).max() <= 1, unit


def test_absurd_rates_are_a_question(tmp_path: Path) -> None:
    for name, t, words in (
        ("whole seconds", TABLE[:, 2] // 1_000_000, "time_unit ms"),
        ("whole ms", TABLE[:, 2] // 1_000, "time_unit ms"),
        ("ns", TABLE[:, 2] * 1000, "time_unit ns"),
    ):
        with pytest.raises(SpikeError, match=words):
            read_events(four(tmp_path / f"{name}.npz", t))
    whole = read_events(four(tmp_path / "again.npz", TABLE[:, 2] // 1_000), options=ReadOptions(time_unit="ms"))
    assert np.array_equal(whole.events["t"], TABLE[:, 2] // 1_000 * 1_000)


@pytest.mark.parametrize("order", ["xytp", "txyp", "xypt", "ptxy", "tpxy"])
@pytest.mark.parametrize("kind", ["i4", "f8"])
def test_the_order_of_columns_is_told_from_their_values(tmp_path: Path, order: str, kind: str) -> None:
    np.save(tmp_path / "a.npy", TABLE[:, ["xytp".index(axis) for axis in order]].astype(kind))
    recording = read_events(tmp_path / "a.npy")
    assert np.array_equal(rows(recording), TABLE)
    assert (f"took the columns for {' '.join(order)}" in "".join(recording.notes)) == (order != "xytp")


def test_columns_overrules(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", TABLE[:, [1, 0, 2, 3]])
    assert np.array_equal(rows(read_events(tmp_path / "a.npy", options=ReadOptions(columns="yxtp"))), TABLE)


@pytest.mark.parametrize("kind", ["i1", "u1", "u2", "u4", "f4"])
def test_minus_one_is_darker_also_where_it_was_kept_unsigned(tmp_path: Path, kind: str) -> None:
    p = (2 * TABLE[:, 3] - 1).astype("i8").astype(kind)
    np.savez(tmp_path / "a.npz", x=TABLE[:, 0], y=TABLE[:, 1], t=TABLE[:, 2], p=p)
    assert np.array_equal(rows(read_events(tmp_path / "a.npz")), TABLE)


def test_pixels_with_fractions_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=TABLE[:, 0] + 0.5, y=TABLE[:, 1], t=TABLE[:, 2], p=TABLE[:, 3])
    with pytest.raises(SpikeError, match="whole pixels"):
        read_events(tmp_path / "a.npz")


def _text(separator: str, order: str, head: str = "", scale: float = 1) -> bytes:
    def word(event: tuple[int, ...], axis: str) -> str:
        value = event["xytp".index(axis)]
        return f"{value * scale:.6f}" if axis == "t" and scale != 1 else str(value)

    return (head + "\n".join(separator.join(word(e, axis) for axis in order) for e in SOME) + "\n").encode()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (_text(" ", "txyp", scale=1e-6), (240, 180)),
        (_text(" ", "txyp", "346 260\n", scale=1e-6), (346, 260)),
        (_text(",", "xypt"), (240, 180)),
        (_text(",", "xytp", "x,y,t,p\r\n"), (240, 180)),
        (_text("; ", "tpxy", "\ufeff# made by hand\n\ntimestamp;polarity;x;y\n"), (240, 180)),
        (_text("\t", "txyp", "# t x y p\n"), (240, 180)),
        (_text(",", "ptxy", "p,t,x,y\n").replace(b"\n", b"\r\n"), (240, 180)),
        (
            _text(",", "pytx", "polarity,y,time,x\n").replace(b"\n1,", b"\nTrue,").replace(b"\n0,", b"\nFalse,"),
            (240, 180),
        ),
    ],
)
def test_text(tmp_path: Path, data: bytes, size: tuple[int, int]) -> None:
    for suffix in ("txt", "csv"):
        recording = read_events(write(tmp_path / f"a.{suffix}", data))
        assert np.array_equal(rows(recording), TABLE)
        assert (recording.width, recording.height) == size


def test_text_that_is_no_events(tmp_path: Path) -> None:
    for data, words in (
        (b"", "four numbers a line"),
        (b"0.1 0.2 0.3\n" * 9, "points have three"),
        (b"1 2 3 1\n2 3 4\n", "other lengths"),
        (b"1 2 3 1\n2 3 4 0 5 6 7 8\n", "other lengths"),
        (b"1 2 3 1\n2 3 four 0\n", "four"),
        (b"0.5 0.5 0.25 0.75\n" * 9, "order cannot be told"),
    ):
        with pytest.raises(SpikeError, match=words):
            read_events(write(tmp_path / "a.txt", data))


def test_sensors_by_extent(tmp_path: Path) -> None:
    for corner, size in (
        ((33, 33), (34, 34)), ((319, 319), (320, 320)), ((319, 239), (320, 240)), ((345, 259), (346, 260)),
        ((303, 239), (304, 240)), ((1279, 799), (1280, 800)), ((1500, 90), (1501, 91)),
    ):  # fmt: skip
        np.savez(tmp_path / "a.npz", x=[0, corner[0]], y=[0, corner[1]], t=[0, 1], p=[0, 1])
        recording = read_events(tmp_path / "a.npz")
        assert (recording.width, recording.height) == size and f"{size[0]} x {size[1]}" in recording.notes[-1]
    named = read_events(tmp_path / "a.npz", options=ReadOptions(sensor=(1600, 1200)))
    assert (named.width, named.height) == (1600, 1200) and not named.notes


def test_sensors_in_hdf5_attributes(tmp_path: Path) -> None:
    for name, value, size in (
        ("sensor_resolution", [480, 640], (640, 480)),
        ("sensor_resolution", [640, 180], (640, 180)),  # by the events: 640 rows of 180 would not hold them
        ("geometry", "1280x720", (1280, 720)),
        ("geometry", [346, 260], (346, 260)),
    ):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for axis, column in zip("xytp", TABLE.T, strict=True):
                file[f"events/{axis}"] = column
            file.attrs[name] = value
        recording = read_events(tmp_path / "a.h5")
        assert (recording.width, recording.height) == size and not recording.notes


@pytest.mark.parametrize("value", [[1 << 62, 640], [640.0, float("inf")], [480, 5000]])
def test_a_sensor_that_no_camera_has_is_one_line(tmp_path: Path, value: list[float]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for axis, column in zip("xytp", TABLE.T, strict=True):
            file[f"events/{axis}"] = column
        file.attrs["sensor_resolution"] = value
    with pytest.raises(SpikeError, match=r"found sensor_resolution .*; wanted a width and height of at most 4096"):
        read_events(tmp_path / "a.h5")


def test_mvsec_has_a_camera_left_and_right(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        start = 1_506_117_900.0
        for side, table in (("left", TABLE), ("right", TABLE[:7])):
            columns = [table[:, 0], table[:, 1], start + table[:, 2] / 1e6, 2 * table[:, 3] - 1]
            file[f"davis/{side}/events"] = np.stack(columns, axis=1).astype("f8")
    left = read_events(tmp_path / "a.hdf5")
    assert len(left) == 2000 and "davis/right/events" in left.notes[-2]
    assert np.abs(left.events["t"] - int(start * 1e6) - TABLE[:, 2]).max() <= 1
    assert len(read_events(tmp_path / "a.hdf5", options=ReadOptions(stream=1))) == 7


def test_davis_cameras_of_aedat_2(tmp_path: Path) -> None:
    for size, camera in (((240, 180), "DAVIS240C"), ((346, 260), "Davis346blue"), ((346, 260), "unknown")):
        events = some_events(500, *size)
        recording = read_events(write(tmp_path / "a.aedat", davis_bytes(events, size, camera)))
        assert rows(recording).tolist() == [list(event) for event in events]
        assert (recording.width, recording.height) == size
        assert any("names no camera" in note for note in recording.notes) == (camera == "unknown")
    small = some_events(500, 100, 100)
    recording = read_events(
        write(tmp_path / "b.aedat", davis_bytes(small, (346, 260), "x")), options=ReadOptions(sensor=(346, 260))
    )
    assert rows(recording).tolist() == [list(event) for event in small]


@pytest.mark.parametrize(("suffix", "encode"), [("aedat", aedat3_bytes), ("aedat4", aedat4_bytes)])
def test_what_a_crash_left_is_read(tmp_path: Path, suffix: str, encode: Callable[..., bytes]) -> None:
    events = some_events(250, 128, 128)
    recording = read_events(write(tmp_path / f"a.{suffix}", encode(events)[:-40]))
    assert rows(recording)[:200].tolist() == [list(event) for event in events[:200]]
    assert any("cut off" in note for note in recording.notes)


def test_a_recording_of_the_networks_data_set(tmp_path: Path) -> None:
    heard: list[tuple[Path, tuple[str, ...]]] = []
    options = ReadOptions(on_note=lambda path, notes: heard.append((path, notes)))
    small = write(tmp_path / "image_0001.bin", bin_bytes([(5, 6, 7, 1), (8, 9, 10, 0)]))
    known = read_own(small, options, EVENT_SETS["ncaltech101"])
    assert (known.width, known.height) == (240, 180) and heard == []
    unknown = read_own(small, options)
    assert (unknown.width, unknown.height) == (34, 34) and heard == [(small, unknown.notes)]
    other = read_own(
        write(tmp_path / "a.aedat4", aedat4_bytes(some_events(9, 128, 128))), options, EVENT_SETS["nmnist"]
    )
    assert (other.width, other.height) == (128, 128) and "trained on 34 x 34" in other.notes[0]


def test_only_cifar10dvs_own_files_are_turned(tmp_path: Path) -> None:
    events, facts = some_events(50, 128, 128), EVENT_SETS["cifar10dvs"]
    own = write(tmp_path / "cifar10_cat_7.aedat", aedat2_bytes(events, on_its_side=True))
    assert rows(read_own(own, facts=facts)).tolist() == [list(event) for event in events]
    assert rows(read_own(own)).tolist() == [[y, x, t, p] for x, y, t, p in events]
    mine = write(tmp_path / "my_cat.aedat", aedat2_bytes(events))
    assert rows(read_own(mine, facts=facts)).tolist() == [list(event) for event in events]


def test_options_of_the_command_line(cli: Any, tmp_path: Path) -> None:
    path = four(tmp_path / "a.npz", TABLE[:, 2] * 1000)
    asked = cli("view", path, "--out", tmp_path / "a.png", "--json")
    assert asked.code == 1 and "--time-unit ns" in asked.err
    told = cli("view", path, "--out", tmp_path / "a.png", "--json", "--time-unit", "ns", "--sensor", "346x260")
    record = told.document["sources"][0]
    assert (record["width"], record["height"], record["notes"]) == (346, 260, []) and record["duration_ms"] < 2001
    guessed = cli("view", path, "--out", tmp_path / "a.png", "--json", "--time-unit", "ns")
    assert guessed.document["sources"][0]["notes"] == [
        "the file names no sensor: took 240 x 180, the known sensor that holds all events; --sensor WxH overrules"
    ]
    assert guessed.err.count("--sensor WxH overrules") == 1
    for wrong in (("--sensor", "big"), ("--columns", "xyz"), ("--time-unit", "h")):
        assert cli("view", path, *wrong).code == 2


@pytest.mark.parametrize("compression", [0, 1, 3])
def test_a_packet_larger_than_the_first_room(tmp_path: Path, compression: int) -> None:
    events = some_events(40_000, 128, 128)
    recording = read_events(write(tmp_path / "a.aedat4", aedat4_bytes(events, compression, packet=30_000)))
    assert rows(recording).tolist() == [list(event) for event in events]


def test_an_empty_first_stream_is_passed_over(tmp_path: Path) -> None:
    data = aedat4_bytes(some_events(300, 128, 128)).replace(b">IMUS<", b">EVTS<")  # stream 1 has packets without events
    recording = read_events(write(tmp_path / "a.aedat4", _exchanged(data)))
    assert len(recording) == 300 and "read event stream 1; the file has also 0 (128 x 128)" in recording.notes[0]
    with pytest.raises(SpikeError, match="no events"):
        read_events(tmp_path / "a.aedat4", options=ReadOptions(stream=0))


def _exchanged(data: bytes) -> bytes:
    """Return an AEDAT 4 file whose packets of the streams 0 and 1 have each other's number."""
    out, place = bytearray(data), data.index(b"</dv>") + 6
    while place < len(data):
        number, length = struct.unpack_from("<iI", data, place)
        struct.pack_into("<i", out, place, 1 - number)
        place += 8 + length
    return bytes(out)


def test_the_unit_in_a_column_s_name_holds_unless_the_user_gives_one() -> None:
    assert with_unit(ReadOptions(), "t_ns") == ReadOptions(time_unit="ns")
    assert with_unit(ReadOptions(time_unit="s"), "t_ns") == ReadOptions(time_unit="s")
    assert with_unit(ReadOptions(), "t") == ReadOptions()
