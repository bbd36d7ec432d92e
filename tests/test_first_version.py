"""Data, runs and states that the first version wrote: they load, score, predict and go on as they did there.

released/first_version.tar.xz holds two data sets, a run of PointNet on the one and of ResNet-20 on the other, stopped
after two epochs, and answers.json: what the first version itself said of them. Few weights differ from zero, so that
the archive is small.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome
from first_version import unpack

import spikecli
from spikecli.datasets import sets

Cli = Callable[..., Outcome]
RUNS = {"clouds": ("modelnet10", "chair_0005.off"), "frames": ("nmnist", "00012.bin")}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def answers(first: Path) -> dict[str, Any]:
    return json.loads((first / "answers.json").read_text())


@pytest.mark.parametrize("name", ["modelnet10", "nmnist"])
def test_prepared_data_verify(first: Path, answers: dict[str, Any], name: str) -> None:
    found, before = sets.verify(first / "data", name), answers[f"{name} verify"]
    if name == "nmnist":
        assert found["splits"] == before["splits"]
    else:
        assert [file["sha256"] for file in found["files"]] == [file["sha256"] for file in before["files"]]


@pytest.mark.parametrize("run", RUNS)
def test_runs_score_as_they_did(cli: Cli, first: Path, answers: dict[str, Any], run: str) -> None:
    common = ("--timesteps", "1,2", "--runs", 1, "--data-dir", first / "data", "--device", "cpu", "--json")
    done = cli("eval", first / run, *common)
    assert done.code == 0 and "changed" not in done.err
    before = answers[f"{run} eval"]
    assert done.document["samples"] == before["samples"]
    for now, then in zip(done.document["results"], before["results"], strict=True):
        for name in ("timesteps", "instance_accuracy", "class_accuracy"):
            assert now[name] == then[name]
        # Operations and energy of frames are others since: an event costs an addition, and so does a pooled spike.
        for name in ("firing_rate", *(("synaptic_operations", "energy_uj") if run == "clouds" else ())):
            assert now[name] == pytest.approx(then[name], rel=1e-4), name


@pytest.mark.parametrize("run", RUNS)
def test_runs_predict_as_they_did(first: Path, answers: dict[str, Any], run: str) -> None:
    answer = spikecli.load(first / run).predict(first / RUNS[run][1], timesteps=2)
    (before,) = answers[f"{run} predict"]
    chances = {each["class"]: each["probability"] for each in before["predictions"]}
    assert answer.label == before["predictions"][0]["class"]
    assert answer.probabilities == pytest.approx(chances, abs=2e-3)


@pytest.mark.parametrize("run", RUNS)
def test_runs_go_on_as_they_did(cli: Cli, first: Path, answers: dict[str, Any], run: str, tmp_path: Path) -> None:
    shutil.copytree(first / run, tmp_path / run)
    common = ("--data-dir", first / "data", "--device", "cpu", "--json")
    done = cli("train", "--resume", "--out", tmp_path / run, "--epochs", 3, *common)
    assert done.code == 0 and done.document["epochs"] == 3
    *_, last = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
    before = answers[f"{run} resumed"]
    assert last["epoch"] == 3 and last["lr"] == pytest.approx(before["lr"])
    # Since then surrogates pass the gradient at the ends of their window, which frames of few events often reach.
    assert last["loss"] == pytest.approx(before["loss"], rel=1e-5 if run == "clouds" else 5e-3)
    assert last["train_accuracy"] == pytest.approx(before["train_accuracy"], abs=0.05)
