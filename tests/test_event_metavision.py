"""Metavision's HDF5 files in their own codec, from bytes by its format."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from ecf_bytes import ecf_chunk, write_metavision
from event_bytes import Event, some_events
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecli.datasets.events.recording import read_events
from spikecli.errors import SpikeError
from spikecli.files.ecf import decode_chunk

WAYS = ("all", "pixels", "masks")
# Rows of neighbors at one time; then silence, and many events of one time and row.
EDGE = [(x, y, 700 * y, y % 2) for y in range(1, 9) for x in range(20 * y, 20 * y + 7 * y)]
EDGE += [(3 * x, 9, 10_000_000_000, 1) for x in range(200)]


def decoded(data: bytes) -> list[Event]:
    chunk = decode_chunk(data)
    return list(zip(*(column.tolist() for column in (chunk.x, chunk.y, chunk.t, chunk.p)), strict=True))


def test_a_chunk_by_hand() -> None:
    times = struct.pack("<q", 1000) + bytes([0x02, 0xF0, 0xF1, 0x31])  # two at 1000, one at 1000 + 0x10 + 3
    rows = struct.pack("<HH", 7 << 5 | 2, 8 << 5 | 1)
    pixels = struct.pack("<HH", 40 << 5 | 0b01000, 99 << 5)  # 40 and 42, then 99
    polarities = bytes([0x80 | 2, 0x00 | 1])
    data = struct.pack("<I", 3 << 2) + times + rows + pixels + polarities
    assert decoded(data) == [(40, 7, 1000, 1), (42, 7, 1000, 1), (99, 8, 1019, 0)]


@pytest.mark.parametrize("way", WAYS)
@given(
    st.lists(
        st.tuples(st.integers(0, 2047), st.integers(0, 2047), st.integers(0, 1 << 40), st.integers(0, 1)),
        min_size=1,
        max_size=70,
    )
)
@settings(deadline=None, max_examples=60)
def test_a_chunk_round_trip(way: str, events: list[Event]) -> None:
    events.sort(key=lambda event: event[2])
    assert decoded(ecf_chunk(events, way)) == events


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("events", [some_events(250, 1280, 720), EDGE], ids=["single events", "edges"])
def test_a_file(tmp_path: Path, way: str, events: list[Event]) -> None:
    recording = read_events(write_metavision(tmp_path / "a.hdf5", events, way))
    found = [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in recording.events]
    assert found == events and (recording.width, recording.height) == (1280, 720) and not recording.notes


@given(st.sampled_from(WAYS), st.data())
@settings(deadline=None, max_examples=150)
def test_damage_is_an_error_that_the_gate_knows(way: str, data: st.DataObject) -> None:
    whole = bytearray(ecf_chunk(EDGE[:40], way))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        whole[place] = data.draw(st.integers(0, 255))
    with suppress(ValueError, IndexError, struct.error, OverflowError):
        assert len(decoded(bytes(whole[: data.draw(st.integers(0, len(whole)))]))) < 1 << 16


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = write_metavision(tmp_path / "a.hdf5", EDGE, "pixels", chunk=len(EDGE))
    data = path.read_bytes()
    chunk = ecf_chunk(EDGE, "pixels")
    path.write_bytes(data.replace(chunk[:20], b"\xff" * 20))
    with pytest.raises(SpikeError, match="damaged"):
        read_events(path)
