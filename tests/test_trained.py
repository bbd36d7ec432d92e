"""A trained network is opened once: its file is read once and its network built once, whatever is asked of it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from rooms import ROOT

from spikecli import models
from spikecli.cli import run as command
from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import probabilities
from spikecli.files import tensors
from spikecli.settings.config import validated
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights import run_record
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]
TINY = ["--points", "24", "--batch-size", "100", "--epochs", "1", "--quiet"]


@pytest.fixture(scope="module")
def runs(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two short runs on the built-in shapes."""
    folder = tmp_path_factory.mktemp("runs")
    for name, paper in (("one", "spiking-pointnet"), ("two", "lif")):
        line = ["train", "shapes", "--out", folder / name, "--paper", paper, "--data-dir", shapes_dir, *TINY]
        assert command([str(each) for each in line]) == 0
    return folder / "one", folder / "two"


@pytest.fixture
def files(shapes_dir: Path) -> list[Path]:
    return sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[:3]


class Counts:
    """How often each weights file and settings were read, and networks built for good (not to check shapes)."""

    def __init__(self) -> None:
        self.reads: dict[Path, int] = {}
        self.settings = 0
        self.built = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    found, read, build = Counts(), tensors.read, models.build

    def counting_read(path: Path) -> object:
        found.reads[path] = found.reads.get(path, 0) + 1
        return read(path)

    def counting_build(config: object) -> object:
        model = build(config)  # type: ignore[arg-type]
        found.built += next(model.parameters()).device.type != "meta"
        return model

    def counting_settings(kind: type[Any], values: dict[str, Any]) -> object:
        found.settings += 1
        return validated(kind, values)

    for module in (checkpoints, run_record):
        monkeypatch.setattr(module, "validated", counting_settings)
    monkeypatch.setattr(tensors, "read", counting_read)
    monkeypatch.setattr(models, "build", counting_build)
    return found


LINES: dict[str, list[str]] = {
    "predict": ["predict", "RUN", "FILES", "--timesteps", "2"],
    "predict auto": ["predict", "RUN", "FILES", "--timesteps", "auto", "--most", "2"],
    "eval": ["eval", "RUN", "--timesteps", "1,2", "--runs", "1"],
    "eval auto": ["eval", "RUN", "--timesteps", "1,auto", "--most", "2", "--runs", "1"],
    "eval by class": ["eval", "RUN", "--timesteps", "1", "--runs", "1", "--by-class", "--split", "val"],
    "view of a cloud": ["view", "FILE", "--checkpoint", "RUN", "-T", "1", "--out", "OUT.png"],
    "view of three": ["view", "FILES", "--checkpoint", "RUN", "-T", "2", "--color", "spikes", "--out", "OUT.html"],
    "view of spikes": ["view", "FILES", "--checkpoint", "RUN", "-T", "1", "--show", "spikes", "--out", "OUT.html"],
    "eval of damage": ["eval", "RUN", "-T", "1", "--runs", "1", "--corrupt", "jitter", "--severities", "1"],
    "view of a run": ["view", "RUN", "-T", "1", "--runs", "1", "--out", "OUT.html"],
    "calibrate": ["calibrate", "RUN", "--timesteps", "1"],
    "reparameterize": ["reparameterize", "RUN", "--samples", "2", "--out", "OUT.safetensors"],
}


def filled(line: list[str], one: Path, files: list[Path], data: Path, out: Path) -> list[str]:
    """Return the line with its places filled: RUN, FILE, FILES, OUT."""
    found: list[str] = []
    for part in line:
        several = {"FILES": files, "FILE": files[:1], "RUN": [one]}.get(part)
        found += map(str, several) if several else [part.replace("OUT", str(out))]
    return [*found, "--data-dir", str(data), "--quiet", "--json"]


@pytest.mark.parametrize("name", LINES)
def test_a_command_reads_its_weights_once(
    cli: Cli, shapes_dir: Path, runs: tuple[Path, Path], files: list[Path], tmp_path: Path, counts: Counts, name: str
) -> None:
    done = cli(*filled(LINES[name], runs[0], files, shapes_dir, tmp_path / "out"))
    assert done.code == 0, done.err
    assert counts.reads == {runs[0] / "model.safetensors": 1}
    assert counts.settings == 1
    # What was folded is built once more, as it was written, to prove that it reads back as the same network.
    assert counts.built == (2 if name == "reparameterize" else 1)


