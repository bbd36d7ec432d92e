"""Broken event files of every format: one line that names the file, and nothing but that."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
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

from spikecli.datasets.events.recording import read_events
from spikecli.errors import SpikeError

SOME = some_events(250, 128, 128)


def refused(path: Path, *words: str, size: tuple[int, int] | None = None) -> None:
    with pytest.raises(SpikeError) as caught:
        read_events(path, size)
    text = str(caught.value)
    assert path.name in text and "\n" not in text
    for word in words:
        assert word in text


def test_small_steps_back_are_sorted_and_large_ones_refused(tmp_path: Path) -> None:
    near = [(1, 0, 1000, 0), (2, 0, 2000, 0), (3, 0, 1500, 1), (4, 0, 2000, 1)]
    recording = read_events(write(tmp_path / "near.bin", bin_bytes(near)))
    assert recording.events["x"].tolist() == [1, 3, 2, 4]
    far = write(tmp_path / "far.bin", bin_bytes([(1, 0, 5000, 0), (2, 0, 3999, 0)]))
    refused(far, "backwards by 1001 µs", "event 1")
    many = write(tmp_path / "many.bin", bin_bytes([(0, 0, 5000 - 400 * step, 0) for step in range(4)]))
    refused(many, "backwards by 1200 µs")


def test_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    refused(tmp_path / "none.bin", "found no file")
    refused(write(tmp_path / "a.mkv", b"1 2 3 4"), ".aedat4", "convert")
    refused(write(tmp_path / "cut.bin", bin_bytes(SOME)[:-1]), "1249 bytes", "five bytes")
    refused(write(tmp_path / "empty.bin", b""), "no events")
    refused(write(tmp_path / "marks.bin", bin_bytes([(0, 240, 0, 0)])), "no events")
    refused(write(tmp_path / "out.bin", bin_bytes([(0, 33, 0, 0), (34, 0, 1, 0)])), "(34, 33)", size=(34, 34))
    refused(write(tmp_path / "wide.npy", b""), "no plain array")
    refused(write(tmp_path / "a.aedat", b"#!AER-DAT1.0\r\n"), "2.0, 3.1 or 4.0")
    refused(write(tmp_path / "b.aedat", aedat2_bytes([])[:-3]), "no events")
    refused(write(tmp_path / "c.aedat", aedat3_bytes(SOME, packet=250)[:300]), "cut off")
    refused(write(tmp_path / "e.aedat4", aedat4_bytes(SOME, packet=250)[:600]), "first packet cut off")
    refused(
        write(tmp_path / "f.aedat4", aedat4_bytes(SOME).replace(b"EVTS</attr>", b"FRME</attr>")), "no stream of events"
    )
    refused(write(tmp_path / "g.dat", dat_bytes(SOME[:1])[:-1]), "no events")
    refused(write(tmp_path / "h.dat", dat_bytes(SOME, "")), "no header")


def test_headers_that_claim_the_absurd(tmp_path: Path) -> None:
    sensor = "% Width 99999999999\n% Height 240\n"
    refused(write(tmp_path / "a.dat", dat_bytes(SOME, sensor)), "at most 4096")
    huge = aedat4_bytes(SOME).replace(b">128</attr>", b">9128128</attr>")
    refused(write(tmp_path / "a.aedat4", huge), "broken")
    packet = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 1 << 31, 1 << 31, 0)
    refused(write(tmp_path / "a.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + packet), "cut off")
    np.save(tmp_path / "a.npy", np.zeros((5, 4), np.int64))
    claimed = (tmp_path / "a.npy").read_bytes().replace(b"(5, 4)", b"(5000000000000, 4)".ljust(6))
    refused(write(tmp_path / "a.npy", claimed), "no plain array")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "xytp":
            file.create_dataset(name, (1 << 40,), "<i8", chunks=(1024,))
    refused(tmp_path / "a.h5", "claims 1099511627776")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        head = (
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '<i8', 'fortran_order': False, 'shape': (4000000000,), }".ljust(117)
            + b"\n"
        )
        for name in "xytp":
            archive.writestr(f"{name}.npy", head)
    refused(tmp_path / "a.npz", "4000000000")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", events=np.array([{"x": 1}], object))
    refused(tmp_path / "a.npy", "without objects")
    refused(tmp_path / "a.npz", "arrays of numbers")


def test_arrays_that_are_no_events(tmp_path: Path) -> None:
    cases: dict[str, np.ndarray] = {
        "flat.npy": np.arange(8),
        "unsure.npy": np.full((4, 4), 7),
        "polarity.npy": structured([(1, 1, 1, 5)]),
        "minus.npy": structured([(-1, 1, 1, 1)]),
        "words.npy": np.array([("a",)], [("x", "U1")]),
    }
    for name, array in cases.items():
        np.save(tmp_path / name, array)
        refused(tmp_path / name)
    np.savez(tmp_path / "uneven.npz", x=[1, 2], y=[1, 2], t=[1, 2], p=[1])
    np.savez(tmp_path / "nan.npz", x=[1.0], y=[1.0], t=[np.nan], p=[1])
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    refused(tmp_path / "uneven.npz", "equal length")
    refused(tmp_path / "nan.npz", "not finite")
    refused(tmp_path / "other.npz", "image")
    refused(write(tmp_path / "no.h5", b"not HDF5"), "file signature not found", "HDF5")
    refused(write(tmp_path / "no.npz", b"no zip"), "no plain arrays")


@pytest.mark.parametrize(
    ("suffix", "encode"),
    [
        (".bin", bin_bytes),
        (".aedat", aedat2_bytes),
        (".aedat", aedat3_bytes),
        (".aedat4", aedat4_bytes),
        (".dat", dat_bytes),
    ],
)
@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_any_damage_is_read_or_refused(
    tmp_path: Path, suffix: str, encode: Callable[[list[Event]], bytes], data: st.DataObject
) -> None:
    whole = bytearray(encode(SOME[:20]))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    path = write(tmp_path / f"a{suffix}", bytes(whole[:cut] if data.draw(st.booleans()) else whole))
    try:
        recording = read_events(path)
    except SpikeError as problem:
        assert str(path) in str(problem)
    else:
        assert len(recording) and (np.diff(recording.events["t"]) >= 0).all()
