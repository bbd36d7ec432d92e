"""Shared fixtures: a command line that returns its exit code and output, and the real files where they lie."""

from __future__ import annotations

import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spikecli.cli import run

SHARED = Path(os.environ.get("SPIKECLI_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Have SIGINT heard here and in child processes: what a shell starts in the background is told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Outcome:
    """What one command line left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process: `cli("data", "list", "--json").document`."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def shared_data() -> Path:
    """The folder of real files; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def shapes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the built-in shapes prepared at 64 points a cloud."""
    folder = tmp_path_factory.mktemp("data")
    assert run(["data", "prepare", "shapes", "--points", "64", "--data-dir", str(folder), "--quiet", "--json"]) == 0
    return folder


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of files from public bug reports; the test is skipped where their archive is absent."""
    if not (SHARED / "faults.tar.xz").is_file():
        pytest.skip(f"no real data at {SHARED}")
    folder = tmp_path_factory.mktemp("faults")
    with tarfile.open(SHARED / "faults.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "faults"
