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
from spikecli.datasets.clouds import prepare
from spikecli.datasets.clouds.shapes import ShapeRecipe

# Files that take long, the longest first, in processor seconds. With `--dist loadfile --no-loadscope-reorder`, as
# `make test` has it, files are handed out in this order, so that no processor is left with a long one at the end.
LONG = {
    "test_tutorials.py": 79, "test_event_training.py": 71, "test_view_runs.py": 69, "test_own_pages.py": 68,
    "test_reparameterize.py": 63, "test_ablate.py": 61, "test_export_onnx.py": 59, "test_train.py": 58,
    "test_trust.py": 50, "test_processes.py": 50, "test_joint.py": 49, "test_snapshots.py": 47, "test_torture.py": 40,
    "test_torture_kills.py": 40, "test_site.py": 38, "test_view_spikes.py": 34, "test_step_scores.py": 34,
    "test_library.py": 32, "test_torture_places.py": 32, "test_view_points.py": 31, "test_mini.py": 30,
    "test_house.py": 27, "test_view_events.py": 27, "test_sweeps.py": 26, "test_trained.py": 25, "test_habits.py": 24,
    "test_device_step.py": 23, "test_bench.py": 23, "test_prepared.py": 22, "test_dela.py": 22, "test_plugins.py": 21,
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, if they are handed out to several processes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: -LONG.get(item.path.name, 0))


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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def shapes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a fifth of the built-in shapes, 200 to train on and 100 to test, at 64 points a cloud."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "ShapeRecipe", lambda seed: ShapeRecipe(seed, train=20, test=10))
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
