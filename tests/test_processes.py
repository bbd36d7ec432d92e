"""Two processes with half the batch each against one with the whole of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    subprocess.run(command(shapes_dir, out, "--epochs", "2"), check=True, capture_output=True, env=quiet_threads())
    return out


def test_two_processes_draw_the_same_curve_as_one(shapes_dir: Path, tmp_path: Path, one: Path) -> None:
    two = tmp_path / "two"
    done = subprocess.run(
        command(shapes_dir, two, "--epochs", "2", "--processes", "2"), check=True, capture_output=True, text=True,
        env=quiet_threads(),
    )  # fmt: skip
    assert json.loads(done.stdout)["epochs"] == 2  # one document, from one of the two
    for alone, together in zip(curve(one), curve(two), strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-5)
        assert together["train_accuracy"] == pytest.approx(alone["train_accuracy"], abs=1e-9)
        assert together["quantization_error"] == pytest.approx(alone["quantization_error"], abs=1e-6)
        assert together["val_accuracy"] == pytest.approx(alone["val_accuracy"], abs=1e-9)


def test_a_killed_worker_ends_the_run_which_goes_on_alone(shapes_dir: Path, tmp_path: Path, one: Path) -> None:
    out = tmp_path / "killed"
    launcher = subprocess.Popen(
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
    process = subprocess.Popen(alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet_threads())
    while len(curve(out)) <= done and time.monotonic() < deadline + 120:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in errors
    assert len(curve(out)) > done
