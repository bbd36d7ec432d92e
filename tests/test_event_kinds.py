"""One recording in every spelling that files have: units, orders, line ends, marks, polarities. All give its events."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_bytes import some_events

from spikecli.datasets.events.recording import Recording, read_events
from spikecli.datasets.reading_options import ReadOptions
from spikecli.errors import SpikeError

X, Y, T, P = (np.array(column) for column in zip(*some_events(3000, 240, 180, length=2_000_000), strict=True))
COLUMNS = {"x": X, "y": Y, "t": T, "p": P}
EPOCH = 1_700_000_000_000_000  # µs


def is_whole(recording: Recording, since: int = 0) -> bool:
    events = recording.events
    return all(np.array_equal(events[axis], COLUMNS[axis]) for axis in "xyp") and np.array_equal(events["t"], T + since)


@pytest.mark.parametrize(
    ("columns", "since", "note"),
    [
        ({"t": T / 1e3}, 0, "milliseconds"),
        ({"t": (T / 1e3).astype("f4")}, 0, "milliseconds"),
        ({"t": EPOCH / 1e6 + T / 1e6}, EPOCH, "seconds"),
        ({"t": EPOCH + T}, EPOCH, ""),
        ({"t": (EPOCH + T) * 1000}, EPOCH, "nanoseconds"),
        ({"x": X.astype("f4"), "y": Y.astype("f4"), "t": T.astype("f8"), "p": P.astype("f4")}, 0, ""),
        ({"t": T.astype("u8"), "p": P.astype(bool)}, 0, ""),
        ({"p": (2 * P - 1).astype("i1")}, 0, ""),
        ({"x": X.astype(">u2"), "y": Y.astype(">u2"), "t": T.astype(">i8")}, 0, ""),
    ],
)
def test_arrays_of_every_type_and_unit(tmp_path: Path, columns: dict[str, np.ndarray], since: int, note: str) -> None:
    np.savez(tmp_path / "a.npz", **{**COLUMNS, **columns})
    found = read_events(tmp_path / "a.npz")
    said = [one for one in found.notes if "took times" in one]
    assert is_whole(found, since) and (note in said[0] if note else not said)


@pytest.mark.parametrize("order", ["xytp", "txyp", "xypt", "ptxy", "tpxy", "pxyt"])
def test_tables_in_every_order_upright_and_lying(tmp_path: Path, order: str) -> None:
    table = np.stack([COLUMNS[axis] for axis in order], axis=1)
    np.save(tmp_path / "rows.npy", table)
    np.save(tmp_path / "columns.npy", table.T)
    for name in ("rows.npy", "columns.npy"):
        found = read_events(tmp_path / name)
        assert is_whole(found) and any(" ".join(order) in note for note in found.notes) == (order != "xytp")
    swapped = order.replace("x", "_").replace("y", "x").replace("_", "y")  # values cannot tell x from y
    assert np.array_equal(read_events(tmp_path / "rows.npy", options=ReadOptions(columns=swapped)).events["x"], Y)


def lines(form: Callable[[int, int, int, int], str]) -> list[str]:
    return [form(*row) for row in zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True)]


SECONDS = lines(lambda t, x, y, p: f"{t / 1e6:.6f} {x} {y} {p}")
MICRO = lines(lambda t, x, y, p: f"{t},{x},{y},{p}")
TEXTS: dict[str, bytes] = {
    "windows": "\r\n".join(SECONDS).encode(),
    "mixed": "".join(row + ("\r\n" if place % 3 else "\n") for place, row in enumerate(SECONDS)).encode(),
    "old mac": "\r".join(SECONDS).encode(),
    "utf-8 with a mark": ("\ufeff" + "\n".join(SECONDS)).encode(),
    "utf-16": "\n".join(SECONDS).encode("utf-16"),
    "a sensor": ("240 180\n" + "\n".join(SECONDS)).encode(),
    "blank lines": ("\n\n".join(SECONDS) + "\n\n\n").encode(),
    "a comment between": "\n".join([*SECONDS[:100], "# restart", *SECONDS[100:]]).encode(),
    "exponents": "\n".join(lines(lambda t, x, y, p: f"{t / 1e6:.9e} {x:.3e} {y:.3e} {p:.1e}")).encode(),
    "semicolons": "\n".join(lines(lambda t, x, y, p: f"{x};{y};{p};{t}")).encode(),
    "decimal commas": "\n".join(lines(lambda t, x, y, p: f"{t / 1e6:.6f};{x};{y};{p}".replace(".", ","))).encode(),
    "commas and tabs": "\n".join(lines(lambda t, x, y, p: f"{t / 1e6:.6f}\t{x}\t{y}\t{p}".replace(".", ","))).encode(),
    "names": ("\ufefftimestamp,x,y,polarity\n" + "\n".join(MICRO)).encode(),
    "quoted": ('"t","x","y","p"\n' + "\n".join('"' + row.replace(",", '","') + '"' for row in MICRO)).encode(),
    "numbered": (",t,x,y,p\n" + "\n".join(f"{place},{row}" for place, row in enumerate(MICRO))).encode(),
    "trailing commas": "\n".join(row + "," for row in MICRO).encode(),
    "minus one": "\n".join(lines(lambda t, x, y, p: f"{t} {x} {y} {2 * p - 1}")).encode(),
    "words": ("t,x,y,p\n" + "\n".join(lines(lambda t, x, y, p: f"{t},{x},{y},{'ON' if p else 'OFF'}"))).encode(),
    "python": "\n".join(lines(lambda t, x, y, p: f"{t},{x},{y},{bool(p)}")).encode(),
    "json": ("t,x,y,p\n" + "\n".join(lines(lambda t, x, y, p: f"{t},{x},{y},{str(bool(p)).lower()}"))).encode(),
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_text_in_every_spelling(tmp_path: Path, name: str) -> None:
    (tmp_path / "events.csv").write_bytes(TEXTS[name])
    assert is_whole(read_events(tmp_path / "events.csv"))


def test_a_clock_of_32_bits_that_begins_again(tmp_path: Path) -> None:
    start = (1 << 32) - 1_000_000
    body = b"".join(
        struct.pack("<II", (start + t) & 0xFFFFFFFF, p << 28 | y << 14 | x)
        for t, x, y, p in zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True)
    )
    path = tmp_path / "wraps.dat"
    path.write_bytes(b"% Height 720\n% Version 2\n% Width 1280\n% end\n" + bytes([12, 8]) + body)
    found = read_events(path)
    assert is_whole(found, start) and (found.width, found.height) == (1280, 720)  # larger than the events' extent


@pytest.mark.parametrize(
    ("members", "since"),
    [
        ({"events/xs": X, "events/ys": Y, "events/ts": T / 1e6, "events/ps": P.astype(bool)}, 0),
        ({"events/x": X, "events/y": Y, "events/t": T, "events/p": P, "t_offset": 5_000_000}, 5_000_000),
        ({"events": np.stack([T, X, Y, P], axis=1).astype("u4")}, 0),
        ({"davis/left/events": np.stack([X, Y, EPOCH / 1e6 + T / 1e6, 2 * P - 1], axis=1)}, EPOCH),
    ],
)
def test_hdf5_under_every_name(tmp_path: Path, members: dict[str, np.ndarray], since: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in members.items():
            file[name] = values
    assert is_whole(read_events(tmp_path / "a.h5"), since)


def test_whole_nanoseconds_are_a_question(tmp_path: Path) -> None:
    np.savez(tmp_path / "ns.npz", **{**COLUMNS, "t": T * 1000})
    with pytest.raises(SpikeError, match="time_unit ns"):
        read_events(tmp_path / "ns.npz")
    assert is_whole(read_events(tmp_path / "ns.npz", options=ReadOptions(time_unit="ns")))
