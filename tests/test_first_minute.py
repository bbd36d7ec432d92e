"""The first minute: what the README names is there, examples are the program's own, the demo says what it reached."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import Outcome
from rooms import ROOT

from spikecli.datasets.clouds.formats import read_cloud
from spikecli.datasets.clouds.geometry import Mesh
from spikecli.datasets.events.recording import read_events
from spikecli.machine import environment

Cli = Callable[..., Outcome]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that makes the examples."""
    found = importlib.util.spec_from_file_location("make_examples", ROOT / "scripts" / "make_examples.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_meshes_are_those_of_the_script(maker: ModuleType) -> None:
    for name in maker.PIECES:
        stored, made = read_cloud(EXAMPLES / f"{name}.off"), maker.built(name)
        assert isinstance(stored, Mesh)
        np.testing.assert_allclose(stored.vertices, made.vertices, atol=1e-5)
        assert np.array_equal(stored.faces, made.faces)


def test_the_recordings_are_those_of_the_script(maker: ModuleType) -> None:
    stored = read_events(EXAMPLES / "seven.bin").events
    made = maker.seven()
    assert len(stored) == len(made) and np.array_equal(stored["x"], made["x"])
    turning = read_events(EXAMPLES / "turning_chair.bin")
    assert (turning.width, turning.height) == (128, 128) and 50_000 < len(turning) < 80_000
    assert turning.events["t"].max() < maker.TURN


def test_the_examples_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in EXAMPLES.iterdir() if path.is_file()}
    assert max(sizes.values()) < 400_000 and sum(sizes.values()) < 600_000


def test_the_reference_weights_name_the_four_meshes(cli: Cli) -> None:
    meshes = sorted(EXAMPLES.glob("*.off"))
    named = cli("predict", *meshes, "--top", 1, "--json").document
    assert [one["predictions"][0]["class"] for one in named] == [mesh.stem for mesh in meshes]


def test_a_built_in_set_is_prepared_on_first_use(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.datasets.clouds import shapes

    monkeypatch.setattr(shapes.ShapeRecipe, "__init__", _few(shapes.ShapeRecipe.__init__))
    named = cli("predict", "shapes:test:0", "--data-dir", tmp_path, "--json")
    assert named.code == 0, named.err
    assert named.document[0]["file"] == "shapes:test:0"
    assert (tmp_path / "shapes" / "prepared.json").exists()


def _few(init: Callable[..., None]) -> Callable[..., None]:
    return lambda self, *given, **named: init(self, *given, **{**named, "train": 1, "test": 1})


NAMED = re.compile(r"(?:examples|docs|checkpoints/reference[\w-]*|scripts)/[\w./-]+\w")


def test_every_file_that_the_readme_names_is_there() -> None:
    for page in (ROOT / "README.md", EXAMPLES / "README.md"):
        named = set(NAMED.findall(page.read_text(encoding="utf-8")))
        missing = {name for name in named if not (ROOT / name).exists()}
        assert named and not missing, (page.name, missing)


def test_the_demo_says_what_it_reached_and_what_to_try(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("timesteps,instance_accuracy,x\n1,0.9,0\n4,0.95,0\n")
    line = ["bash", str(ROOT / "scripts" / "after_demo.sh"), ".venv/bin", str(tmp_path)]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "names 90.0 % at T = 1 of 300 unseen shapes, 95.0 % at T = 4." in said
    assert "source .venv/bin/activate" in said and "data prepare mine --from FOLDER" in said
    for name in re.findall(r"examples/[\w.]+", said):
        assert (ROOT / name).exists()


def test_the_demo_is_the_commands_of_the_readme() -> None:
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("predict", "train", "eval", "view"):
        assert f"bin/spikecli {command} " in recipe
    for name in re.findall(r"(?:examples|scripts)/[\w.]+", recipe):
        assert (ROOT / name).exists()


def test_matplotlib_keeps_its_fonts_elsewhere_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mine = {"HOME": str(tmp_path / "file" / "me")}  # below a file nothing can be made, whoever runs this
    environment.prepare_process(mine)
    assert Path(mine["MPLCONFIGDIR"]).is_dir() and os.access(mine["MPLCONFIGDIR"], os.W_OK)
    of_root = {"HOME": "/proc/me"}  # its rights say that it can be written
    environment.prepare_process(of_root)
    assert "MPLCONFIGDIR" in of_root
    for given in ({"HOME": str(tmp_path)}, {"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path)}):
        environment.prepare_process(given)
        assert "MPLCONFIGDIR" not in given
    chosen = {"HOME": mine["HOME"], "MPLCONFIGDIR": "mine"}
    environment.prepare_process(chosen)
    assert chosen["MPLCONFIGDIR"] == "mine"
