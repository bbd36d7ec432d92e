"""The seven tasks of CONTRIBUTING.md, each done here in its smallest form beside the tests that its section names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from export_nets import thin_stepper
from rooms import ROOT

from spikecli import models
from spikecli.datasets.events.recording import EVENT
from spikecli.evaluation.stopping import StopRule
from spikecli.export import formats
from spikecli.live import sources, watcher, wire
from spikecli.live.windows import EventWindow
from spikecli.settings import choices, networks, plugins

Cli = Callable[..., Outcome]
TASKS = (
    "A neuron part",
    "A data set",
    "A point network",
    "An export format",
    "A fast GPU path",
    "A live view",
    "A notebook",
)
OWN = """
from pathlib import Path

from spikecli import models
from spikecli.export import formats
from spikecli.settings.networks import ModelConfig


class ToyConfig(ModelConfig):
    name: str = "toy"


def build(config):
    from torch import nn

    from spikecli import neurons
    from spikecli.models.layers import CoordinateLinearNorm, NormThenMax
    from spikecli.models.plain import Linear

    class Toy(nn.Module):
        def __init__(self):
            super().__init__()
            self.point = CoordinateLinearNorm(3, 8)
            self.fire1 = neurons.build(config.neuron, 8)
            self.pool = NormThenMax(8, 16)
            self.fire2 = neurons.build(config.neuron, 16)
            self.out = Linear(16, config.classes)

        def forward(self, points, timesteps=1):
            x = self.fire1(self.point(points.unsqueeze(0)), timesteps, points)
            return self.out(self.fire2(self.pool(x), timesteps).to(self.out.weight.dtype))

        def wiring(self):
            yield "fire1", ("pool",)
            yield "fire2", ("out",)

    return Toy()


class Text:
    def refusals(self, subject, wanted):
        return []

    def write(self, subject, wanted, path):
        path.write_text("".join(f"{name} {tuple(one.shape)}\\n" for name, one in subject.network.state_dict().items()))
        checked = formats.Checked("nothing", 0, "no samples", 0.0, 0, 0)
        return formats.Exported(path, "txt", "1", {}, {}, checked)


models.add("toy", build, ToyConfig, "one layer and a maximum")
formats.add(".txt", Text())
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A file with a network and an export format, forgotten afterwards."""
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    yield tmp_path / "own.py"
    for table in (models.MODELS, networks.NETWORKS, formats._ADDED):
        for name in ("toy", "txt"):
            table.pop(name, None)
    choices.remove("model", "toy")
    plugins._imported.cache_clear()


def sections() -> dict[str, str]:
    """Return the text of each section of CONTRIBUTING.md by its title."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {part.partition("\n")[0]: " ".join(part.partition("\n")[2].split()) for part in text.split("\n## ")[1:]}


def test_each_task_starts_in_a_file_that_its_section_names_first() -> None:
    found = sections()
    starts = {task: re.match(r"Start in [^.`]*`([\w./-]+)`", found.get(task, "")) for task in TASKS}
    starts["A data set"] = re.search(r"A built-in data set starts in `([\w./-]+)`", found["A data set"])
    assert {task for task, start in starts.items() if start is None} == set()
    assert {start[1] for start in starts.values() if start and not (ROOT / start[1]).is_file()} == set()


def test_each_task_names_the_test_that_holds_it() -> None:
    found = sections()
    assert {task for task in TASKS if not re.search(r"`tests/test_\w+\.py`", found[task])} == set()


def test_five_scans_are_a_data_set(cli: Cli, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, count, height in (("cup", 3, 1), ("rod", 2, 9)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(count):
            rows = draw.uniform(size=(40, 3)) * (1, 1, height)
            head = "ply\nformat ascii 1.0\nelement vertex 40\nproperty float x\nproperty float y\nproperty float z\n"
            lines = "".join("{} {} {}\n".format(*row) for row in rows)
            (tmp_path / "scans" / name / f"{number}.ply").write_text(f"{head}end_header\n{lines}", encoding="ascii")
    place = ("--data-dir", tmp_path / "data", "--quiet")
    done = cli("data", "prepare", "five", "--from", tmp_path / "scans", "--points", 32, *place)
    assert done.code == 0 and "five: 3 train, 2 test prepared" in done.out, done.err
    trained = cli("train", "five", "--epochs", 1, "--points", 32, "--out", tmp_path / "run", *place)
    assert trained.code == 0, trained.err
    scored = cli("eval", tmp_path / "run", "--timesteps", 1, "--runs", 1, *place, "--json")
    assert scored.document["samples"] == 2, scored.err


def test_a_network_and_an_export_format_come_from_one_file(
    cli: Cli, own: Path, shapes_dir: Path, tmp_path: Path
) -> None:
    place = ("--import", own, "--data-dir", shapes_dir, "--quiet")
    small = ("--epochs", 1, "--points", 16, "--batch-size", 300)
    trained = cli("train", "shapes", "--model", "toy", *small, "--out", tmp_path / "run", *place)
    assert trained.code == 0, trained.err
    scored = cli("eval", tmp_path / "run", "--timesteps", 1, "--runs", 1, *place, "--json")
    assert scored.document["results"][0]["synaptic_operations"] > 0, scored.err
    folded = cli("reparameterize", tmp_path / "run", "--out", tmp_path / "f.safetensors", "--samples", 2, *place)
    assert folded.code == 0, folded.err
    written = cli("export", tmp_path / "run", "--out", tmp_path / "net.txt", *place)
    assert written.code == 0, written.err
    text = (tmp_path / "net.txt").read_text(encoding="utf-8")
    assert "out.weight (10, 16)" in text and "norm" not in text  # the folded network


def test_a_live_view_is_a_loop_over_answers() -> None:
    events = np.zeros(400, EVENT)
    events["t"] = np.arange(400) * 100
    events["x"] = events["y"] = np.arange(400) % 34
    stream = sources.Stream(iter(np.array_split(events, 7)), (34, 34), wire.Losses())
    window = EventWindow(100, 100, False)
    found = watcher.answers(thin_stepper(), stream, window, (34, 34), StopRule())
    bars = [f"{answer.t / 1e3:4.1f} ms {'#' * int(answer.counts.sum() // 10)}" for answer in found]
    assert bars == [f"{last:4.1f} ms {'#' * 10}" for last in (9.9, 19.9, 29.9, 39.9)]
