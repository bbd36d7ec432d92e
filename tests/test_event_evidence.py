"""A file is believed: units in names, sensors in remarks, arrays and attributes, whole parts of what was cut."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from event_bytes import aedat2_bytes, aedat3_bytes, aedat4_bytes, dat_bytes, davis_bytes, some_events, write
from prophesee_bytes import evt21_bytes

from spikecli.datasets.clouds.sniff import holds_points
from spikecli.datasets.events.names import columns_by_name, names_in, split_unit
from spikecli.datasets.events.recording import Recording, read_events
from spikecli.errors import SpikeError

SOME = some_events(3000, 120, 110, length=2_000_000)
X, Y, T, P = (np.array(column) for column in zip(*SOME, strict=True))
COLUMNS: dict[str, Any] = {"x": X, "y": Y, "t": T, "p": P}


def is_whole(recording: Recording, since: int = 0, count: int = 3000) -> bool:
    events = recording.events
    same = all(np.array_equal(events[axis], COLUMNS[axis][:count]) for axis in "xyp")
    return same and np.array_equal(events["t"], T[:count] + since)


def text(head: str, form: Callable[[int, int, int, int], str]) -> bytes:
    rows = "".join(form(*row) + "\n" for row in zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True))
    return (head + rows).encode()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("t_ns", ("t", "ns")), ("Timestamp (us)", ("timestamp", "us")), ('"time [s]"', ("time", "s")),
        ("ts", ("ts", None)), ("x [px]", ("x", None)), ("time ms", ("time", "ms")), ("t_offset", ("t_offset", None)),
    ],
)  # fmt: skip
def test_a_unit_in_a_name(name: str, wanted: tuple[str, str | None]) -> None:
    assert split_unit(name) == wanted


def test_names_in_a_line() -> None:
    assert names_in('# "t [us]"; x; y; p;') == ["t [us]", "x", "y", "p"]
    assert names_in("# t [us] x y p") == ["t[us]", "x", "y", "p"] and names_in(",t,x") == ["", "t", "x"]
    assert columns_by_name(["t_ns", "Column", "ROW", "pol"]) == {"t": "t_ns", "x": "Column", "y": "ROW", "p": "pol"}


@pytest.mark.parametrize("head", ["timestamp_ns,x,y,polarity", "t (ns), x, y, p", "Time [ns];X;Y;P"])
def test_nanoseconds_by_name_are_no_question(tmp_path: Path, head: str) -> None:
    mark = ";" if ";" in head else ","
    data = text(head + "\n", lambda t, x, y, p: mark.join(map(str, (t * 1000, x, y, p))))
    assert is_whole(read_events(write(tmp_path / "a.csv", data)))
    np.savez(tmp_path / "a.npz", x=X, y=Y, t_ns=T * 1000, p=P)
    assert is_whole(read_events(tmp_path / "a.npz"))


def test_microseconds_with_fractions_are_no_half_hour(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**COLUMNS, "t": T + 0.123})
    found = read_events(tmp_path / "a.npz")
    assert is_whole(found) and "microseconds" in found.notes[0]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_times_of_numpy_know_their_unit(tmp_path: Path, unit: str) -> None:
    np.savez(tmp_path / "a.npz", **{**COLUMNS, "t": (T * (1000 if unit == "ns" else 1)).astype(f"m8[{unit}]")})
    assert is_whole(read_events(tmp_path / "a.npz"))


def test_half_an_hour_of_next_to_nothing_is_a_question(tmp_path: Path) -> None:
    """Nanoseconds of a dense recording: 200 events a second on 13,000 pixels, not all times whole µs."""
    generator = np.random.default_rng(0)
    t = np.sort(generator.integers(0, 2_000_000_000, 400_000))
    x, y, p = (generator.integers(0, most, len(t)) for most in (120, 110, 2))
    np.savez(tmp_path / "a.npz", x=x, y=y, t=t, p=p)
    with pytest.raises(SpikeError, match="time_unit ns"):
        read_events(tmp_path / "a.npz")


def test_a_short_table_in_microseconds_is_not_stretched_to_milliseconds(tmp_path: Path) -> None:
    """The order x y p t is also tonic's of DVS128 Gesture, whose whole milliseconds hold many events each."""
    few = T < 15_000
    np.save(tmp_path / "a.npy", np.stack([X, Y, P, T], axis=1)[np.arange(len(T)) < 3000][: few.sum()])
    np.save(tmp_path / "b.npy", np.stack([X, Y, P, T // 150], axis=1))  # 15,000 units, 5 events in each
    fine = np.stack([X, Y, P, np.arange(3000) * 4], axis=1)
    np.save(tmp_path / "c.npy", fine)
    assert read_events(tmp_path / "c.npy").events["t"][-1] == 2999 * 4


HEADS = ["%geometry:346,260\n", "# width: 346, height: 260\n", "# resolution 346x260\n", "346 260\n"]


@pytest.mark.parametrize("head", HEADS)
def test_a_sensor_in_a_remark(tmp_path: Path, head: str) -> None:
    found = read_events(write(tmp_path / "a.txt", text(head, lambda t, x, y, p: f"{t} {x} {y} {p}")))
    assert is_whole(found) and (found.width, found.height) == (346, 260)


@pytest.mark.parametrize(
    "beside",
    [{"width": 346, "height": 260}, {"sensor_size": [346, 260]}, {"resolution": [260, 346]}, {"geometry": "346x260"}],
)
def test_a_sensor_in_arrays_and_attributes(tmp_path: Path, beside: dict[str, Any]) -> None:
    if "geometry" not in beside:
        np.savez(tmp_path / "a.npz", **COLUMNS, **{name: np.array(value) for name, value in beside.items()})
    for path, place in (("a.h5", ""), ("b.h5", "events"), ("c.h5", None)):
        with h5py.File(tmp_path / path, "w") as file:
            for axis, column in COLUMNS.items():
                file[f"events/{axis}"] = column
            for name, value in beside.items():
                if place is None:
                    file[name] = value
                else:
                    (file[place] if place else file).attrs[name] = value
    for path in tmp_path.iterdir():
        found = read_events(path)
        assert is_whole(found) and (found.width, found.height) == (346, 260) and not found.notes, path.name


def test_groups_of_any_name_and_an_offset_of_one_number(tmp_path: Path) -> None:
    for name, group in (("a.h5", "cam0/events"), ("b.h5", "events/left")):
        with h5py.File(tmp_path / name, "w") as file:
            for axis, column in COLUMNS.items():
                file[f"{group}/{axis}"] = column
            file["t_offset"] = np.array([5_000_000])
        assert is_whole(read_events(tmp_path / name), since=5_000_000)


@pytest.mark.parametrize(
    "form",
    ["{t}|{x}|{y}|{p}", "({t}, {x}, {y}, {p})", "[{t} {x} {y} {p}]", "{t} {x} {y} {w}", '"{t}","{x}","{y}","{p}"'],
)
def test_rows_in_other_marks(tmp_path: Path, form: str) -> None:
    data = text("", lambda t, x, y, p: form.format(t=t, x=x, y=y, p=p, w="positive" if p else "negative"))
    assert is_whole(read_events(write(tmp_path / "a.txt", data)))


def test_numbers_of_rows_without_a_name(tmp_path: Path) -> None:
    rows = "".join(f"{number},{t},{x},{y},{p}\n" for number, (x, y, t, p) in enumerate(SOME))
    assert is_whole(read_events(write(tmp_path / "a.csv", rows.encode())))


@pytest.mark.parametrize(
    ("head", "form", "said"),
    [
        ("", "{t} {x} {y} {p} 7", "the column number 5 is not read"),
        ("# t x y p signal\n", "{t} {x} {y} {p} 7", "the column signal is not read"),
        ("t,x,y,p,frame,noise\n", "{t},{x},{y},{p},7,0", "the columns frame, noise are not read"),
        ("", "{i} {t} {x} {y} {p}", ""),
        (",t,x,y,p\n", "{i},{t},{x},{y},{p}", ""),
    ],
)
def test_a_column_that_is_not_read_is_said(tmp_path: Path, head: str, form: str, said: str) -> None:
    lines = (form.format(i=i, t=t, x=x, y=y, p=p) for i, (x, y, t, p) in enumerate(SOME))
    found = read_events(write(tmp_path / "a.txt", (head + "\n".join(lines) + "\n").encode()))
    assert is_whole(found)
    assert [said in note for note in found.notes if "read" in note] == ([True] if said else [])


@pytest.mark.parametrize(
    ("name", "data", "rest"),
    [
        ("a.aedat", aedat2_bytes(SOME), 3), ("b.aedat", davis_bytes(SOME), 5), ("a.dat", dat_bytes(SOME), 1),
        ("a.txt", text("", lambda t, x, y, p: f"{t} {x} {y} {p}"), 4),
    ],
)  # fmt: skip
def test_what_a_crash_cut_is_read_up_to_there(tmp_path: Path, name: str, data: bytes, rest: int) -> None:
    found = read_events(write(tmp_path / name, data[:-rest]))
    assert is_whole(found, count=2999) and "cut off" in found.notes[0]


def test_marks_that_writers_differ_in(tmp_path: Path) -> None:
    plain = aedat3_bytes(SOME).replace(b"\r\n", b"\n", 4)  # line ends of a header
    assert is_whole(read_events(write(tmp_path / "a.aedat", plain)))
    zeros = aedat4_bytes(SOME) + bytes(4096)  # of a disk prepared for more
    assert is_whole(read_events(write(tmp_path / "a.aedat4", zeros)))
    old = evt21_bytes(SOME, legacy=True).split(b"% end\n", 1)[1]  # a header before the format was named in it
    assert is_whole(read_events(write(tmp_path / "a.raw", b"% geometry 640x480\n% evt 2.1\n% end\n" + old)))
    empty = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 0, 0, 0)
    first = aedat3_bytes(SOME).replace(b"#!END-HEADER\r\n", b"#!END-HEADER\r\n" + empty)
    assert is_whole(read_events(write(tmp_path / "b.aedat", first)))


@pytest.mark.parametrize(
    ("head", "form"),
    [
        ("", "({t}, {x}, {y}, {p})"), ("", "{t}|{x}|{y}|{p}"), ("t,x,y,on\n", "{t},{x},{y},{b}"),
        ("", "{s} {x} {y} {p} 1"),
        (",t,x,y,p\n", "{i},{t},{x},{y},{p}"), ('"t";"x";"y";"p"\n', '"{t}";"{x}";"{y}";"{p}"'),
    ],
)  # fmt: skip
def test_events_in_text_are_not_taken_for_points(tmp_path: Path, head: str, form: str) -> None:
    rows = [form.format(i=i, t=t, s=t / 1e6, x=x, y=y, p=p, b=bool(p)) for i, (x, y, t, p) in enumerate(SOME)]
    path = write(tmp_path / "a.csv", (head + "\n".join(rows) + "\n").encode())
    assert not holds_points(path) and is_whole(read_events(path))


def test_points_in_text_are_not_taken_for_events(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).round(3).tolist()
    for head, form in (
        ('"x","y","z"\n', '"{}","{}","{}"'), ("", "{} {} {} 7 1"), ("x,y,z,i,on\n", "{},{},{},0.5,1"), ("", "{};{};{}"),
    ):  # fmt: skip
        path = write(tmp_path / "a.csv", (head + "\n".join(form.format(*row) for row in points) + "\n").encode())
        assert holds_points(path)
