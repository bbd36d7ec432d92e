"""Places that fail: full, read-only, forbidden, vanished, from the future. One line, exit 1, nothing old is lost."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from spikecli import cli
from spikecli.datasets.sets import verify
from spikecli.errors import SpikeError
from spikecli.files.atomic import UNFINISHED
from spikecli.weights import checkpoint as checkpoints
from torture import commands
from torture.commands import Ended
from torture.kills import clouds, events
from torture.report import Tally

WITHOUT_POWER = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)


class Ground:
    """Two prepared data sets, a run, and the commands that would add to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.data, self.out = folder, folder / "data", folder / "runs" / "run"
        self.clouds, self.events, self.seed = clouds(folder, 3), events(folder, 2), seed
        for command in (self.prepare_clouds(512), self.prepare_events(), self.train(1)):
            assert cli.run(command[len(commands.PYTHON) :]) == 0  # in this process: nothing disturbs it

    def prepare_clouds(self, points: int) -> list[str]:
        """Return the command that prepares clouds of so many points."""
        return self._prepare("modelnet10", self.clouds, "--points", str(points))

    def prepare_events(self) -> list[str]:
        """Return the command that prepares recordings anew."""
        return self._prepare("nmnist", self.events, "--force")

    def _prepare(self, name: str, source: Path, *more: str) -> list[str]:
        return [*commands.PYTHON, "data", "prepare", name, "--from", str(source), *more, "--data-dir", str(self.data)]

    def train(self, epochs: int, *more: str, out: Path | None = None) -> list[str]:
        """Return the command that trains for so many epochs."""
        return [
            *commands.PYTHON, "train", "modelnet10", "--points", "16", "--batch-size", "8", "--epochs", str(epochs),
            "--quiet", "--data-dir", str(self.data), "--out", str(out or self.out), *more,
        ]  # fmt: skip

    def stands(self) -> str:
        """Return what of it does not load any more, or nothing."""
        try:
            for name in ("modelnet10", "nmnist"):
                verify(self.data, name)
            for name in ("state", "model"):
                checkpoints.load(self.out / f"{name}.safetensors")
        except SpikeError as problem:
            return f"wrong: {problem}"
        left = [str(path) for path in self.folder.rglob(f"{UNFINISHED}*")]
        return f"wrong: left {left}" if left else ""


def run(seed: int, folder: Path, rounds: int = 2) -> Tally:
    """Return the tally of every kind of place that fails."""
    tally, begun = Tally("disks"), time.monotonic()
    rng = np.random.default_rng([seed, 3])
    ground = Ground(folder, seed)
    for place in (_full, _mounted_full, _read_only, _forbidden, _vanished, _future):
        for number in range(rounds):
            place(tally, ground, rng, f"--seed {seed} round {number}")
    tally.seconds = time.monotonic() - begun
    return tally


def _judge(tally: Tally, what: str, ended: Ended, stands: str, done: bool = False) -> None:
    """Count an end that must be one line and exit 1, or exit 0 where the work may be done all the same."""
    fault = ended.complaint
    if not fault and not (ended.is_one_line or (done and ended.code == 0)):
        fault = f"wrong: exit {ended.code}: {ended.words[-300:]!r}"
    _count(tally, what, fault or stands, ended.code == 1)


def _count(tally: Tally, what: str, fault: str, refused: bool) -> None:
    if fault:
        kind, _, line = fault.partition(": ")
        tally.fault(kind, f"{what}: {line}")
    else:
        tally.good(refused)


def _writers(ground: Ground) -> list[tuple[str, list[str]]]:
    return [
        ("prepare clouds", ground.prepare_clouds(500)),
        ("prepare events", ground.prepare_events()),
        ("train", ground.train(1, out=ground.folder / "runs" / "fresh")),
        ("resume", ground.train(9, "--resume")),
    ]


