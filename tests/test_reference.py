"""The weights that come with the program: what they are, and what they say of meshes they have never seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Outcome
from furniture import bed, chair, table

from spikecli.errors import SpikeError
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights import reference

Cli = Callable[..., Outcome]

CLASSES = ["bathtub", "bed", "chair", "desk", "dresser", "monitor", "night_stand", "sofa", "table", "toilet"]


def test_they_are_small_folded_and_of_a_network_trained_with_one_step() -> None:
    path = checkpoints.resolve(Path("reference"))
    assert path.stat().st_size <= 8e6
    found = checkpoints.load(path)
    assert found.config.model.folded and found.config.timesteps == 1 and found.config.dataset == "modelnet10"
    assert list(found.classnames) == CLASSES
    assert {value.dtype for value in found.tensors.values()} == {torch.float16}
    assert not any("norm" in name for name in found.tensors)


def test_the_card_speaks_of_this_network() -> None:
    card = (reference.reference() / "README.md").read_text(encoding="utf-8")
    config = checkpoints.load(checkpoints.resolve(Path("reference"))).config
    for option in (f"--paper {config.paper}", f"--epochs {config.epochs}", f"--seed {config.seed}"):
        assert option in card, option
    assert re.search(r"academic research", card)
    assert all(re.search(rf"^\| {name} \|", card, re.MULTILINE) for name in CLASSES)


@pytest.mark.parametrize("build", [table, chair, bed])
def test_meshes_made_by_hand_are_known(cli: Cli, tmp_path: Path, build: Callable[[Path], Path]) -> None:
    (answer,) = cli("predict", build(tmp_path / "mine.off"), "--json").document
    assert answer["predictions"][0]["class"] == build.__name__
    assert sum(guess["probability"] for guess in answer["predictions"]) <= 1 + 1e-6


def test_real_meshes_are_known(cli: Cli, shared_data: Path) -> None:
    files = sorted((shared_data / "samples").glob("*.off"))
    answers = cli("predict", *files, "--timesteps", "auto", "--json").document
    assert [answer["predictions"][0]["class"] for answer in answers] == ["bathtub", "bathtub", "toilet"]
    assert all(1 <= answer["timesteps"] <= 8 for answer in answers)


def test_a_checkpoint_may_be_named_before_the_files(cli: Cli, tmp_path: Path) -> None:
    mine = table(tmp_path / "table.off")
    named = cli("predict", "reference", mine, "--json").document
    assert named == cli("predict", reference.reference(), mine, "--json").document
    assert named == cli("predict", mine, "--json").document
    alone = cli("predict", "reference")
    assert alone.code == 1 and "no file to name" in alone.err
    nowhere = cli("predict", "checkpoints/nowhere", mine)
    assert nowhere.code == 1 and "no checkpoint at checkpoints/nowhere" in nowhere.err


def test_without_them_the_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_PLACES", (tmp_path,))
    with pytest.raises(SpikeError, match="no reference weights with this installation"):
        reference.reference()


def test_a_run_named_reference_is_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reference").mkdir()
    path = checkpoints.resolve(Path("reference"))
    assert path == Path("reference") / "model.safetensors" and reference.title_of(path) == "reference"
    assert reference.title_of(reference.reference() / "model.safetensors") == "reference weights"


def test_forty_kinds_are_known_too(cli: Cli, tmp_path: Path) -> None:
    path = checkpoints.resolve(Path("reference-modelnet40"))
    assert path.stat().st_size <= 12e6
    found = checkpoints.load(path)
    assert found.config.model.name == "dela" and found.config.model.folded and len(found.classnames) == 40
    mine = [build(tmp_path / f"{build.__name__}.off") for build in (table, chair, bed)]
    answers = cli("predict", "--reference", "modelnet40", *mine, "--timesteps", 1, "--json").document
    assert [answer["predictions"][0]["class"] for answer in answers] == ["table", "chair", "bed"]
    (named,) = cli("predict", "reference-modelnet40", mine[0], "--timesteps", 1, "--json").document
    assert named["predictions"][0]["class"] == "table"
