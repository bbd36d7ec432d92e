"""The library says what the command line says, takes the same defaults, and names values where it names options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from furniture import chair
from hypothesis import HealthCheck, given, settings, strategies
from own_scans import scans

import spikecli
from spikecli.datasets.clouds.formats import load_points_of
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import RECIPES
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]
TINY = {"points": 24, "epochs": 1, "batch_size": 100}


@pytest.fixture(scope="module")
def network(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> spikecli.Model:
    """A network for the shapes, trained for one epoch by the library."""
    return spikecli.train("shapes", out=tmp_path_factory.mktemp("runs") / "one", data_dir=shapes_dir, **TINY)


def test_importing_it_loads_nothing_heavy_and_its_names_are_there() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import spikecli\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "assert loaded == {'spikecli'}, loaded\n"
        "assert set(spikecli.__all__) <= set(dir(spikecli))\n"
        "print(spikecli.settings('shapes', epochs=3).epochs, spikecli.settings('shapes').epochs)\n"
        "print(callable(spikecli.load), hasattr(spikecli, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "30", "True", "False"]


def test_a_run_of_the_library_is_that_of_the_command_line(
    cli: Cli, shapes_dir: Path, network: spikecli.Model, tmp_path: Path
) -> None:
    line = ("--points", 24, "--epochs", 1, "--batch-size", 100, "--data-dir", shapes_dir, "--quiet")
    assert cli("train", "shapes", "--out", tmp_path / "run", *line).code == 0
    other = Trained.open(tmp_path / "run")  # on the same device
    assert other.config == network.config and other.classnames == network.classnames
    ours, theirs = network.network.state_dict(), other.network.state_dict()
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_it_prepares_a_folder_of_ones_own(tmp_path: Path) -> None:
    scans(tmp_path / "scans")
    record = spikecli.prepare("parts", tmp_path / "data", source=tmp_path / "scans", points=32)
    assert record["samples"] == {"train": 20, "test": 5} and not record["reused"]
    network = spikecli.train("parts", out=tmp_path / "run", data_dir=tmp_path / "data", **TINY)
    assert network.classnames == ("bolt", "cup", "gear", "nut", "pipe")


@pytest.mark.parametrize("steps", [1, 3, "auto"])
def test_it_predicts_as_the_command_line(cli: Cli, shapes_dir: Path, network: spikecli.Model, steps: int | str) -> None:
    files = sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[:2]
    done = cli("predict", network.path, *files, "--timesteps", steps, "--top", 99, "--json")
    answers = network.predict_all(files, steps)  # type: ignore[arg-type]
    for answer, said in zip(answers, done.document, strict=True):
        assert answer.label == said["predictions"][0]["class"] and answer.timesteps == said.get("timesteps", steps)
        wanted = {guess["class"]: guess["probability"] for guess in said["predictions"]}
        assert answer.probabilities == pytest.approx(wanted, abs=1e-6)
        assert list(answer.probabilities) == list(network.classnames)


def test_points_are_taken_as_their_file_is(network: spikecli.Model, tmp_path: Path) -> None:
    points = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)
    np.save(tmp_path / "cloud.npy", points)
    of_file, of_points = network.predict(tmp_path / "cloud.npy", 2), network.predict(points, 2)
    assert of_file.probabilities == pytest.approx(of_points.probabilities, abs=1e-6)
    assert load_points_of(tmp_path / "cloud.npy", 24).shape == (24, 3)
    assert spikecli.predict(points, network, 2) == of_points
    assert of_points.probability == max(of_points.probabilities.values())


def test_it_evaluates_as_the_command_line(cli: Cli, shapes_dir: Path, network: spikecli.Model) -> None:
    place = ("--data-dir", shapes_dir, "--json")
    done = cli("eval", network.path.parent, "--timesteps", "1,2", "--runs", 2, *place).document
    rows = spikecli.evaluate(network.path.parent, timesteps=(2, 1), runs=2, data_dir=shapes_dir)
    for row, said in zip(rows, done["results"], strict=True):
        other = ("seconds", "by_class", "calibration", "confusions")  # measured, or shown on request
        ours = {name: value for name, value in asdict(row).items() if name not in other}
        assert leaves(ours) == pytest.approx(leaves({name: said[name] for name in ours}))


def leaves(value: object, name: str = "") -> dict[str, object]:
    """Return the numbers and words of nested dictionaries by their whole names."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for inner, each in value.items() for key, leaf in leaves(each, f"{name}.{inner}").items()}