def _full(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """No file may become larger than a few bytes, or than the larger part of what is to be written."""
    for what, command in _writers(ground):
        limit = int(rng.choice([0, 1, 100, 5_000, 60_000]))
        if limit >= 5_000 and "train" not in command:
            limit = 100
        ended = commands.run(command, limits=[(resource.RLIMIT_FSIZE, (limit, limit))])
        _judge(tally, f"{what}, no file over {limit} bytes, {round_}", ended, ground.stands())
        shutil.rmtree(ground.folder / "runs" / "fresh", ignore_errors=True)


@contextmanager
def _mount(place: Path, *options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(place)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def can_mount(folder: Path) -> bool:
    """Return whether this user may mount a small file system."""
    try:
        with _mount(folder / "trial", "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _mounted_full(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """A file system of a few kilobytes, which is full after some of what is to be written."""
    if not can_mount(ground.folder):
        return
    for what, command in _writers(ground)[:3]:
        size = int(rng.integers(1, 12)) * 8
        with ExitStack() as stack:
            small = ground.folder / "small"
            stack.enter_context(_mount(small, "-t", "tmpfs", "-o", f"size={size}k", "tmpfs"))
            there = [
                word if word not in (str(ground.data), str(ground.folder / "runs" / "fresh")) else str(small / "x")
                for word in command
            ]
            if what == "train":
                there[there.index("--data-dir") + 1] = str(ground.data)
            _judge(tally, f"{what}, {size} kB of disk, {round_}", commands.run(there), ground.stands(), done=True)


def _read_only(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """The data and the runs lie on a read-only file system."""
    if not can_mount(ground.folder):
        return
    for what, command in _writers(ground):
        with ExitStack() as stack:
            for place in (ground.data, ground.folder / "runs"):
                stack.enter_context(_mount(place, "--bind", "-o", "ro", str(place)))
                subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True, capture_output=True)
            ended = commands.run(command)
        _judge(tally, f"{what}, read-only, {round_}", ended, ground.stands())


def _forbidden(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """Permission is denied: to write in a folder, or to read what lies in it."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return
    prefix = WITHOUT_POWER if os.geteuid() == 0 else ()
    places = [ground.data / "modelnet10", ground.data / "nmnist", ground.folder / "runs", ground.out]
    for (what, command), place in zip(_writers(ground), places, strict=True):
        for mode in (0o555, 0o000):
            place.chmod(mode)
            try:
                ended = commands.run(command, prefix=prefix)
            finally:
                place.chmod(0o755)
            _judge(tally, f"{what}, mode {mode:o}, {round_}", ended, ground.stands())


def _vanished(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """The folder goes while the program is at work in it."""
    out, new = ground.folder / "runs" / "fresh", ground.folder / "new"

    def gone(there: Path, what: Path) -> Callable[[int], bool]:
        def until(pid: int) -> bool:
            if there.exists():
                what.rename(ground.folder / "elsewhere")
                return True
            return False

        return until

    for what, command, there, place in (
        ("train", ground.train(50, out=out), out / "metrics.jsonl", out),
        ("prepare clouds", _into(ground.prepare_clouds(500), ground), new / "modelnet10" / ".lock", new),
        ("prepare events", _into(ground.prepare_events(), ground), new / "nmnist" / ".lock", new),
    ):  # fmt: skip
        ended = commands.run(command, gone(there, place), signal.SIGCONT)
        left = f"wrong: {place} was made anew" if place.exists() else ""
        # What was put aside is as good as it was.
        _judge(tally, f"{what}, folder gone, {round_}", ended, left or _clean(ground))
        shutil.rmtree(ground.folder / "elsewhere", ignore_errors=True)


def _clean(ground: Ground) -> str:
    shutil.rmtree(ground.folder / "elsewhere", ignore_errors=True)
    return ground.stands()


def _into(command: Sequence[str], ground: Ground) -> list[str]:
    return [word if word != str(ground.data) else str(ground.folder / "new") for word in command]


def _future(tally: Tally, ground: Ground, rng: np.random.Generator, round_: str) -> None:
    """The clock was set back: every file seems to be of next year."""
    later = time.time() + 365 * 86_400
    for path in ground.folder.rglob("*"):
        os.utime(path, (later, later))
    again = ground.folder / "runs" / "again"
    shutil.copytree(ground.out, again)
    scored = [*commands.PYTHON, "eval", str(ground.out), "--timesteps", "1", "--runs", "1"]
    for what, command in (
        ("prepare", ground.prepare_clouds(512)),
        ("resume", ground.train(2, "--resume", out=again)),
        ("eval", [*scored, "--data-dir", str(ground.data)]),
    ):
        ended = commands.run(command)
        fault = ended.complaint or (f"wrong: exit {ended.code}: {ended.words[-200:]}" if ended.code else "")
        _count(tally, f"{what}, clock set back, {round_}", fault or ground.stands(), refused=False)
    shutil.rmtree(again)
