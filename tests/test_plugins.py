"""Plug-ins: the example package installed and used, parts from a file, broken ones, and checkpoints without theirs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import forks
import pytest
import torch
from conftest import Outcome

from spikecli import neurons
from spikecli.errors import SpikeError
from spikecli.settings import choices, networks, plugins
from spikecli.settings.config import NeuronConfig, TrainConfig
from spikecli.settings.outside import Origin, coming_from, origin_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.run_record import read_run

Cli = Callable[..., Outcome]
Shell = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[1]
EAGER = """
from spikecli import neurons
from spikecli.neurons.fire import Binary
from spikecli.neurons.surrogate import build

neurons.register("fire", "eager", lambda config: Binary(config.threshold / 2, build(config)), "half the threshold")
"""
TINY = ("--points", 32, "--epochs", 1, "--batch-size", 300, "--quiet", "--json")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed into a folder of its own, beside one whose module is missing."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(ROOT / "examples" / "plugin", source)
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*line, "--target", str(folder), str(source)], check=True, capture_output=True, timeout=120)
    record = folder / "spikecli_broken-0.3.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: spikecli-broken\nVersion: 0.3\n")
    (record / "entry_points.txt").write_text("[spikecli.papers]\nbroken = no_such_module_here:PAPER\n")
    return folder


def shell(*words: object, site: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `spikecli` as a person does, with the packages of `site` installed."""
    path = os.pathsep.join(str(each) for each in (ROOT, site) if each)
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment}
    line = [sys.executable, "-m", "spikecli", *(str(word) for word in words)]
    return forks.run(line, env=env, capture_output=True, text=True, timeout=120, fresh=True)


def lines(*given: tuple[object, ...], site: Path | None = None) -> list[Outcome]:
    """Run several command lines in one new process, which has the packages of `site` installed."""
    code = (
        "import contextlib, io, json, sys\n"
        "from spikecli.settings.plugins import load_plugins\n"
        "load_plugins([])  # options of networks from outside are made when the command line is\n"
        "from spikecli.cli import run\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:\n"
        "        code = run(line)\n"
        "    print(json.dumps([code, out.getvalue(), err.getvalue()]))"
    )
    path = os.pathsep.join(str(each) for each in (ROOT, site) if each)
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    words = json.dumps([[str(word) for word in line] for line in given])
    line = [sys.executable, "-c", code, words]
    done = forks.run(line, env=env, capture_output=True, text=True, check=True, timeout=240, fresh=True)
    return [Outcome(*json.loads(line)) for line in done.stdout.splitlines()]


def test_the_example_package_is_found_trained_and_folded(site: Path, shapes_dir: Path, tmp_path: Path) -> None:
    help_text = shell("train", "--help", site=site)
    assert "--hidden" in help_text.stdout and "For tiny." in help_text.stdout
    assert "binary, ternary, integer, learned or three-level" in help_text.stdout
    broken = [line for line in help_text.stderr.splitlines() if "spikecli-broken" in line]
    assert len(broken) == 1 and "no_such_module_here" in broken[0]

    run, chosen = tmp_path / "run", ("--model", "tiny", "--hidden", 8, "--paper", "three-level")
    place = ("--data-dir", shapes_dir)
    listed, shown, trained, scores, folded = lines(
        ("papers", "--json"),
        ("config", "show", "three-level"),
        ("train", "shapes", *chosen, "--out", run, *place, *TINY),
        ("eval", run, "--timesteps", 1, "--runs", 1, "--json", "--quiet", *place),
        ("reparameterize", run, "--out", tmp_path / "folded.safetensors", *place),
        site=site,
    )
    assert [one["options"] for one in listed.document[-1]["below"]] == [
        ["--fire three-level"], ["--model tiny"], ["--paper three-level"],
    ]  # fmt: skip
    assert 'fire = "three-level"' in shown.out
    assert trained.code == 0, trained.err
    assert scores.document["results"][0]["synaptic_operations"] > 0
    assert folded.code == 0, folded.err

    for alone in lines(("eval", run), ("config", "show", run)):
        assert alone.code == 1, alone
        assert "needs the model 'tiny' of the plug-in spikecli-tiny 0.1.0, which is not there; install it" in alone.err