@pytest.mark.parametrize("dataset", ["shapes", "digits", "cifar10"])
def test_settings_have_the_defaults_of_the_command_line(
    dataset: str, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    from spikecli.cli import train as command

    trained = []
    monkeypatch.setattr(command, "_train", lambda settings, *rest: trained.append(settings))
    assert cli("train", dataset).code == 0
    assert cli("train", dataset, "--epochs", 7, "--fire", "ternary", "--model", trained[0].model.name).code == 0
    assert [spikecli.settings(dataset), spikecli.settings(dataset, epochs=7, fire="ternary")] == trained


MODELS = {"shapes": ("pointnet", "dela"), "digits": ("resnet20", "vgg16"), "cifar10": ("resnet18", "resnet19")}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=strategies.data())
def test_settings_of_any_preset_are_those_of_the_command_line(
    data: strategies.DataObject, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    from spikecli.cli import train as command

    found: list[object] = []
    monkeypatch.setattr(command, "_train", lambda settings, *rest: found.append(settings))
    dataset = data.draw(strategies.sampled_from(sorted(MODELS)))
    paper = data.draw(strategies.sampled_from(sorted(PAPERS)))
    model = data.draw(strategies.sampled_from([None, *MODELS[dataset]]))
    recipe = data.draw(strategies.sampled_from([None, *RECIPES]))
    chosen = {"paper": paper, "model": model, "recipe": recipe}
    words = [word for name, value in chosen.items() if value for word in (f"--{name}", value)]
    code = cli("train", dataset, *words).code
    if code:  # such a combination is refused by both
        with pytest.raises(spikecli.SpikeError):
            spikecli.settings(dataset, **chosen)
    else:
        assert [spikecli.settings(dataset, **chosen)] == found


def test_settings_are_refused_in_values() -> None:
    for changes in ({"epochs": 0}, {"fire": "quaternary"}, {"epoch": 3}, {"paper": "ann", "timesteps": 2}):
        with pytest.raises(spikecli.SpikeError) as refused:
            spikecli.settings("shapes", **changes)
        assert "--" not in str(refused.value)
    with pytest.raises(spikecli.SpikeError, match=r"^dataset cannot be 'shape': did you mean shapes"):
        spikecli.settings("shape")


def test_what_cannot_be_is_said_in_values(network: spikecli.Model, shapes_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(spikecli.SpikeError, match="found timesteps 0; a network needs at least 1"):
        network.predict(np.zeros((30, 3)), 0)
    with pytest.raises(
        spikecli.SpikeError, match=r"found an array \(30, 4\) .* trained on points; wanted a file, or po"
    ):
        network.predict(np.zeros((30, 4)))
    with pytest.raises(spikecli.SpikeError, match="found no checkpoint"):
        spikecli.load(tmp_path / "none.safetensors")
    with pytest.raises(spikecli.SpikeError) as refused:
        spikecli.train("shapes", out=network.path.parent, data_dir=shapes_dir, **TINY)
    assert "holds a run already" in str(refused.value) and "--" not in str(refused.value)
    with pytest.raises(spikecli.SpikeError, match="points that are all equal"):
        network.predict(np.ones((30, 3)))


def test_the_reference_answers_by_default(tmp_path: Path) -> None:
    assert spikecli.predict(chair(tmp_path / "mine.off")).label == "chair"
    assert spikecli.load().name == "reference weights"
