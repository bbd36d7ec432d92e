"""Prophesee's .raw: EVT2, EVT2.1 and EVT3 from bytes by the published formats."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from event_bytes import Event, some_events, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prophesee_bytes import evt2_bytes, evt3_bytes, evt21_bytes, raw_header

from spikecli.datasets.events import evt3
from spikecli.datasets.events.evt3 import decode_evt3
from spikecli.datasets.events.recording import Recording, read_events
from spikecli.errors import SpikeError

SOME = some_events(250, 1280, 720)
# Rows of neighbors, as a moving edge gives them: what vectors are for.
EDGE = [(x, y, 5000 * y, y % 2) for y in range(1, 9) for x in range(20 * y, 20 * y + 3 * y)]


def rows(recording: Recording) -> list[Event]:
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in recording.events]


@pytest.mark.parametrize("events", [SOME, EDGE], ids=["single events", "edges"])
@pytest.mark.parametrize(
    "encode",
    [evt2_bytes, evt21_bytes, lambda e: evt21_bytes(e, legacy=True), evt3_bytes, lambda e: evt3_bytes(e, False)],
    ids=["EVT2", "EVT2.1", "EVT2.1 legacy", "EVT3", "EVT3 without vectors"],
)
def test_each_format(tmp_path: Path, encode: object, events: list[Event]) -> None:
    recording = read_events(write(tmp_path / "a.raw", encode(events)))  # type: ignore[operator]
    assert rows(recording) == events
    assert (recording.width, recording.height) == (1280, 720) and not recording.notes


def test_evt3_by_hand(tmp_path: Path) -> None:
    words = [
        0x2005,  # an event before any time: passed over
        0x8002, 0x0007, 0x2803,  # time 2 · 4096, row 7, pixel 3, brighter
        0x6010, 0x2004,  # 16 µs later, pixel 4, darker
        0x3864, 0x4801, 0x5003, 0x4001,  # from pixel 100, brighter: 100, 111; 112, 113; 120
        0xA101, 0xE000, 0x7001, 0xF000,  # a trigger and others
        0x8002, 0x2009,  # the same upper bits again: the lower ones are 0 until theirs come
    ]  # fmt: skip
    data = raw_header("EVT3") + struct.pack(f"<{len(words)}H", *words)
    t = 2 * 4096
    assert rows(read_events(write(tmp_path / "a.raw", data))) == [
        (3, 7, t, 1), (9, 7, t, 0), (4, 7, t + 16, 0), (100, 7, t + 16, 1), (111, 7, t + 16, 1), (112, 7, t + 16, 1),
        (113, 7, t + 16, 1), (120, 7, t + 16, 1),
    ]  # fmt: skip


def test_clocks_go_round(tmp_path: Path) -> None:
    events: list[Event] = [(1, 2, t, 1) for t in range(4000, 60_000_000, 900_000)]  # three turns of 16.8 s
    assert rows(read_events(write(tmp_path / "a.raw", evt3_bytes(events)))) == events
    late: list[Event] = [(1, 2, (1 << 34) - 100, 0), (1, 2, (1 << 34) + 5, 1)]
    for encode in (evt2_bytes, evt21_bytes):
        assert rows(read_events(write(tmp_path / "b.raw", encode(late)))) == late


def _one_by_one(words: np.ndarray) -> list[Event]:
    """The format's own state machine, a word at a time."""
    found, y, time, high, turns, base, polarity = [], 0, -1, -1, 0, 0, 0
    for word in words.tolist():
        kind, value = word >> 12, word & 0xFFF
        match kind:
            case 0:
                y = value & 0x7FF
            case 2:
                found.append((value & 0x7FF, y, time, value >> 11))
            case 3:
                base, polarity = value & 0x7FF, value >> 11
            case 4 | 5:
                width = 12 if kind == 4 else 8
                found += [(base + bit, y, time, polarity) for bit in range(width) if value >> bit & 1]
                base += width
            case 6:
                time = high + value if high >= 0 else -1
            case 8:
                new = (value << 12) + (turns << 24)
                if high - new > 1 << 23:
                    turns, new = turns + 1, new + (1 << 24)
                high = time = new
    return [event for event in found if event[2] >= 0]


_WORD = st.one_of(
    st.tuples(st.sampled_from([0, 2, 4, 5, 6, 7, 10, 14, 15]), st.integers(0, 4095)),
    st.tuples(st.just(3), st.integers(0, 4095).map(lambda value: value & 0xBFF)),
    st.tuples(st.just(8), st.sampled_from([0, 1, 2, 3, 4090, 4094, 4095])),
)


@given(st.lists(_WORD, max_size=60), st.integers(1, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_any_words_mean_what_they_mean_one_by_one(
    monkeypatch: pytest.MonkeyPatch, drawn: list[tuple[int, int]], at_once: int
) -> None:
    words = np.array([kind << 12 | value for kind, value in drawn], "<u2")
    monkeypatch.setattr(evt3, "_AT_ONCE", at_once)
    found = decode_evt3(words)
    columns = zip(found.x.tolist(), found.y.tolist(), found.t.tolist(), found.p.tolist(), strict=True)
    assert list(columns) == _one_by_one(words)
    if len(found.t):  # what the decoder saw in passing is what a look at all events finds
        seen, bounds = found.extremes(), found._replace(bounds=None).extremes()
        assert seen[:3] == bounds[:3] and bounds.in_order >= seen.in_order


def test_times_that_rise_are_seen_to_rise_in_passing() -> None:
    words = [8 << 12 | 1, 6 << 12 | 5, 0 << 12 | 7, 2 << 12 | 9, 6 << 12 | 6, 2 << 12 | 8]
    assert decode_evt3(np.array(words, "<u2")).bounds == (9, 7, 0, True)
    assert decode_evt3(np.array([*words, 6 << 12 | 3, 2 << 12 | 1 << 11], "<u2")).bounds == (9, 7, 1, False)


def test_an_event_that_begins_with_a_percent_sign(tmp_path: Path) -> None:
    head = b"% evt 3.0\n% format EVT3;height=720;width=1280\n"  # older files have no line % end
    words = struct.pack("<5H", 0x0025, 0x8001, 0x6000, 0x2009, 0x2A0A)  # row 37 is the byte of a %
    recording = read_events(write(tmp_path / "a.raw", head + words))
    assert rows(recording) == [(9, 37, 4096, 0), (0x20A, 37, 4096, 1)]


def test_what_is_no_raw_file_is_refused(tmp_path: Path) -> None:
    for data, words in (
        (b"", "no header"),
        (b"\0\1\2\3", "no header"),
        (b"% evt 4.0\n", "'4.0'"),
        (b"% format EVT9;height=3\n", "'EVT9'"),
        (b"% format EVT3;height=99999;width=5\n", "99999"),
        (raw_header("EVT3"), "no events"),
        (raw_header("EVT3") + b"\x05\x20", "no events"),
        (raw_header("EVT2", ";height=10;width=10") + evt2_bytes(SOME)[len(raw_header("EVT2")) :], "outside its sensor"),
    ):
        with pytest.raises(SpikeError, match=words):
            read_events(write(tmp_path / "a.raw", data))


def test_real_decoders_agree(tmp_path: Path) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    path = write(tmp_path / "a.raw", evt2_bytes(SOME))
    theirs = expelliarmus.Wizard(encoding="evt2").read(str(path))
    ours = read_events(path).events
    assert all(np.array_equal(ours[axis], theirs[axis]) for axis in "xytp")
