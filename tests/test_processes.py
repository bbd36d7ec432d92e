"""Two processes with half the batch each against one with the whole of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import forks
import pytest

COMMON = [
    "train", "shapes", "--paper", "lif", "--tnet", "pooled", "--dropout", "0", "--precision", "fp64", "--points", "8",
    "--batch-size", "60", "--no-reestimate", "--rmp-weight", "0.5", "--json", "--quiet",
]  # fmt: skip


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "spikecli", *COMMON, "--data-dir", str(data), "--out", str(out), *more]


def quiet_threads() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "SPIKECLI_PROCESS_BACKEND": "gloo"}  # one GPU may be all there is


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def one(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "run"
    forks.run(command(shapes_dir, out, "--epochs", "2"), check=True, capture_output=True, env=quiet_threads())
    return out


def ranks(count: int) -> list[dict[str, str]]:
    """Return the environment that torchrun gives to each of its processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
    return [{**quiet_threads(), **common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def test_two_processes_draw_the_same_curve_as_one(shapes_dir: Path, tmp_path: Path, one: Path) -> None:
    two = tmp_path / "two"
    line = command(shapes_dir, two, "--epochs", "2", "--processes", "2")
    both = [forks.Fork(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) for env in ranks(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert json.loads(said[0][0])["epochs"] == 2 and said[1][0] == ""  # one document, from one of the two
    for alone, together in zip(curve(one), curve(two), strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-5)
        assert together["train_accuracy"] == pytest.approx(alone["train_accuracy"], abs=1e-9)
        assert together["quantization_error"] == pytest.approx(alone["quantization_error"], abs=1e-6)
        assert together["val_accuracy"] == pytest.approx(alone["val_accuracy"], abs=1e-9)


def test_a_killed_worker_ends_the_run_which_goes_on_alone(shapes_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    launcher = forks.Fork(  # the launcher alone: torchrun and its processes are new interpreters
        command(shapes_dir, out, "--epochs", "200", "--processes", "2"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=quiet_threads(),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    holder = int((out / ".lock").read_text())  # the process that writes
    os.kill(holder, signal.SIGKILL)
    _, errors = launcher.communicate(timeout=120)
    assert launcher.returncode == 1
    assert "goes on with --resume" in errors.splitlines()[-1]
    done = len(curve(out))
    alone = [*command(shapes_dir, out, "--epochs", "200", "--resume")]
    process = forks.Fork(alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet_threads())
    while len(curve(out)) <= done and time.monotonic() < deadline + 120:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in errors
    assert len(curve(out)) > done
