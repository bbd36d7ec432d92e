"""The main job through the command line: prepare, train, evaluate, predict; and what it says when something is off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome

from spikecli import __main__ as program
from spikecli import cli as command_line
from spikecli.machine import clock, environment
from spikecli.settings import plugins
from spikecli.weights import checkpoint as checkpoints

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def trained(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from spikecli.cli import run

    out = tmp_path_factory.mktemp("run") / "shapes"
    options = ["--points", "64", "--epochs", "2", "--batch-size", "100", "--data-dir", str(shapes_dir), "--quiet"]
    assert run(["train", "shapes", *options, "--out", str(out)]) == 0
    return out


def test_training_reports_what_was_promised(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('epochs = 1\nbatch-size = 90\npoints = 32\npaper = "ann"\n')
    common = ("--config", settings, "--data-dir", shapes_dir, "--json", "--points", 16)
    done = cli("train", "shapes", *common, "--out", tmp_path / "run")
    assert done.code == 0
    assert set(done.document) == {
        "out", "epochs", "train_accuracy", "val_accuracy", "seconds", "seconds_per_epoch", "clouds_per_second",
        "peak_memory_mb", "chosen",
    }  # fmt: skip
    assert done.document["epochs"] == 1 and 0 <= done.document["val_accuracy"] <= 1
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (saved["batch_size"], saved["points"], saved["model"]["neuron"]) == (90, 16, None)  # file < option


def test_evaluation_reports_a_row_for_each_t(cli: Cli, shapes_dir: Path, trained: Path) -> None:
    done = cli("eval", trained, "--timesteps", "1,3", "--runs", 2, "--data-dir", shapes_dir, "--json")
    assert done.code == 0
    document = done.document
    assert document["samples"] == 100 and document["split"] == "test" and document["runs"] == 2
    assert [row["timesteps"] for row in document["results"]] == [1, 3]
    assert set(document["results"][0]) == {
        "timesteps", "instance_accuracy", "instance_accuracy_std", "class_accuracy", "firing_rate",
        "synaptic_operations", "energy_uj", "energy", "neurobench", "information", "seconds", "ece",
        "effective_acs", "effective_macs", "dense", "activation_sparsity", "connection_sparsity", "footprint",
    }  # fmt: skip
    assert document["results"][0]["instance_accuracy"] > 0.15
    table = cli("eval", trained, "--timesteps", "1", "--runs", 1, "--data-dir", shapes_dir, "--quiet")
    by_class = cli("eval", trained, "--timesteps", "1,3", "--runs", 2, "--by-class", "--data-dir", shapes_dir, "--json")
    for row, plain in zip(by_class.document["results"], document["results"], strict=True):
        shares, confusions = row.pop("by_class"), row.pop("confusions")
        right = 100 - sum(one["samples"] for one in confusions)
        assert all(one["class"] != one["predicted"] for one in confusions)
        assert row["instance_accuracy"] == pytest.approx(right / 100, abs=0.05)  # of the first seed of two
        assert len(shares) == 10 and sum(shares.values()) / 10 == pytest.approx(row["class_accuracy"])
        assert {**row, "seconds": 0} == {**plain, "seconds": 0}
    assert "instance acc." in table.out and f"{document['results'][0]['firing_rate']:.0%}"[:1] in table.out
    assert table.err == ""


def test_prediction_on_ones_own_files(cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path) -> None:
    mesh = sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[0]
    done = cli("predict", trained, mesh, "--top", 3, "--json")
    (answer,) = done.document
    assert answer["file"] == str(mesh) and len(answer["predictions"]) == 3
    chances = [guess["probability"] for guess in answer["predictions"]]
    assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1
    assert cli("predict", trained, mesh, "--top", 3, "--json").document == done.document
    broken = tmp_path / "broken.off"
    broken.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n")
    refused = cli("predict", trained, broken)
    assert refused.code == 1 and str(broken) in refused.err and refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train", "modelnet10"), 1, "spikecli data prepare modelnet10"),
        (("train", "shapes", "--points", 4096), 1, "--points 4096"),
        (("train", "shapes", "--timesteps", 0), 2, "timesteps"),
        (("train", "shapes", "--paper", "lifo"), 2, "spiking-pointnet"),
        (("train", "shapes", "--fire", "quaternary"), 2, "--fire cannot be 'quaternary'"),
        (("train", "shapes", "--model", "transformer"), 2, "--model"),
        (("train", "shapes", "--device", "cuda:99"), 1, "choose auto, cpu"),
        (("train", "shapes", "--paper", "ann", "--timesteps", 2), 2, "has no time"),
        (("eval", "--timesteps", "0"), 1, "at least 1 time step"),
        (("eval", "--timesteps", "one"), 1, "1,2,4"),
        (("eval", "nowhere"), 1, "found no checkpoint at nowhere"),
        (("train", "--epoch", 3), 2, "--epochs"),
    ],
)
def test_bad_input_gets_one_line_with_the_cure(
    cli: Cli, shapes_dir: Path, arguments: tuple[object, ...], code: int, said: str
) -> None:
    done = cli(*arguments, "--data-dir", shapes_dir)
    assert done.code == code and said in done.err and done.out == ""
    if code == 1:
        assert done.err.startswith("error: ") and done.err.count("\n") == 1


def test_a_data_set_with_other_classes_is_refused(cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path) -> None:
    loaded = checkpoints.load(trained / "model.safetensors")
    names = (*loaded.classnames[:-1], "unicorn")
    path = tmp_path / "other.safetensors"
    checkpoints.save(path, checkpoints.Checkpoint(loaded.tensors, loaded.config, names))
    done = cli("eval", path, "--data-dir", shapes_dir)
    assert done.code == 2 and "unicorn" in done.err and "--data" in done.err


def test_a_settings_file_that_is_wrong_is_named(cli: Cli, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("epoch = 3\n")
    assert "'epoch'" in cli("train", "--config", settings).err
    settings.write_text("epochs = = 3\n")
    assert str(settings) in cli("train", "--config", settings).err


def test_the_ann_is_scored_at_the_one_step_it_knows(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "ann"
    common = ("--data-dir", shapes_dir, "--device", "cpu", "--quiet", "--json")
    assert cli("train", "shapes", "--paper", "ann", "--epochs", 1, "--points", 32, "--out", run, *common).code == 0
    (row,) = cli("eval", run, "--timesteps", "1,2,4", "--runs", 1, *common).document["results"]
    assert row["timesteps"] == 1 and row["energy_uj"] > 0


def test_ctrl_c_while_the_options_are_made_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_command", pressed)
    ended = cli("papers")
    assert (ended.code, ended.err) == (130, "error: interrupted\n")


def test_ctrl_c_while_the_program_is_loaded_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plugins, "load_first", pressed)
    for module, name in ((clock, "start"), (environment, "prepare_process")):
        monkeypatch.setattr(module, name, lambda: None)  # this process goes on
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 130
