"""Streams: a gesture through UDP gets the answers of its file; windows, losses and wire bytes by hand."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from export_nets import thin_stepper

from spikecli.datasets.events.recording import EVENT, read_own
from spikecli.errors import ChoiceError, SpikeError
from spikecli.evaluation.stopping import StopRule
from spikecli.export.probes import made_recording
from spikecli.live import backlog, sources, watcher, wire
from spikecli.live.windows import EventWindow, window_of
from spikecli.view.recordings import live

Cli = Callable[..., Outcome]
SENSOR = (34, 34)


def stream_of(parts: list[np.ndarray], losses: wire.Losses | None = None) -> sources.Stream:
    return sources.Stream(iter(parts), SENSOR, losses or wire.Losses())


def events(count: int, seed: int = 0) -> np.ndarray:
    recording = made_recording(SENSOR, np.random.default_rng(seed))
    return recording.events[:count]


def answered(stream: sources.Stream, window: EventWindow, keep: int = 8) -> list[watcher.LiveAnswer]:
    return list(watcher.answers(thin_stepper(keep), stream, window, SENSOR, StopRule()))


def test_a_stream_has_the_answers_of_one_pass_over_all_its_windows() -> None:
    """Windows of N/T events are the slices of the file, and carried membranes are those of one pass of T steps."""
    given = events(4000)
    found = answered(stream_of(np.array_split(given, 37)), EventWindow(1000, 1000, False))
    stepper = thin_stepper()
    frames = np.stack([watcher._counted(part, *SENSOR) for part in np.split(given, 4)])
    whole = torch.from_numpy(stepper.framing.of(frames[:, None])).float()
    with torch.no_grad():
        logits = stepper.trained.network(whole, 4)[:, 0]
    for step, answer in enumerate(found, start=1):
        assert answer.probabilities == pytest.approx(logits[:step].mean(0).softmax(-1).tolist(), abs=1e-5)
    assert [answer.events for answer in found] == [1000] * 4


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_real_gesture_through_the_wire_gets_the_answers_of_the_file(kind: str, shared_data: Path) -> None:
    path = shared_data / "samples" / "gesture_8.bin"
    file = sources.opened(str(path), 0, 1)
    assert file.sensor == (128, 128)
    window = window_of("100ms")
    from_file = list(watcher.answers(thin_stepper(), file, window, (128, 128), StopRule()))
    bound = sources.listening(f"{kind}://127.0.0.1:0")
    address = bound.getsockname()
    bound.close()
    live = sources.opened(f"{kind}://127.0.0.1:{address[1]}", 1, 5)
    recording = read_own(path)

    def play() -> None:
        if kind == "udp":
            wire.send(recording.events, address, speed=8, size=1000)
        else:
            with socket.create_connection(address) as out:
                for part in wire.paced(np.array_split(recording.events, 50), 8):
                    out.sendall(part.tobytes())

    threading.Thread(target=play, daemon=True).start()
    from_wire = list(watcher.answers(thin_stepper(), live, window, (128, 128), StopRule()))
    assert len(from_wire) == len(from_file) >= 10
    assert [each.probabilities for each in from_wire] == [each.probabilities for each in from_file]
    assert from_wire[-1].lost_datagrams == from_wire[-1].dropped_events == 0


def test_rows_cut_by_tcp_are_put_together_and_a_cut_end_is_said() -> None:
    given = events(5)
    data = given.tobytes()
    pieces = iter([data[:7], data[7:40], data[40:], b""])
    assert (np.concatenate(list(sources.whole_rows(lambda: next(pieces)))) == given).all()

    def slow() -> bytes:
        raise TimeoutError

    assert list(sources.whole_rows(slow)) == []


def test_a_datagram_is_these_bytes() -> None:
    row = np.array([(3, 258, 1_000_000, 1)], EVENT)
    assert wire.datagram(7, row) == b"SPKE\x07\0\0\0" + b"\x03\0\x02\x01" + b"\x40\x42\x0f\0\0\0\0\0" + b"\x01"
    assert wire.rows(row.tobytes()).tolist() == [(3, 258, 1_000_000, 1)]
    with pytest.raises(SpikeError, match="whole rows of 13 bytes"):
        wire.rows(b"123")


def test_gaps_are_counted_and_late_or_foreign_datagrams_are_no_gap() -> None:
    losses, one = wire.Losses(), events(1)
    reader = wire.Datagrams(losses)
    for number in (0, 1, 4):
        assert reader.read(wire.datagram(number, one)) == one
    assert losses.datagrams == 2
    reader.read(wire.datagram(3, one))
    assert losses.datagrams == 1
    assert len(reader.read(b"GET / HTTP/1.1")) == 0 and losses.foreign == 1  # type: ignore[arg-type]
    assert reader.read(wire.datagram(5, one[:0])) is None and losses.datagrams == 1


def test_what_comes_too_fast_is_dropped_from_the_front_and_said() -> None:
    """Ten events may wait: of six parts of four, the last two do."""
    losses, given = wire.Losses(), events(24)
    waiting = backlog.Backlog(losses, 10)
    for part in np.split(given, 6):
        waiting.put(part)
    waiting.end()
    assert (waiting.take() == given[16:]).all() and losses.events == 16  # type: ignore[union-attr]
    assert waiting.take() is None
    waiting.put(given)
    assert losses.events == 16  # one part alone is kept, however long


def test_a_network_that_is_too_slow_says_what_it_missed() -> None:
    """A second of a million events comes at once while the first window is answered."""
    losses, many = wire.Losses(), np.tile(events(1000), 1000)
    many["t"] = np.arange(len(many))
    received = threading.Event()

    def fast() -> Any:
        yield many[:10_000]
        yield from np.split(many[10_000:], 99)
        received.set()

    parts = backlog.buffered(fast, losses, ahead=50_000)
    found = [next(parts)]
    assert received.wait(10)
    found += list(parts)
    stream = sources.Stream(iter(found), SENSOR, losses)
    answers = answered(stream, EventWindow(10_000, 10_000, False))
    assert answers[-1].dropped_events == losses.events > 0
    assert sum(each.events for each in answers) + losses.events == len(many)


def test_what_ends_a_receiver_ends_the_stream() -> None:
    def broken() -> Any:
        yield events(3)
        raise SpikeError("the cable is cut")

    parts = backlog.buffered(broken, wire.Losses())
    with pytest.raises(SpikeError, match="cable"):
        list(parts)


@pytest.mark.parametrize(("length", "hop", "sizes"), [(3, 3, [3, 3]), (4, 2, [4, 4, 4]), (9, 9, [])])
def test_windows_by_count(length: int, hop: int, sizes: list[int]) -> None:
    given = events(8)
    found = list(EventWindow(length, hop, False).over(np.array_split(given, 3)))
    assert [len(each) for each in found] == sizes
    for number, each in enumerate(found):
        assert (each == given[number * hop : number * hop + length]).all()


def test_windows_by_time_are_hand_computed() -> None:
    given = np.zeros(5, EVENT)
    given["t"] = [100, 104, 109, 110, 131]
    found = [each["t"].tolist() for each in EventWindow(10, 10, True).over([given[:2], given[2:4], given[4:]])]
    assert found == [[100, 104, 109], [110], []]
    overlapping = [each["t"].tolist() for each in EventWindow(10, 5, True).over([given[:4]])]
    assert overlapping == [[100, 104, 109]]


def test_a_window_is_a_time_or_a_number() -> None:
    assert window_of("100ms") == EventWindow(100_000, 100_000, True)
    assert window_of("0.2s", "50ms") == EventWindow(200_000, 50_000, True)
    assert window_of("5000") == EventWindow(5000, 5000, False)
    for window, hop in (("soon", None), ("0", None), ("1.5", None), ("10", "20"), ("10", "5ms")):
        with pytest.raises(ChoiceError):
            window_of(window, hop)


def test_a_growing_file_and_a_pipe_are_rows(tmp_path: Path) -> None:
    given = events(5)
    path = tmp_path / "camera.rows"
    path.write_bytes(given.tobytes())
    found = np.concatenate(list(sources.opened(str(path), 1, 0.05).parts))
    assert (found == given).all()
    assert (np.concatenate(list(sources._piped(io.BytesIO(given.tobytes())))) == given).all()
    with pytest.raises(SpikeError, match="ends within a row"):
        list(sources._piped(io.BytesIO(given.tobytes()[:-1])))


def test_addresses_that_are_none_are_refused() -> None:
    for kind in ("udp", "tcp"):
        with pytest.raises(SpikeError, match=f"{kind}://127"):
            sources.listening(f"{kind}://localhost")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SpikeError, match="choose another address"):
            sources.listening(f"udp://127.0.0.1:{taken.getsockname()[1]}")


def test_an_event_outside_the_sensor_is_refused() -> None:
    given = events(4)
    given["x"][2] = 99
    with pytest.raises(SpikeError, match="outside the sensor of 34 x 34"):
        answered(stream_of([given]), EventWindow(4, 4, False))


def test_the_command_prints_a_line_a_window_and_a_film(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikecli.cli import watch
    from spikecli.datasets.events.facts import EVENT_SETS

    monkeypatch.setattr(watch, "_opened", lambda *given: watch._Watched(thin_stepper(), EVENT_SETS["nmnist"]))
    path, film = tmp_path / "camera.rows", tmp_path / "film.gif"
    path.write_bytes(events(300).tobytes())
    words = ["watch", "run", path, "--window", 100, "--idle", 0.05]
    found = cli(*words, "--record", film, "--json")
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert found.code == 0 and [line["step"] for line in lines] == [1, 2, 3]
    assert {"class", "probability", "sure", "lost_datagrams", "dropped_events", "t"} <= set(lines[0])
    assert film.read_bytes().startswith(b"GIF8")
    sure = cli(*words, "--json", "--until-sure", "--confidence", 0.01)
    assert len(sure.out.splitlines()) == 1
    assert "answer" in cli(*words).out
    assert cli(*words, "--record", tmp_path / "film.avi").code == 1


def test_a_stream_that_fills_no_window_is_said(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.cli import watch
    from spikecli.datasets.events.facts import EVENT_SETS

    (path := tmp_path / "grown.rows").write_bytes(b"")
    monkeypatch.setattr(watch, "_opened", lambda *given: watch._Watched(thin_stepper(), EVENT_SETS["nmnist"]))
    found = cli("watch", "run", path, "--window", 100, "--idle", 0.05)
    assert found.code == 1 and "ended before a window of 100 was full" in found.err


def test_a_window_needs_a_screen(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.cli import watch
    from spikecli.datasets.events.facts import EVENT_SETS

    monkeypatch.setattr(watch, "_opened", lambda *given: watch._Watched(thin_stepper(), EVENT_SETS["nmnist"]))
    monkeypatch.delenv("DISPLAY", raising=False)
    path = tmp_path / "camera.rows"
    path.write_bytes(events(300).tobytes())
    found = cli("watch", "run", path, "--window", 100, "--idle", 0.05, "--picture")
    assert found.code == 1 and found.err.count("\n") == 1
    assert "cannot open a window" in found.err or "found no tkinter" in found.err


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no Xvfb: a screen in memory")
def test_a_window_follows_the_answers_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    tkinter: Any = pytest.importorskip("tkinter", reason="this Python has no tkinter")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing)]
    with subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL) as xvfb:
        os.close(writing)
        try:
            with os.fdopen(reading) as said:
                monkeypatch.setenv("DISPLAY", f":{said.readline().strip()}")
            counts = watcher._counted(events(500), *SENSOR)
            with live.live_window("watch") as show:
                assert show(counts, "0.10 s   clap   90%") and show(0 * counts, "0.20 s   clap   91%")
                root = tkinter._get_default_root()  # type: ignore[attr-defined]
                root.tk.call(*root.protocol("WM_DELETE_WINDOW").split())  # as its close button does
                assert not show(counts, "0.30 s   clap   92%")
        finally:
            xvfb.terminate()


def test_points_cannot_be_watched(cli: Cli) -> None:
    outcome = cli("watch", "reference", "udp://127.0.0.1:0")
    assert outcome.code == 1 and "needs a network on recordings" in outcome.err
