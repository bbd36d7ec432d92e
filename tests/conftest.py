"""Shared fixtures: a command line that returns its exit code and output, and the real files where they lie."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from rooms import ROOT

from spikecli.cli import run
from spikecli.datasets.clouds import prepare
from spikecli.datasets.clouds.shapes import ShapeRecipe
from spikecli.datasets.events import digits

# Files that take long, the longest first, in processor seconds. With `--dist loadfile --no-loadscope-reorder`, as
# `make test` has it, files are handed out in this order, so that no processor is left with a long one at the end.
LONG = {
    "test_processes.py": 65, "test_tutorials.py": 60, "test_torture.py": 50, "test_export_onnx.py": 47,
    "test_export_neighbours.py": 42, "test_sweeps.py": 40, "test_reparameterize.py": 38, "test_event_training.py": 36,
    "test_view_runs.py": 30, "test_mini.py": 30, "test_torture_kills.py": 30, "test_snapshots.py": 29,
    "test_clip_outside.py": 29, "test_clip.py": 25, "test_view_spikes.py": 24, "test_bench.py": 24,
    "test_notebooks.py": 23, "test_view_points.py": 23, "test_ablate.py": 23, "test_joint.py": 22,
    "test_step_scores.py": 22, "test_own_pages.py": 20, "test_against_released.py": 20, "test_view_events.py": 19,
    "test_help_examples.py": 18, "test_house.py": 18, "test_habits.py": 18, "test_trust.py": 16,
    "test_package.py": 16, "test_prepared.py": 16, "test_streams.py": 16, "test_library.py": 16,
    "test_plugins.py": 16, "test_import.py": 16, "test_predict_files.py": 14, "test_forks.py": 14,
    "test_train.py": 12,
}  # fmt: skip


# What collecting imports stays for good: looking through it for garbage again and again took a tenth of all time.
gc.disable()
gc.set_threshold(10_000)


def pytest_collection_finish() -> None:
    """Look for garbage from now on, among what tests make."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Have files written without waiting for the disk, 7 ms each time: that is for power cuts, which no test makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def functions_of_onnx_are_parsed_once() -> Iterator[None]:
    """Have torch's exporter parse the source of its 500 functions once a process: for each export it takes a second."""
    lazy = "torch.onnx._internal._lazy_import"
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules and find_spec(lazy):
            apis = import_module(lazy).onnxscript_apis
            patch.setitem(vars(apis), "get_torchlib_ops", cache(lambda: apis.__getattr__("get_torchlib_ops")()))
        yield


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


@pytest.fixture(autouse=True)
def no_runs_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the runs in the checkout's own checkpoints/: `predict` would let the newest answer."""
    if not any(ROOT.glob("checkpoints/*/metrics.jsonl")):
        return
    from spikecli.weights import checkpoint

    found = checkpoint.finished_runs
    monkeypatch.setattr(checkpoint, "finished_runs", lambda *where: [] if Path.cwd() == ROOT else found(*where))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED


@pytest.fixture
def few_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a fifth of the built-in shapes and a ninth of the built-in digits, where a test prepares them itself."""
    monkeypatch.setattr(prepare, "ShapeRecipe", lambda seed: ShapeRecipe(seed, train=20, test=10))
    monkeypatch.setattr(digits, "RECORDED", slice(898, 998))


@pytest.fixture
def few_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pictures and films drawn coarsely, and two frames of a turn, where a test is about commands."""
    from spikecli.view.drawing import film, picture, report
    from spikecli.view.recordings import film as recorded

    monkeypatch.setattr(film, "AZIMUTHS", film.AZIMUTHS[:2])
    for module in (film, picture, recorded, report):
        monkeypatch.setattr(module, "DOTS", 20)


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
