"""Damaged files of every format, each read by a child that may take two seconds and one gigabyte.

Run as a module it is the child: it makes and reads the files of one format, and says on its stdout how each ended.
The parent counts, and starts another child after one that was killed or hung.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torture import commands
from torture.commands import environment, processor_time
from torture.report import Tally

SECONDS = 2.0  # of processor time for a file: what else the machine does is not the reader's fault
SHARES = 186.6  # the sum over all formats
PATIENCE = 10.0  # seconds of processor time without a word from a child: it hangs where no alarm is heard
MEMORY = 1 << 30  # bytes beyond what the program takes before it reads
GROUPS = (
    "OFF", "PLY", "PCD", "NPY", "TXT XYZ", "OBJ", "STL", "LAS", "scans", "NPZ clouds",
    "NPZ", "HDF5", "bin", "dat", "aedat 2", "aedat 3.1", "aedat 4",
    "EVT raw", "event text", "CIFAR bin", "pictures",
    "JSON records", "lists and labels", "TOML settings", "templates and classes", "archives", "checkpoints",
    "run states", "adapters", "CLIP weights", "CLIP settings", "features",
)  # fmt: skip


class _Late(BaseException):
    """Raised by the alarm; no reader's `except` may catch it."""


def run(seed: int, files: int, groups: Sequence[str] = GROUPS, children: int = 2) -> list[Tally]:
    """Return a tally for each group of formats after reading about `files` damaged files of all of them."""
    shares: dict[str, list[str]] = {}
    for index, group in enumerate(groups):
        shares.setdefault(str(index % children), []).append(group)
    tallies = {group: Tally(f"files: {group}") for group in groups}
    parts = [_Child(seed, files, part, tallies) for part in shares.values()]
    with selectors.DefaultSelector() as waiting:
        for part in parts:
            part.start(waiting)
        while waiting.get_map():
            for key, _ in waiting.select(1.0):
                key.data.hear(waiting)
            for part in parts:
                part.check()
    return list(tallies.values())


class _Child:
    """One child after another that reads the files of some groups, and what is known of the file it is at."""

    def __init__(self, seed: int, files: int, groups: Sequence[str], tallies: dict[str, Tally]) -> None:
        self.seed, self.files, self.groups, self.tallies = seed, files, groups, tallies
        self.at: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.worked = 0.0  # processor time when it was last heard
        self.hangs = False
        self.rest = b""

    def start(self, waiting: selectors.BaseSelector) -> None:
        after = f"{self.at['format']}:{self.at['number']}" if self.at else ""
        order = [str(self.seed), str(self.files), ",".join(self.groups), after]
        command = [sys.executable, "-m", "torture.fuzz", *order]
        self.words = tempfile.TemporaryFile()  # noqa: SIM115 (the child's: looked at when it ends as it should not)
        self.process = commands.Process(command, stdout=subprocess.PIPE, stderr=self.words, env=environment())
        self.worked, self.hangs, self.rest = 0.0, False, b""
        waiting.register(self._pipe(), selectors.EVENT_READ, self)

    def _pipe(self) -> Any:
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout

    def hear(self, waiting: selectors.BaseSelector) -> None:
        assert self.process is not None
        data = os.read(self._pipe().fileno(), 1 << 16)
        self.worked = processor_time(self.process.pid)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if not data:
            self._ended(waiting)

    def _take(self, said: dict[str, Any]) -> None:
        if "begin" in said:
            self.at = said["begin"]
            return
        if "done" in said:
            self.at = {}
            return
        tally = self.tallies[self.at["group"]]
        tally.seconds += said["seconds"]
        tally.slowest = max(tally.slowest, said["seconds"])
        tally.peak_mb = max(tally.peak_mb, said["mb"])
        if said["kind"] in ("data", "refused"):
            tally.good(said["kind"] == "refused")
        else:
            tally.fault(said["kind"], f"{self._name()}: {said['line']}")

    def _ended(self, waiting: selectors.BaseSelector) -> None:
        assert self.process is not None
        waiting.unregister(self._pipe())
        code = self.process.wait()
        self._pipe().close()
        self.words.seek(0)
        last = (self.words.read().decode(errors="replace").splitlines() or ["no word"])[-1]
        self.words.close()
        if self.at:  # it died at a file: say so, go on with the next one
            kind, line = ("hang", "no word") if self.hangs else ("traceback", f"ended the program with {code}, {last}")
            self.tallies[self.at["group"]].fault(kind, f"{self._name()}: {line}")
            self.start(waiting)
        elif code:
            self.tallies[self.groups[0]].fault("traceback", f"a child could not begin: exit {code}, {last}")

    def check(self) -> None:
        """Kill the child when it has worked for long without a word."""
        assert self.process is not None
        if self.at and not self.hangs and processor_time(self.process.pid) - self.worked > PATIENCE:
            self.hangs = True
            self.process.kill()

    def _name(self) -> str:
        return f"--seed {self.seed} {self.at['format']}:{self.at['number']}"


def case(seed: int, name: str, number: int) -> np.random.Generator:
    """Return the generator of one file: the same whatever came before it."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), number])


def main(seed: int, files: int, groups: list[str], after: str) -> None:
    """Make and read the files of `groups`, those after `after` ("name:number") alone."""
    from torture.formats import all_formats

    say = os.fdopen(os.dup(1), "wb", buffering=0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    with tempfile.TemporaryDirectory(prefix="torture-") as scratch:
        everything = all_formats(Path(scratch) / "kept", groups)
        name, _, number = after.partition(":")
        begun = not name
        for one in everything:
            first = int(number) + 1 if one.name == name else 0
            begun = begun or one.name == name
            for index in range(first if begun else 1 << 60, round(files * one.share / SHARES)):
                about = {"group": one.group, "format": one.name, "number": index}
                say.write(json.dumps({"begin": about}).encode() + b"\n")
                folder = Path(scratch) / "case"
                folder.mkdir(exist_ok=True)
                path = folder / one.name
                path.write_bytes(one.make(case(seed, one.name, index)))
                say.write(json.dumps(judged(one.read, path)).encode() + b"\n")
    say.write(b'{"done": true}\n')


def judged(read: Any, path: Path) -> dict[str, Any]:
    """Return how reading `path` ended: in data, refused in one line, or as it must not."""
    from spikecli.errors import SpikeError

    kind, line = "data", ""
    limited, before = _limit_memory(), _resident("VmRSS", reset=True)
    start = time.process_time()
    held = signal.signal(signal.SIGPROF, _too_late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read(path)
    except SpikeError as problem:
        kind, line = ("refused", "") if "\n" not in str(problem) else ("traceback", f"more than one line: {problem}")
    except _Late:
        kind, line = "hang", "".join(traceback.format_exc().splitlines()[-3:-1])
    except BaseException as error:  # noqa: BLE001 (whatever is not a SpikeError is what we look for)
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/spikecli/" in frame.filename] or frames
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        kind, line = "traceback", f"{type(error).__name__}: {str(error)[:150]} ({where})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, held)
        seconds = time.process_time() - start
        resource.setrlimit(resource.RLIMIT_AS, limited)
    return {"kind": kind, "line": line, "seconds": seconds, "mb": max(0, _resident("VmHWM") - before) / 1024}


def _too_late(number: int, frame: Any) -> None:
    raise _Late


def _resident(what: str, reset: bool = False) -> int:
    """Return a line of this process's status in kB; `reset` lets its highest mark begin anew."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def _limit_memory() -> tuple[int, int]:
    """Allow a gigabyte beyond what there is; return the limit before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    return before


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [group for group in sys.argv[3].split(",") if group], sys.argv[4])
