"""Streams as they come outside: clocks that jump, second senders, cut connections, text, silence."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from export_nets import thin_stepper

from spikecli.datasets.events.recording import EVENT
from spikecli.errors import SpikeError
from spikecli.evaluation.stopping import StopRule
from spikecli.export.probes import made_recording
from spikecli.live import sources, watcher, wire
from spikecli.live.windows import EventWindow

Cli = Callable[..., Outcome]
SENSOR = (34, 34)


def events(count: int) -> np.ndarray:
    return made_recording(SENSOR, np.random.default_rng(0)).events[:count]


def taken(reader: wire.Datagrams, number: int, sender: str = "a", count: int = 1) -> int:
    """Return how many events a reader takes of a datagram."""
    found = reader.read(wire.datagram(number, events(count)), sender)
    assert found is not None
    return len(found)


def test_a_clock_that_is_set_begins_the_windows_again() -> None:
    """A recording played in a loop, in parts and within one part, is answered in every round; no window holds both."""
    given = np.zeros(4, EVENT)
    given["t"] = [100, 104, 109, 121]
    windows = [[100, 104, 109], []] * 3
    for parts in ([given, given, given], [np.tile(given, 3)], [np.tile(given, 2)[:6], np.tile(given, 2)[2:]]):
        found = [each["t"].tolist() for each in EventWindow(10, 10, True).over(parts)]
        assert found == windows if len(parts) != 2 else found[:2] == windows[:2] and [109] not in found[:2]


def test_events_a_little_late_are_put_in_order() -> None:
    given = np.zeros(5, EVENT)
    given["t"] = [100, 104, 102, 109, 111]
    assert [each["t"].tolist() for each in EventWindow(10, 10, True).over([given])] == [[100, 102, 104, 109]]
    assert [each["t"].tolist() for each in EventWindow(10, 10, True).over([given[:2], given[2:]])] == [
        [100, 102, 104, 109]
    ]


def test_a_long_gap_is_passed_over() -> None:
    """A clock that jumps by 300 years would else be answered with 10¹⁵ windows of no event."""
    given = np.zeros(4, EVENT)
    given["t"] = [0, 5, 10**16, 10**16 + 10]
    assert [each["t"].tolist() for each in EventWindow(10, 10, True).over([given])] == [[0, 5], [10**16]]
    given["t"][2:] = [9_000, 9_010]
    assert [len(each) for each in EventWindow(10, 10, True).over([given])] == [2, *[0] * 899, 1]


def test_a_second_sender_is_ignored_and_said_until_the_first_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    notes, now = list[str](), 100.0
    losses = wire.Losses(on_note=notes.append)
    monkeypatch.setattr(wire.time, "monotonic", lambda: now)
    reader = wire.Datagrams(losses)
    for number in range(3):
        assert taken(reader, number) == 1
        assert taken(reader, number, "b") == 0
    assert (losses.datagrams, losses.foreign, notes) == (0, 3, ["ignored datagrams of a second sender"])
    assert taken(reader, 3, "b", 0) == 0  # nor does it end the stream
    now = 102.0
    assert taken(reader, 9, "b") == 1 and losses.datagrams == 0


def test_losses_are_never_negative() -> None:
    """Datagrams that come twice are taken once; a sender that begins again at 0, or far back, is followed."""
    losses = wire.Losses()
    reader = wire.Datagrams(losses)
    counts = [taken(reader, number) for number in (0, 2, 2, 1, 1, 5_000, 0, 1, 0)]
    assert counts == [1, 1, 0, 1, 0, 1, 1, 1, 1] and losses.datagrams == 4997


def test_a_connection_that_is_reset_ends_with_one_line() -> None:
    bound = sources.listening("tcp://127.0.0.1:0")
    with socket.create_connection(bound.getsockname()) as out:
        found = sources._accepted(bound, 5, wire.Losses())
        out.sendall(events(3).tobytes())
        assert len(next(found)) == 3
        out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with pytest.raises(SpikeError, match="the stream was cut: Connection reset"):
        list(found)


def test_text_is_no_stream_and_a_cut_file_is_said(tmp_path: Path) -> None:
    for end in ("camera.rows", "pipe"):
        path = tmp_path / end
        path.write_bytes(b"0.1 3 4 1\n" * 13)
        with pytest.raises(SpikeError, match=r"found text, such as '0\.1 3 4 1"), path.open("rb") as pipe:
            list(sources.opened(str(path), 1, 0.05).parts if end == "camera.rows" else sources._piped(pipe))
    path.with_suffix(".rows").write_bytes(events(3).tobytes()[:-1])
    with pytest.raises(SpikeError, match="ends within a row, 12 bytes"):
        list(sources.opened(str(path.with_suffix(".rows")), 1, 0.05).parts)
    with pytest.raises(SpikeError, match="wanted udp://HOST:PORT or tcp"):
        sources.opened("http://127.0.0.1:80", 1, 1)


def test_a_pipe_that_falls_silent_ends() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.write(writing, events(3).tobytes())
        assert sum(len(each) for each in sources._piped(pipe, 0.05)) == 3
    os.close(writing)


def test_an_empty_window_has_the_time_of_the_last_event() -> None:
    given = np.zeros(3, EVENT)
    given["t"] = [100, 104, 131]
    stream = sources.Stream(iter([given]), SENSOR, wire.Losses())
    found = watcher.answers(thin_stepper(), stream, EventWindow(10, 10, True), SENSOR, StopRule())
    assert [each.t for each in found] == [104, 104, 104]


def test_a_film_is_refused_before_the_stream_where_it_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = cli("watch", "nosuch", "udp://127.0.0.1:0", "--record", tmp_path / "file" / "film.gif")
    assert found.code == 1 and "not a folder" in found.err
