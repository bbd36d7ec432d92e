"""`spikecli config show`, `--config`, `train --like` and `--resume`: settings go out and come back."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome
from rooms import ROOT
from safetensors.numpy import save_file

from spikecli.cli import train as command
from spikecli.settings import choices
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.document import as_options, as_toml, fields_of
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.settings.recipes import RECIPES, settings_like
from spikecli.training.runs import differences, run_name
from spikecli.training.settings import settings_as, settings_of
from spikecli.weights.checkpoint import ADAPTER

Cli = Callable[..., Outcome]
NOTHING: dict[str, Any] = {}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainConfig, Path | None, bool]]:
    """What `train` would have trained: settings, folder, and whether it goes on."""
    seen: list[tuple[TrainConfig, Path | None, bool]] = []
    monkeypatch.setattr(command, "_train", lambda settings, out, resume, *_: seen.append((settings, out, resume)))
    return seen


def run_folder(folder: Path, config: TrainConfig) -> Path:
    """Return a folder with the settings of a run that can go on, and nothing else."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.model_dump_json())
    (folder / "state.safetensors").touch()
    return folder


@pytest.mark.parametrize("source", [*PAPERS, "mpbn+ternary", *(name for name in RECIPES), "reference"])
def test_what_is_shown_is_taken_back(source: str, cli: Cli, tmp_path: Path, trained: list[Any]) -> None:
    file = tmp_path / "shown.toml"
    file.write_text(cli("config", "show", source).out)
    assert cli("train", "--config", file).code == 0
    (config, _, _) = trained[0]
    again = tmp_path / "again.toml"
    again.write_text(as_toml(config, "again"))
    assert tomllib.loads(file.read_text()) == tomllib.loads(again.read_text()) == as_options(config)
    assert cli("config", "show", source, "--json").document["settings"] == as_options(config)


def test_every_setting_of_a_run_folder_comes_back(cli: Cli, tmp_path: Path, trained: list[Any]) -> None:
    neuron = neuron_of("ternary", slope=2.5, perturbation=0.25, reset="soft", reset_amount=0.75)
    model = network_settings("resnet18", neuron=neuron, width=0.25, batch_norm="tdbn")
    config = TrainConfig(dataset="digits", paper="ternary", model=model, augment="roll", size=24, lr=0.5, seed=3)
    folder = run_folder(tmp_path / "run", config)
    file = tmp_path / "shown.toml"
    file.write_text(cli("config", "show", folder).out)
    assert cli("train", "--config", file).code == 0
    assert cli("train", "--like", folder).code == 0
    assert [each[0] for each in trained] == [config, config]
    assert cli("train", "--like", folder, "--slope", "3", "--epochs", "7").code == 0
    changed = trained[2][0]
    assert changed.model.neuron.slope == 3 and changed.epochs == 7
    assert {name for name, _, _ in differences(config, changed)} == {"slope"}


def test_the_settings_of_weights_alone_and_of_no_network(cli: Cli, tmp_path: Path) -> None:
    reference = ROOT / "checkpoints" / "reference" / "model.safetensors"
    shutil.copy(reference, tmp_path / "alone.safetensors")
    alone = cli("config", "show", tmp_path / "alone.safetensors", "--json").document["settings"]
    assert alone == cli("config", "show", "reference", "--json").document["settings"]
    save_file({"x": np.zeros(1)}, tmp_path / "adapter.safetensors", {"format": ADAPTER})
    for words in (("config", "show"), ("eval",)):
        ended = cli(*words, tmp_path / "adapter.safetensors")
        assert ended.code == 1 and "adapter.safetensors is an adapter of CLIP, not a network" in ended.err


def test_each_setting_says_what_it_is() -> None:
    lines = as_toml(TrainConfig(), "Title.").splitlines()
    assert lines[0] == "# Title."
    assert lines[lines.index('fire = "binary"') - 1].startswith("# Fire function: binary, ")
    assert "# reset-amount =" in lines
    for name, (field, _) in fields_of(TrainConfig()).items():
        assert field.description, name


def test_a_source_that_is_not_known_is_wrong_usage(cli: Cli) -> None:
    outcome = cli("config", "show", "spiking-pointnett")
    assert outcome.code == 2 and "did you mean spiking-pointnet?" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["train", "shapse"], "shapes"),
        (["train", "--paper", "ternery"], "ternary"),
        (["train", "--recipe", "shrot"], "short"),
        (["train", "--model", "pointent"], "pointnet"),
        (["train", "--fire", "ternry"], "ternary"),
        (["train", "--augment", "mirro"], "mirror"),
        (["train", "--precision", "bf61"], "bf16"),
        (["train", "--tnet", "pool"], "pooled"),
        (["train", "cifar10", "--batch-norm", "tdnb"], "tdbn"),
        (["ablate", "shapes", "--papers", "lif,mpnb"], "mpbn"),
    ],
)
def test_a_wrong_choice_is_usage_and_names_the_nearest(arguments: list[str], nearest: str, cli: Cli) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert f"did you mean {nearest}?" in outcome.err and outcome.err.count("\n") == 1


def test_a_value_out_of_range_names_its_option(cli: Cli) -> None:
    outcome = cli("train", "--slope", "-1")
    assert outcome.code == 2 and "--slope cannot be -1.0: should be greater than 0" in outcome.err


def test_an_option_of_another_network_is_refused(cli: Cli) -> None:
    outcome = cli("train", "shapes", "--width", "0.5")
    assert outcome.code == 2 and "--width means nothing to pointnet" in outcome.err and "resnet18" in outcome.err


