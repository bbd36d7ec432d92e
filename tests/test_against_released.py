"""scripts/against_released.py on stand-ins with a release's file layout, written here: what is equal, what differs, and
what cannot run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import forks
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "against_released.py"
LAYER = """
import torch
from torch import nn
from IPython import embed


class LIFAct(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.temp, self.decay = 1.5, {decay}

    def set_spike_state(self, use):
        pass

    def forward(self, x):
        v, out = torch.zeros_like(x[0]), []
        for current in x:
            v = self.decay * v + current
            inside = v.clamp(0, 1)
            smooth = torch.tanh(self.temp * (inside - 0.5)) / (2 * torch.tanh(torch.tensor(self.temp / 2).double()))
            s = ((v > 0.5).double() - smooth).detach() + smooth
            v = v * (1 - s)
            out.append(s)
        return torch.stack(out)


def mem_update(x_in, mem):
    return None
"""


def run(*paths: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(SCRIPT), *map(str, paths), "--out", str(paths[0] / "table.md")]
    return forks.run(line, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    return tmp_path


def test_an_equal_neuron_has_no_difference_and_a_network_that_is_not_there_is_named(checkout: Path) -> None:
    (checkout / "models" / "spike_layer.py").write_text(LAYER.format(decay=0.25))
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "| neuron |" in line)
    name, part, preset, outputs, gradients = (cell.strip() for cell in row.strip("|").split("|")[:5])
    assert (name, part, preset, outputs) == (checkout.name, "neuron", "lif", "0") and float(gradients) < 1e-12
    assert done.stdout.count("not run: it has no ") == 3 and "resnet19_cifar" in done.stdout
    assert (checkout / "table.md").read_text() == done.stdout


def test_another_leak_and_what_is_no_release_are_seen(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (checkout / "models" / "spike_layer.py").write_text(LAYER.format(decay=0.3))
    done = run(checkout, empty := tmp_path_factory.mktemp("empty"))
    assert done.returncode == 1
    (row,) = (line for line in done.stdout.splitlines() if "| neuron |" in line)
    assert float(row.split("|")[4]) == 1  # one spike more or less
    assert f"| {empty.name} |  |  |  |  | not run: none of models/spike_layer.py" in done.stdout


SHOT = """
from clip import clip
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler
import torchvision.transforms as transforms

flip = transforms.RandomHorizontalFlip()
"""


def test_a_release_that_lacks_a_part_or_a_package_says_so_in_its_row(tmp_path: Path) -> None:
    clip, spike = tmp_path / "clip", tmp_path / "spike"
    (clip / "trainers").mkdir(parents=True)
    (clip / "trainers" / "fewshot.py").write_text(SHOT)  # it loads without Dassl, and has no model
    spike.mkdir()
    (spike / "sew_resnet.py").write_text("from spikingjelly.cext import neuron\nneuron.MultiStepIFNode\n")
    done = run(clip, spike)
    assert done.returncode == 1 and done.stdout.count("not run: ") == 2
    assert "has no attribute 'PointCLIP_Model'" in done.stdout
    assert "No module named 'spikingjelly" in done.stdout or "has no attribute 'LearnableSpike'" in done.stdout
