"""Files are whole or not there at all."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from pathlib import Path

import forks
import h5py
import numpy as np
import pytest

from spikecli.errors import SpikeError
from spikecli.files import sink
from spikecli.files.atomic import LOCK, UNFINISHED, atomic_path, sole_writer, write_text
from spikecli.files.hdf5 import atomic_hdf5
from spikecli.files.sink import Sink


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpikeError, match="not a folder"):
        write_text(tmp_path / "file" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SpikeError, match="there is a folder of that name"):
        write_text(tmp_path / "folder", "x")


FULL = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from spikecli.errors import SpikeError
path = Path(sys.argv[2])
try:
    if sys.argv[1] == "hdf5":
        from spikecli.files.hdf5 import atomic_hdf5
        with atomic_hdf5(path) as file:
            file.create_dataset("a", data=[1.5] * 100_000)
            file.create_dataset("b", data=list(range(100_000)))
    else:
        import torch
        from spikecli.weights import checkpoint
        from spikecli.settings.config import TrainConfig
        checkpoint.save(path, checkpoint.Checkpoint({"a": torch.zeros(100_000)}, TrainConfig(), ("x",)))
except SpikeError as problem:
    print(problem)
"""


@pytest.mark.parametrize("kind", ["hdf5", "checkpoint"])
def test_a_file_that_does_not_fit_is_one_line_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    done = forks.run(
        [sys.executable, "-c", FULL, kind, str(tmp_path / "big")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write {tmp_path / 'big'}: ") and done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from spikecli.files.atomic import atomic_path, scratch_folder\n"
        "f = pathlib.Path(sys.argv[1])\n"
        "with atomic_path(f / 'a.txt') as one, scratch_folder(f) as two, atomic_path(f / 'raw' / 'b.txt'):\n"
        "    (two / 'c').mkdir(); one.write_text('half'); os.kill(os.getpid(), 9)"
    )
    (tmp_path / "kept.txt").write_text("whole")
    assert forks.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    assert len(list(tmp_path.rglob(f"{UNFINISHED}*"))) == 3
    with sole_writer(tmp_path, "sweeping"):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".lock", "kept.txt", "raw"]


def test_a_folder_that_vanishes_is_not_made_anew_by_the_one_who_holds_it(tmp_path: Path) -> None:
    held = tmp_path / "mount" / "run"
    with sole_writer(held, "training"):
        write_text(held / "a.txt", "before")
        (tmp_path / "mount").rename(tmp_path / "away")
        with pytest.raises(SpikeError, match=r"cannot write .*b\.txt: a folder on the way has vanished"):
            write_text(held / "inner" / "b.txt", "after")
    assert not held.exists() and (tmp_path / "away" / "run" / "a.txt").read_text() == "before"
    write_text(held / "b.txt", "later")  # nobody holds it any more


def test_a_lock_that_says_nothing_is_still_a_lock(tmp_path: Path) -> None:
    with sole_writer(tmp_path, "training"):
        for content in (b"\xff\xfe", b""):
            (tmp_path / LOCK).write_bytes(content)
            with pytest.raises(SpikeError, match="in process unknown"), sole_writer(tmp_path, "training"):
                pass


def test_a_second_writer_is_told_who_the_first_is_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from spikecli.files.atomic import sole_writer; "
        "sole_writer(pathlib.Path(sys.argv[1]), 'x')"
    )
    with (
        sole_writer(tmp_path, "training"),
        pytest.raises(SpikeError, match=f"training in .* process {os.getpid()}"),
        sole_writer(tmp_path, "training"),
    ):
        pass
    killed = f"{code}.__enter__(); os.kill(os.getpid(), 9)"
    assert forks.run([sys.executable, "-c", killed, str(tmp_path)]).returncode == -9
    with sole_writer(tmp_path, "training"):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("call", [1, 4, 7])
def test_an_interruption_while_hdf5_writes_is_heard_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, number: signal.Signals
) -> None:
    """Raised inside HDF5 it would become "Can't decrement id ref count", and a file that cannot be closed."""
    calls, real, loose = [], Sink.write, []

    def write(self: Sink, data: memoryview) -> int:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return real(self, data)

    def ended(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sink, "write", write)
    monkeypatch.setattr(sink, "_INSIDE", {*sink._INSIDE, write.__code__})
    monkeypatch.setattr(sys, "unraisablehook", loose.append)
    before = signal.signal(number, ended)
    try:
        with pytest.raises(KeyboardInterrupt):
            with atomic_hdf5(tmp_path / "a.h5") as file:
                for name in "abc":
                    file[name] = np.arange(2000.0)
            time.sleep(5)
    finally:
        signal.signal(number, before)
    gc.collect()
    assert len(calls) >= call and not loose and not list(tmp_path.glob(".unfinished*"))
    if (tmp_path / "a.h5").exists():
        with h5py.File(tmp_path / "a.h5") as file:
            assert file["c"][-1] == 1999


def test_hdf5_asks_nothing_of_a_file_that_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b", buffering=0) as raw:
        place = Sink(raw)
    buffer = bytearray(b"12")
    assert place.write(memoryview(b"abc")) == 3 and place.readinto(memoryview(buffer)) == 2 and buffer == b"\0\0"
    assert (place.seek(4), place.truncate(9), place.failure) == (0, 9, None)