@pytest.fixture
def eager(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "eager_parts.py"
    file.write_text(EAGER)
    yield file
    neurons.remove("fire", "eager")
    plugins._imported.cache_clear()


@pytest.mark.parametrize("how", ["behind", "before", "equals", "environment"])
def test_parts_of_a_file_are_options(cli: Cli, eager: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("SPIKECLI_IMPORT", str(eager))
    words = {"behind": ("train", "--import", eager, "--help"), "before": ("--import", eager, "train", "--help")}
    shown = cli(*words.get(how, ("train", "--help", *([f"--import={eager}"] if how == "equals" else []))))
    assert shown.code == 0 and "eager" in shown.out
    assert "eager (half the threshold)  --fire eager" in cli("papers").out


def test_a_run_remembers_the_file_of_its_parts(cli: Cli, eager: Path, shapes_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    place = ("--data-dir", shapes_dir)
    trained = cli("train", "shapes", "--import", eager, "--fire", "eager", "--out", run, *place, *TINY)
    assert trained.code == 0, trained.err
    digest = plugins._origin(eager).sha256
    noted = checkpoints.load(run / "model.safetensors").notes["needs"]
    assert noted == [{"slot": "fire", "part": "eager", "name": "eager_parts.py", "version": "", "sha256": digest}]
    neurons.remove("fire", "eager")
    said = cli("eval", run, *place)
    assert said.code == 1
    assert f"needs the fire 'eager' of the file eager_parts.py (sha256 {digest[:12]}…)" in said.err
    assert "add --import eager_parts.py" in said.err
    with pytest.raises(SpikeError, match="needs the fire 'eager'"):
        read_run(run)
    eager.write_text(EAGER.replace("/ 2", "/ 4"))
    plugins._imported.cache_clear()
    plugins.load_plugins(["--import", str(eager)])
    with pytest.warns(UserWarning, match=r"the file eager_parts\.py, which has changed since"):
        checkpoints.load(run / "model.safetensors")


def test_a_version_that_is_another_is_a_warning(tmp_path: Path) -> None:
    part = ("fire", "third")
    path = tmp_path / "weights.safetensors"
    try:
        for version in ("1.0", "2.0"):
            neurons.remove(*part)
            with coming_from(Origin("thirds", version)):
                neurons.register(*part, lambda config: torch.nn.Identity())
            if version == "1.0":
                config = TrainConfig(model=networks.PointNetConfig(neuron=NeuronConfig(fire="third"), classes=2))
                checkpoints.save(path, Checkpoint({"x": torch.ones(1)}, config, ("a", "b")))
                checkpoints.load(path)
        with pytest.warns(UserWarning, match=r"of the plug-in thirds 1\.0; here it is of the plug-in thirds 2\.0"):
            checkpoints.load(path)
    finally:
        neurons.remove(*part)
    assert origin_of(*part) is None


def test_a_checkpoint_of_built_in_parts_needs_nothing(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a.safetensors", Checkpoint({"x": torch.ones(1)}, TrainConfig(), ("a", "b")))
    assert "needs" not in checkpoints.load(tmp_path / "a.safetensors").notes


@pytest.mark.parametrize(
    ("group", "name", "value", "said"),
    [
        ("spikecli.neurons", "threshold.x", "math:pi", "found 'threshold.x'; wanted SLOT.NAME"),
        ("spikecli.neurons", "fire.binary", "math:pi", "the fire 'binary' is there already"),
        ("spikecli.models", "round", "math:pi", "wanted a subclass of ModelConfig"),
        ("spikecli.papers", "round", "math:pi", "found a float; wanted a Paper"),
        ("spikecli.papers", "round", "math:tau_of_nothing", "tau_of_nothing"),
    ],
)
def test_a_broken_plug_in_is_a_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, group: str, name: str, value: str, said: str
) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints([EntryPoint(name, value, group)]))
    plugins.installed.cache_clear()
    try:
        shown = cli("--help")
        assert shown.code == 0 and "Usage" in shown.out
        warned = [line for line in shown.err.splitlines() if line.startswith("warning: the plug-in")]
        assert len(warned) == 1 and said in warned[0] and name in warned[0]
        with pytest.warns(UserWarning, match="is left out"):
            plugins.load_for_library()
    finally:
        plugins.installed.cache_clear()


def test_a_part_is_imported_when_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("fire.late", "no_such_module_here:build", "spikecli.neurons")]
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints(points))
    plugins.installed.cache_clear()
    try:
        assert plugins.installed() == ()
        assert "late" in choices.names("fire")
        with pytest.raises(SpikeError, match=r"the fire 'late' of .* cannot be loaded: No module named"):
            neurons.build(NeuronConfig(fire="late"), 3)
    finally:
        neurons.remove("fire", "late")
        plugins.installed.cache_clear()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("train", "--import"), 2, "--import needs the name of a Python file"),
        (("--import", "--help"), 2, "--import needs the name of a Python file"),
        (("--import", "nowhere.py", "papers"), 1, "cannot read"),
    ],
)
def test_a_file_that_is_not_there(cli: Cli, words: tuple[str, ...], code: int, said: str) -> None:
    shown = cli(*words)
    assert shown.code == code and said in shown.err


def test_a_file_that_stops_is_said_in_one_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("nothing_of_this_name\n")
    for _ in range(2):  # it is not run again, and says the same
        shown = cli("papers", "--import", file)
        assert shown.code == 1
        assert shown.err.startswith("error: wrong.py, which --import names, stops: NameError: name 'nothing_of_this_")
