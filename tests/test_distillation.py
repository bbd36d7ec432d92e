"""Distillation from a trained network: the loss by hand, whom it may teach, and a run with a teacher."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli.files import tensors
from spikecli.settings.config import TrainConfig
from spikecli.training.distillation import Teacher
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.run_folder import LAST

Cli = Callable[..., Outcome]


class Said(nn.Module):
    """Answers with the mean of its input, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.seen: tuple[Tensor, int] | None = None

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        self.seen = x, timesteps
        return torch.tensor([[[math.log(3) * 2, 0.0]]], dtype=torch.float64) * self.weight


def teacher(**settings: float) -> tuple[Teacher, Said]:
    said = Said()
    config = TrainConfig(**{"teacher": "run", "precision": "fp64", **settings})  # type: ignore[arg-type]
    return Teacher(SimpleNamespace(network=said, config=config), config), said  # type: ignore[arg-type]


def test_the_loss_is_that_of_two_softened_answers() -> None:
    one, _ = teacher(teacher_weight=0.25, teacher_temperature=2.0)
    logits = torch.tensor([[[3.0, 1.0]], [[-3.0, -1.0]]], dtype=torch.float64, requires_grad=True)  # of mean 0
    found = one.teach(torch.tensor(2.0, dtype=torch.float64), torch.zeros(1, 8, 3), logits)
    # softened by 2 the teacher says ¾ and ¼, the student ½ and ½
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found.item() == pytest.approx(0.75 * 2.0 + 0.25 * 4 * divergence)
    found.backward()
    # w·τ²·(½ − ¾)/τ for the mean of two steps, a half of it for each
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([-0.0625, 0.0625, -0.0625, 0.0625])


def test_an_ann_sees_all_frames_at_once_and_learns_nothing() -> None:
    one, said = teacher()
    frames = torch.arange(16.0).view(2, 1, 2, 2, 2)
    one.logits(frames)
    assert said.seen is not None and said.seen[1] == 1
    assert torch.equal(said.seen[0], frames.sum(0, keepdim=True).double())
    assert not said.weight.requires_grad


@pytest.fixture(scope="module")
def line(shapes_dir: Path) -> list[str]:
    sizes = ["--epochs", "1", "--points", "16", "--batch-size", "100"]
    return ["train", "shapes", *sizes, "--data-dir", str(shapes_dir)]


def test_a_run_learns_from_an_ann(cli: Cli, line: list[str], tmp_path: Path) -> None:
    ann, run = tmp_path / "ann", tmp_path / "run"
    assert cli(*line, "--paper", "ann", "--out", ann).code == 0
    mine = [*line, "--paper", "lif", "--teacher", ann, "--timesteps", 2]
    done = cli(*mine, "--out", run)
    assert done.code == 0, done.err
    alone = cli(*line, "--paper", "lif", "--timesteps", 2, "--out", tmp_path / "alone")
    assert alone.code == 0
    first, second = (checkpoints.load(path / LAST) for path in (run, tmp_path / "alone"))
    assert any(not torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    assert first.notes["teacher"]["weights"] == "ann" and len(first.notes["teacher"]["sha256"]) == 64
    assert first.config.teacher == str(ann)
    values, metadata = tensors.read(ann / LAST)
    values["out.bias"] = values["out.bias"] + 1
    tensors.write(ann / LAST, values, metadata)
    again = cli(*mine, "--out", run, "--resume", "--epochs", 2)
    assert again.code == 1 and "has other weights than at the start of this run" in again.err


def test_a_teacher_of_other_classes_is_refused(cli: Cli, line: list[str], tmp_path: Path) -> None:
    ann = tmp_path / "ann"
    assert cli(*line, "--paper", "ann", "--out", ann).code == 0
    values, metadata = tensors.read(ann / LAST)
    names = json.loads(metadata["classnames"])
    tensors.write(ann / LAST, values, {**metadata, "classnames": json.dumps(names[::-1])})
    done = cli(*line, "--paper", "lif", "--teacher", ann, "--out", tmp_path / "run")
    assert done.code == 2 and "take a run on the same classes" in done.err
