"""Training and preparation, killed again and again at random moments, end in the bits of undisturbed ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cloud_files import CUBE
from event_bytes import bin_bytes, some_events

from spikecli.datasets.clouds.facts import POINT_SETS
from spikecli.errors import SpikeError
from spikecli.files.atomic import UNFINISHED
from spikecli.weights import checkpoint as checkpoints
from torture import commands
from torture.commands import Ended
from torture.report import Tally

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CHAIN = 5  # kills of one run before it may end
Until = Callable[[int], bool]
Moments = Iterator[tuple[Until, int]]


def moments(rng: np.random.Generator, folder: Path, whole: float) -> Moments:
    """Yield when to kill, and by what: at any moment of a run that takes `whole` seconds, or inside a write."""
    turn = int(rng.integers(3))
    while True:
        after = float(rng.uniform(0, whole))
        turn += 1
        if turn % 2:
            yield (lambda pid, after=after: commands.processor_time(pid) >= after), SIGNALS[turn % 3]
        else:
            skip = int(rng.integers(4))
            yield _in_write(folder, skip), SIGNALS[turn % 3]


def _in_write(folder: Path, skip: int) -> Until:
    """Return whether a file of `folder` is half-written, after that has been seen of `skip` others."""
    seen: set[str] = set()

    def until(pid: int) -> bool:
        seen.update(path.name for path in folder.glob(f"{UNFINISHED}*"))
        return len(seen) > skip

    return until


def train(seed: int, kills: int, folder: Path, epochs: int = 5, data: Path | None = None, points: int = 64) -> Tally:
    """Return the tally of `kills` kills of training on the built-in shapes, in chains of CHAIN.

    `data` holds them prepared already; they are thinned to `points`.
    """
    tally, begun, rng = Tally("kills: train"), time.monotonic(), np.random.default_rng([seed, 1])
    whole = folder / "whole"
    if data is None:
        data = folder / "data"
        commands.run((*commands.PYTHON, "data", "prepare", "shapes", "--points", "64", "--data-dir", str(data)))
    common = [
        *commands.PYTHON, "train", "shapes", "--data-dir", str(data), "--points", str(points), "--batch-size", "100",
        "--epochs", str(epochs), "--quiet",
    ]  # fmt: skip
    seconds: list[float] = [0.0]
    ended = commands.run([*common, "--out", str(whole)], lambda pid: _note(seconds, pid))
    assert ended.code == 0, ended.words
    inside = 0
    for chain in range(0, kills, CHAIN):
        out = folder / f"run-{chain}"
        out.mkdir()
        when = moments(rng, out, seconds[0])
        for number in range(chain, min(chain + CHAIN, kills)):
            until, by = next(when)
            ended = commands.run([*common, "--out", str(out), *_resume(out)], until, by)
            inside += bool(list(out.glob(f"{UNFINISHED}*")))
            _judge(tally, f"--seed {seed} kill {number} by {by.name}", ended, lambda out=out: _loads(out))
        ended = commands.run([*common, "--out", str(out), *_resume(out)])
        fault = ended.complaint or (
            f"wrong: exit {ended.code}: {ended.words[-200:]}" if ended.code else _differs(out, whole)
        )
        if fault:
            tally.fault(*_split(f"{fault} (--seed {seed}, chain from kill {chain})"))
        shutil.rmtree(out)
    tally.note = (
        f"{inside} of {kills} left a half-written file behind; compared with an undisturbed run after every {CHAIN}"
    )
    tally.seconds = time.monotonic() - begun
    return tally


def _note(seconds: list[float], pid: int) -> bool:
    seconds[0] = max(seconds[0], commands.processor_time(pid))
    return False


def _resume(out: Path) -> list[str]:
    return ["--resume"] if (out / "state.safetensors").exists() else []


def _judge(tally: Tally, what: str, ended: Ended, stands: Callable[[], str]) -> None:
    """Count a kill: it must end by its signal, in one line, or done; and whatever stands must load."""
    fault = ended.complaint
    if not fault and ended.code not in (0, 130, *(-number for number in SIGNALS)):
        fault = f"wrong: exit {ended.code}: {ended.words[-200:]}"
    fault = fault or stands()
    if fault:
        tally.fault(*_split(f"{fault} ({what})"))
    else:
        tally.good(refused=ended.code == 130)


def _split(fault: str) -> tuple[str, str]:
    kind, _, line = fault.partition(": ")
    return kind, line


def _loads(out: Path) -> str:
    """Return what is wrong with the files of a run that was killed, or nothing."""
    try:
        for name in ("state", "model", "best"):
            path = out / f"{name}.safetensors"
            if path.exists() and name == "state":
                checkpoints.load(path)
            elif path.exists():
                checkpoints.network(checkpoints.load(path), path)
        for line in (out / "metrics.jsonl").read_text().splitlines() if (out / "metrics.jsonl").exists() else []:
            json.loads(line)
    except (SpikeError, ValueError) as problem:
        return f"wrong: {problem}"
    return ""


def _differs(out: Path, whole: Path) -> str:
    """Return how a run differs from an undisturbed one, or nothing."""
    for name in ("model", "best", "state"):
        ours, theirs = (checkpoints.load(folder / f"{name}.safetensors").tensors for folder in (out, whole))
        if ours.keys() != theirs.keys() or not all(torch.equal(ours[key], theirs[key]) for key in theirs):
            return f"wrong: {name}.safetensors has other bits"
    if _curve(out) != _curve(whole):
        return "wrong: metrics.jsonl has gaps, repeats or other numbers"
    left = [path.name for path in out.glob(f"{UNFINISHED}*")]
    return f"wrong: left {left}" if left else ""


def _curve(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in ("epoch", "loss", "train_accuracy", "val_accuracy", "lr")} for line in lines]


def prepare(seed: int, kills: int, folder: Path) -> Tally:
    """Return the tally of `kills` kills of preparations: half of clouds with workers, half of events."""
    tally, begun, rng = Tally("kills: data prepare"), time.monotonic(), np.random.default_rng([seed, 2])
    for name, source in (("modelnet10", clouds(folder)), ("nmnist", events(folder))):
        whole, data = folder / f"{name}-whole", folder / f"{name}-data"
        more = ["--points", "512", "--sampling", "fps"] if name == "modelnet10" else []
        common = [*commands.PYTHON, "data", "prepare", name, "--from", str(source), *more, "--quiet", "--data-dir"]
        seconds = [0.0]
        ended = commands.run([*common, str(whole)], lambda pid, seconds=seconds: _note(seconds, pid))
        assert ended.code == 0, ended.words
        when = moments(rng, data / name, seconds[0])
        for number in range(kills // 2):
            until, by = next(when)
            ended = commands.run([*common, str(data)], until, by)
            _judge(tally, f"--seed {seed} {name} kill {number} by {by.name}", ended, lambda: "")
            if ended.code == 0:  # it was too quick: the next one begins anew
                tally.faults += [f"wrong: {name} has other bits"] if _sums(data / name) != _sums(whole / name) else []
                shutil.rmtree(data / name)
        ended = commands.run([*common, str(data)])
        fault = ended.complaint or (f"wrong: exit {ended.code}" if ended.code else "")
        if not fault and _sums(data / name) != _sums(whole / name):
            fault = f"wrong: {name} after kills has {sorted(_sums(data / name))}, other names or bits"
        if fault:
            tally.fault(*_split(f"{fault} (--seed {seed})"))
    tally.seconds = time.monotonic() - begun
    return tally


def _sums(place: Path) -> dict[str, str]:
    """Return the checksum of every file of a prepared data set."""
    paths = [path for path in place.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def clouds(folder: Path, each: int = 12) -> Path:
    """Return an archive of meshes in ModelNet10's layout, enough of them for several workers."""
    path, rng = folder / "ModelNet10.zip", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in POINT_SETS["modelnet10"].classnames:
            for number in range(1, 2 * each + 1):
                split = "train" if number <= each else "test"
                corners = [" ".join(f"{value:.4f}" for value in rng.normal(size=3)) for _ in range(8)]
                text = "\n".join(["OFF", "8 12 0", *corners, *CUBE.splitlines()[9:]])
                archive.writestr(f"ModelNet10/{name}/{split}/{name}_{number:04d}.off", text)
    return path


def events(folder: Path, each: int = 6) -> Path:
    """Return an archive of recordings in N-MNIST's layout."""
    path = folder / "N-MNIST.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10 * each * 2):
            split, digit = ("Train", "Test")[number % 2], number // 2 % 10
            data = bin_bytes(some_events(400, 34, 34, number))
            archive.writestr(f"N-MNIST/{split}/{digit}/{number:05d}.bin", data)
    return path
