"""`--fidelity released`: the table of releases is what the settings become, and docs/papers.md is made from it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clip_files import prepare_recordings, random_mini
from conftest import Outcome
from rooms import ROOT

from spikecli.cli.shown.fidelity import SAME, comparison
from spikecli.cli.train import Given, resolved
from spikecli.errors import SettingError
from spikecli.settings.config import TrainConfig
from spikecli.settings.document import fields_of
from spikecli.settings.releases import RELEASES
from spikecli.training.settings import settings_of

Cli = Callable[..., Outcome]
TRAINED = [name for name, release in RELEASES.items() if release.code and not release.fewshot]


def released(paper: str, dataset: str | None = None, **options: Any) -> TrainConfig:
    network = {"name": options.pop("model", None), "batch_norm": options.pop("batch_norm", None)}
    parts = {name: options.pop(name) for name in ("surrogate", "decay") if name in options}
    training = {"augment": None, **options}
    dataset = dataset or RELEASES[paper].dataset
    return settings_of(dataset, paper, None, training, parts, network, fidelity="released")


def test_the_page_is_what_the_tables_say() -> None:
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(ROOT / "scripts" / "write_papers.py"))["text"]()
    assert page == made, "docs/papers.md is stale: run `python scripts/write_papers.py`"


@pytest.mark.parametrize("paper", RELEASES)
def test_every_difference_has_a_reason(paper: str) -> None:
    rows = comparison(paper)
    assert rows and all(row.why for row in rows)
    for row in rows:
        assert (row.why == SAME) == (row.ours == row.released), row


@pytest.mark.parametrize("paper", TRAINED)
def test_the_settings_become_what_was_released(paper: str) -> None:
    release, found = RELEASES[paper], {name: value for name, (_, value) in fields_of(released(paper)).items()}
    for name, value in {**release.model, **release.neuron, **release.training}.items():
        assert found["model" if name == "name" else name] == value, name


def test_the_release_on_recordings_is_smaller_frames_by_the_nearest_pixel() -> None:
    config = released("mpbn", "cifar10dvs")
    assert (config.timesteps, config.size, config.resize, config.augment) == (10, 48, "nearest", "flip-roll")
    assert (config.epochs, config.lr, config.optimizer, config.schedule) == (400, 0.1, "sgd", "cosine")


def test_what_the_user_gives_goes_before_what_was_released() -> None:
    config = released("joint", epochs=3, model="vgg16", batch_norm="tdbn", surrogate="tanh")
    assert (config.epochs, config.batch_size, config.momentum) == (3, 1024, 0.0)
    assert config.model.name == "vgg16" and config.model.batch_norm == "tdbn"  # type: ignore[attr-defined]
    assert config.model.exits == "bottleneck"  # type: ignore[attr-defined]
    assert config.model.neuron is not None and config.model.neuron.surrogate == "tanh"


def test_a_release_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="no code of RMP-Loss is known"):
        released("rmp-loss")
    with pytest.raises(SettingError, match="fidelity cannot be released with the paper lif: choose one of ternary"):
        released("lif", "cifar10")
    given = Given(None, None, None, {}, {}, {"name": None}, Path("data"), "released")
    with pytest.raises(SettingError, match="fidelity is for the settings of a new run"):
        resolved(given, "no", Path("run"), None)


def test_an_error_about_a_released_setting_says_that_nobody_gave_it(cli: Cli) -> None:
    words = ("train", "nmnist", "--paper", "mpbn", "--fidelity", "released")
    found = cli(*words)
    assert found.code == 2 and "--augment flip-roll mirrors" in found.err
    assert "(--fidelity released took it from the authors' code of mpbn)" in found.err
    found = cli(*words, "--augment", "flip-roll")
    assert found.code == 2 and "--augment flip-roll mirrors" in found.err and "fidelity" not in found.err


def test_a_release_without_a_network_gives_the_usual_one_the_fields_that_it_has() -> None:
    config = released("real-spike", "shapes")
    assert config.model.name == "pointnet" and config.model.neuron.surrogate == "arctan"  # type: ignore[union-attr]


def test_the_command_trains_as_released(cli: Cli, tmp_path: Path) -> None:
    done = cli("train", "shapes", "--paper", "lif", "--fidelity", "released", "--out", tmp_path / "run")
    assert done.code == 2 and "--fidelity cannot be released with the paper lif" in done.err
    assert cli("train", "shapes", "--fidelity", "exact").code == 2


def test_papers_shows_one_table(cli: Cli) -> None:
    document = json.loads(cli("papers", "--paper", "joint", "--json").out)
    rows = {row["setting"]: row for row in document["rows"]}
    assert document["command"] == "spikecli train cifar10 --paper joint --fidelity released"
    assert rows["--exits"]["ours"] == "linear" and rows["--exits"]["released"] == "bottleneck"
    assert rows["first factors"]["option"] is None
    assert "of a reshaped kernel" in cli("papers", "--paper", "joint").out
    wrong = cli("papers", "--paper", "mpnb")
    assert wrong.code == 2 and "did you mean mpbn?" in wrong.err
    assert "'integer', a preset that has no released code" in cli("papers", "--paper", "integer").err


def test_fewshot_as_released(cli: Cli, tmp_path: Path) -> None:
    data = prepare_recordings(tmp_path)
    weights = data / "mini.safetensors"
    random_mini(weights)
    line = ["fewshot", "nmnist", "--clip", "mini", "--weights", weights, "--data-dir", data, "--shots", 2, "--views", 0]
    given = ("--norms", "pooled", "--timesteps", 2, "--epochs", 1, "--runs", 1)
    done = cli(*line, "--fidelity", "released", *given, "--json")
    assert done.code == 0, done.err
    found = done.document
    assert (found["text_length"], found["smoothed"], found["normalization"]) == ("whole", "others", "paper")
    assert (found["norms"], found["timesteps"]) == ("pooled", 2)  # given