def test_a_part_from_outside_is_in_the_help(cli: Cli) -> None:
    assert "quadratic" not in cli("train", "--help").out
    choices.add("surrogate", "quadratic")
    try:
        assert "quadratic" in cli("train", "--help").out and "quadratic" in cli("ablate", "--help").out
    finally:
        choices.remove("surrogate", "quadratic")


def test_a_run_goes_on_with_its_own_settings(cli: Cli, tmp_path: Path, trained: list[Any]) -> None:
    config = TrainConfig(paper="lif", model=network_settings(neuron=neuron_of("lif", fire="ternary")), points=64)
    folder = run_folder(tmp_path / "run", config)
    assert cli("train", "--resume", "--out", folder).code == 0
    assert cli("train", "shapes", "--paper", "lif", "--resume", "auto", "--out", folder, "--epochs", "50").code == 0
    assert trained == [(config, folder, True), (config.model_copy(update={"epochs": 50}), folder, True)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fire", "ternary"], "--fire cannot be ternary: the run in"),
        (["--points", "128"], "--points cannot be 128: the run in"),
        (["--paper", "ternary"], "--paper cannot be ternary: the run in"),
        (["digits"], "data set cannot be digits: the run in"),
    ],
)
def test_a_setting_that_differs_is_named_alone(
    options: list[str], said: str, cli: Cli, tmp_path: Path, trained: list[Any]
) -> None:
    folder = run_folder(tmp_path / "run", TrainConfig())
    outcome = cli("train", *options, "--resume", "--out", folder)
    assert outcome.code == 2 and said in outcome.err and "{" not in outcome.err and not trained


def test_resume_auto_begins_where_there_is_no_run(cli: Cli, tmp_path: Path, trained: list[Any]) -> None:
    assert cli("train", "--resume", "auto", "--out", tmp_path / "new", "--points", "64").code == 0
    (config, folder, resume) = trained[0]
    assert config.points == 64 and folder == tmp_path / "new" and not resume
    assert cli("train", "--resume", "--out", tmp_path / "new").err == (
        f"error: found no run to resume in {tmp_path / 'new'}; remove --resume, or name the run with --out\n"
    )
    assert cli("train", "--resume=maybe").code == 2


def test_another_paper_takes_back_what_the_first_changed() -> None:
    base = settings_like(TrainConfig(), None, "rmp-loss", None, NOTHING, NOTHING, NOTHING)
    assert base.rmp_weight == 0.1
    plain = settings_like(base, None, "mpbn", None, {"lr": 0.5}, NOTHING, NOTHING)
    assert plain.rmp_weight == 0 and plain.lr == 0.5 and plain.model.neuron == PAPERS["mpbn"].neuron
    joint = settings_like(base, None, "joint", None, NOTHING, NOTHING, NOTHING)
    assert joint.model.is_joint
    assert not settings_like(joint, None, "lif", None, NOTHING, NOTHING, NOTHING).model.is_joint


def test_a_run_is_named_after_what_its_neuron_changes() -> None:
    lif = TrainConfig(paper="lif", model=network_settings(neuron=neuron_of("lif")))
    assert run_name(lif) == "shapes-pointnet-lif-t1-seed0"
    changed = neuron_of("lif", fire="ternary", amplitude="channel", decay=0.5)
    assert run_name(lif.model_copy(update={"model": network_settings(neuron=changed)})) == (
        "shapes-pointnet-lif-decay-0.5-fire-ternary-amplitude-channel-t1-seed0"
    )


def test_differences_name_one_field() -> None:
    before = TrainConfig()
    after = TrainConfig(model=network_settings(neuron=neuron_of("spiking-pointnet", fire="ternary"), dropout=0.5))
    before = before.model_copy(update={"model": network_settings(neuron=neuron_of("spiking-pointnet"))})
    assert differences(before, after) == [("dropout", 0.4, 0.5), ("fire", "binary", "ternary")]
    assert json.loads(before.model_dump_json())["model"]["neuron"]["fire"] == "binary"


def test_a_run_like_another_takes_the_other_networks_defaults() -> None:
    clouds = settings_of("shapes", "lif", None, {"augment": None}, {}, {"name": None, "batch_norm": None})
    vgg = {"name": "vgg16", "batch_norm": None}
    like = settings_as(clouds, "digits", None, None, NOTHING, NOTHING, vgg)
    fresh = settings_of("digits", "lif", None, {"augment": None}, {}, vgg)
    assert like.model.batch_norm == fresh.model.batch_norm == "tdbn"
    assert clouds.model.neuron != like.model.neuron == fresh.model.neuron


def test_a_wrong_boolean_in_a_file_or_a_sweep_names_the_nearest(cli: Cli, tmp_path: Path, trained: list[Any]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('resample = "treu"')
    for words in (("train", "shapes", "--config", file), ("ablate", "shapes", "--set", "resample=treu")):
        said = cli(*words)
        assert said.code == 2 and "'treu': did you mean true? choose one of true, false" in said.err
    file.write_text("resample = true")
    assert cli("train", "shapes", "--config", file).code == 0 and trained[0][0].resample


def test_no_setting_is_infinite_or_no_number() -> None:
    """Of each number among the settings: a training with one would run for hours, and learn nothing."""
    from spikecli.settings.recipes import train_settings

    config = train_settings("shapes", "lif", "short", {}, {}, {"name": "pointnet"})
    for part in (config, config.model, config.model.neuron):
        given = part.model_dump()
        for name in (name for name, value in given.items() if isinstance(value, float)):
            for value in (float("inf"), float("nan")):
                with pytest.raises(ValueError, match=name):
                    type(part).model_validate({**given, name: value})