@pytest.mark.parametrize("show", ["damage", "membranes"])
def test_two_networks_are_read_once_each(
    cli: Cli, shapes_dir: Path, runs: tuple[Path, Path], files: list[Path], tmp_path: Path, counts: Counts, show: str
) -> None:
    one, two = runs
    line = {
        "damage": ["eval", "RUN", "-T", "1", "--runs", "1", "--corrupt", "all", "--severities", "1", "--beside", two],
        "membranes": [
            "view",
            "FILE",
            "--checkpoint",
            "RUN",
            "--against",
            two,
            "--show",
            "membranes",
            "--out",
            "OUT.png",
        ],
    }[show]
    done = cli(*filled([str(part) for part in line], one, files, shapes_dir, tmp_path / "out"))
    assert done.code == 0, done.err
    assert counts.reads == {run / "model.safetensors": 1 for run in runs} and counts.built == 2


def test_it_is_named_as_titles_call_it(runs: tuple[Path, Path], tmp_path: Path, monkeypatch) -> None:
    one = runs[0]
    assert Trained.open(one).name == Trained.open(one / "model.safetensors").name == "one"
    assert Trained.open(one).given == one and Trained.open(one).path == one / "model.safetensors"
    assert Trained.open(one / "best.safetensors").name == "one/best"
    monkeypatch.chdir(tmp_path)
    assert Trained.open("reference").name == "reference weights"
    with pytest.raises(SpikeError, match="found no run in checkpoints"):
        Trained.open()


def test_it_holds_what_the_file_says(runs: tuple[Path, Path]) -> None:
    trained, stored = Trained.open(runs[0], "cpu"), checkpoints.load(runs[0] / "model.safetensors")
    assert trained.config == stored.config and trained.classnames == stored.classnames
    assert trained.fingerprints == stored.notes["data"] and set(trained.fingerprints) == {"train", "test"}
    assert not trained.network.training and trained.device == torch.device("cpu")
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, stored.tensors[name]), name


def test_it_moves_to_a_device_and_leaves_itself_where_it_was(runs: tuple[Path, Path]) -> None:
    trained = Trained.open(runs[0], "cpu")
    assert trained.on(torch.device("cpu")) is trained
    moved = trained.on(torch.device("meta"))
    assert next(moved.network.parameters()).device.type == "meta" and moved.device.type == "meta"
    assert next(trained.network.parameters()).device.type == "cpu" and moved.classnames == trained.classnames


def test_half_precision_and_folded_networks_answer_alike(
    cli: Cli, shapes_dir: Path, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    # So short a training leaves classes next to each other: with one in front, rounding turns no answer around.
    stored, sure = checkpoints.load(runs[1] / "model.safetensors"), tmp_path / "sure.safetensors"
    front = stored.tensors["out.bias"] + 2 * torch.eye(len(stored.classnames))[0]
    checkpoints.save(sure, replace(stored, tensors={**stored.tensors, "out.bias": front}))

    def fold(name: str, *half: str) -> Trained:
        out, common = tmp_path / f"{name}.safetensors", ("--samples", 2, "--data-dir", shapes_dir)
        assert cli("reparameterize", sure, "--out", out, *half, *common).code == 0
        trained = Trained.open(out, "cpu")
        assert trained.config.model.folded and trained.name == f"{tmp_path.name}/{name}"
        return trained

    points = np.random.default_rng(0).normal(size=(4, 24, 3)).astype(np.float32)
    folded, half = fold("folded"), fold("half", "--half")
    whole = probabilities(Trained.open(sure, "cpu"), points, 2)
    np.testing.assert_allclose(probabilities(folded, points, 2), whole, atol=1e-5)
    # Rounded weights move a potential across its threshold here and there; nothing but the rounding may do so.
    folded.network.load_state_dict({name: each.half() for name, each in folded.network.state_dict().items()})
    np.testing.assert_allclose(probabilities(half, points, 2), probabilities(folded, points, 2), atol=1e-6)
    assert not np.array_equal(probabilities(half, points, 2), whole)


def test_the_walk_through_predict_is_no_longer_than_the_page_says(files: list[Path]) -> None:
    steps = runpy.run_path(str(ROOT / "scripts" / "walk.py"))["walk"](["predict", str(files[0])])
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    said = re.search(r"\| now \| (\d+) \| (\d+) \| (\d+) \|", page)
    assert said and [int(number) for number in said.groups()] == [len(steps.files), len(steps.steps), steps.turns]
