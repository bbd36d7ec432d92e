"""The notebooks of examples/, each run from its first cell to its last on tiny data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rooms import ROOT

import spikecli
from spikecli import neurons
from spikecli.settings import choices

EXAMPLES = ROOT / "examples"
# What makes a notebook small enough for a test: in each pair, the words of the notebook and those of the test.
SMALLER = {
    "a_neuron_of_your_own": [('"points": 256, "epochs": 5', '"points": 24, "epochs": 1'), ("1024", "24")],
    "five_minutes_of_clouds": [("points=256", "points=24"), ("epochs=5", "epochs=1"), ("1024", "24")],
    "five_minutes_of_events": [("epochs=3", "epochs=1"), ("width=0.5", "width=0.1, size=12, batch_size=100")],
    "from_checkpoint_to_onnx": [("timesteps=4, samples", "timesteps=1, samples"), ("1024", "64")],
}


@pytest.fixture
def parts() -> Iterator[None]:
    """Remove the neurons' parts that a notebook has added."""
    before = set(choices.names("fire"))
    yield
    for name in set(choices.names("fire")) - before:
        neurons.remove("fire", name)


def test_every_notebook_is_run_here() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == sorted(SMALLER)


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_a_notebook_runs(
    name: str, parts: None, few_built_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4 and not any(cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    if any("onnxruntime" in source for source in cells):
        for package in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(package, reason="the extra export is not installed")
    for mesh in EXAMPLES.glob("*.off"):
        shutil.copy(mesh, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace: dict[str, object] = {}
    for source in cells:
        for words, fewer in SMALLER[name]:
            source = source.replace(words, fewer)
        exec(compile(source, f"{name}.ipynb", "exec"), namespace)
    assert isinstance(namespace["network"], spikecli.Model)


def test_what_shortens_a_notebook_is_found_in_it() -> None:
    """Otherwise the test would train at full size."""
    for name, pairs in SMALLER.items():
        text = "".join(
            "".join(cell["source"])
            for cell in json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        )
        assert [words for words, _ in pairs if words not in text] == [], name
