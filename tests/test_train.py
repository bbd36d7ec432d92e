"""Training on tiny real clouds: it learns, it stops and resumes to the same bits, it never looks at the test split."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from cloud_runs import fit, settings
from torch import nn

from spikecli.datasets.samples import stratified_split
from spikecli.errors import SpikeError, Stopped
from spikecli.models.layers import BatchNorm
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.recipes import RECIPES, train_settings
from spikecli.training import losses, schedule
from spikecli.training.reestimation import reestimate
from spikecli.training.runs import Epoch
from spikecli.training.train import opened
from spikecli.weights.checkpoint import load


def test_training_lowers_the_loss_and_keeps_a_curve(shapes_dir: Path, tmp_path: Path) -> None:
    epochs = fit(settings(epochs=3), shapes_dir, tmp_path)
    assert epochs[-1].loss < 0.9 * epochs[0].loss
    assert epochs[-1].val_accuracy is not None and epochs[-1].val_accuracy > 0.2  # chance is 0.1
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] == epochs[-1].loss
    assert TrainConfig.model_validate_json((tmp_path / "config.json").read_text()).epochs == 3
    assert any((tmp_path / "tensorboard").iterdir())
    best = max(range(3), key=lambda e: (epochs[e].val_accuracy, -e))
    assert load(tmp_path / "best.safetensors").notes["epoch"] == best + 1


@pytest.fixture(scope="module")
def whole(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Epoch]]:
    """A run in bfloat16 that was not stopped, and its epochs."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(settings(precision="bf16", points=8), shapes_dir, folder)


@pytest.mark.parametrize("stop_at", [5, 9])  # within an epoch, and at the end of the first
def test_a_stopped_run_resumes_to_the_same_bits(
    shapes_dir: Path, tmp_path: Path, whole: tuple[Path, list[Epoch]], stop_at: int
) -> None:
    parts, config = tmp_path / "parts", settings(precision="bf16", points=8)
    with pytest.raises(Stopped, match="with resume to go on"):
        fit(config, shapes_dir, parts, stop_at=stop_at)
    fit(config, shapes_dir, parts, resume=True)
    first, second = load(whole[0] / "model.safetensors"), load(parts / "model.safetensors")
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    curve = [json.loads(line) for line in (parts / "metrics.jsonl").read_text().splitlines()]
    assert [(e["epoch"], e["loss"], e["val_accuracy"]) for e in curve] == [
        (e.epoch, e.loss, e.val_accuracy) for e in whole[1]
    ]


def test_a_stop_within_an_epoch_leaves_the_best_weights_alone(shapes_dir: Path, tmp_path: Path) -> None:
    config = settings(epochs=3)
    with pytest.raises(Stopped):
        fit(config, shapes_dir, tmp_path, stop_at=12)  # of 9 steps an epoch: the first is the best so far
    published = {name: (tmp_path / name).read_bytes() for name in ("best.safetensors", "model.safetensors")}
    with opened(config, shapes_dir, tmp_path, True, "cpu") as trainer:
        assert trainer.run.progress.step == 12
        assert {name: (tmp_path / name).read_bytes() for name in published} == published
        (tmp_path / "metrics.jsonl").unlink()
    with opened(config, shapes_dir, tmp_path, True, "cpu"):
        assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(shapes_dir: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(settings(epochs=1, seed=seed, points=16), shapes_dir, tmp_path / name)
    a, b, c = (load(tmp_path / name / "model.safetensors").tensors for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["out.weight"], c["out.weight"])


def test_a_run_is_neither_overwritten_nor_resumed_with_other_settings(shapes_dir: Path, tmp_path: Path) -> None:
    fit(settings(epochs=1), shapes_dir, tmp_path)
    with pytest.raises(SpikeError, match="resume"):
        fit(settings(epochs=1), shapes_dir, tmp_path)
    with pytest.raises(SpikeError, match=r"lr cannot be 0\.1: .* with 0\.002"):
        fit(settings(epochs=1, lr=0.1), shapes_dir, tmp_path, resume=True)
    with pytest.raises(SpikeError, match="no run to resume"):
        fit(settings(epochs=1), shapes_dir, tmp_path / "empty", resume=True)
    assert len(fit(settings(epochs=2), shapes_dir, tmp_path, resume=True)) == 1  # more epochs may be asked for


def test_two_runs_in_one_folder_are_refused(shapes_dir: Path, tmp_path: Path) -> None:
    with (
        opened(settings(), shapes_dir, tmp_path, False, "cpu"),
        pytest.raises(SpikeError, match=str(os.getpid())),
        opened(settings(), shapes_dir, tmp_path, False, "cpu"),
    ):
        pass


def test_a_loss_that_is_not_finite_ends_the_run(shapes_dir: Path, tmp_path: Path) -> None:
    with opened(settings(), shapes_dir, tmp_path, False, "cpu") as trainer:
        with torch.no_grad():
            trainer.model.get_parameter("out.bias").fill_(float("nan"))
        with pytest.raises(SpikeError, match="nan in epoch 1, step 1"):
            next(trainer.epochs(lambda *_: None))
    assert not (tmp_path / "model.safetensors").exists()


def test_reestimation_gives_the_statistics_of_clean_clouds() -> None:
    norm = BatchNorm(3)
    model = nn.Sequential(norm)
    model.forward = lambda x, timesteps: norm(x)  # type: ignore[method-assign]
    batches = [torch.randn(50, 3) * 2 + 1 for _ in range(4)]

    def clean() -> Iterator[torch.Tensor]:
        yield from batches

    reestimate(model, clean(), TrainConfig(), torch.device("cpu"))
    torch.testing.assert_close(norm.running_mean, torch.stack([b.mean(0) for b in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([b.var(0) for b in batches]).mean(0))
    assert norm.momentum == 0.1


def test_the_validation_part_is_stratified_and_seeded() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 5])
    kept, held = stratified_split(labels, 0.1, seed=3)
    assert np.bincount(labels[held]).tolist() == [10, 4, 1]
    assert sorted([*kept, *held]) == list(range(145))
    assert np.array_equal(stratified_split(labels, 0.1, seed=3)[1], held)
    assert not np.array_equal(stratified_split(labels, 0.1, seed=4)[1], held)
    assert len(stratified_split(labels, 0.0, seed=3)[1]) == 0


def test_per_step_cross_entropy_is_the_likelihood_of_the_mean_log_softmax() -> None:
    logits, labels = torch.randn(4, 6, 5, dtype=torch.float64), torch.randint(0, 5, (6,))
    mean = logits.log_softmax(-1).mean(0)
    torch.testing.assert_close(losses.cross_entropy(logits, labels), nn.functional.nll_loss(mean, labels))


def test_orthogonality_of_a_rotation_is_zero_and_of_twice_the_identity_known() -> None:
    tnet = nn.Identity()
    penalty = losses.Orthogonality(tnet)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    tnet(rotation[None, None])
    assert float(penalty.take()) == pytest.approx(0, abs=1e-12)
    tnet(2 * torch.eye(4)[None, None])
    assert float(penalty.take()) == pytest.approx(6)  # ‖4I − I‖_F = 3·√4
    assert penalty.take() == 0


def test_schedules() -> None:
    cycle = TrainConfig(epochs=10, lr=1.0)
    assert schedule.learning_rate(cycle, 0) == pytest.approx(1 / 25)
    assert schedule.learning_rate(cycle, 2) == pytest.approx(1)
    assert schedule.learning_rate(cycle, 10) == pytest.approx(1e-4)
    down = TrainConfig(schedule="step", lr=1.0, epochs=200)
    assert [schedule.learning_rate(down, e) for e in (0, 19.9, 20, 41)] == pytest.approx([1, 1, 0.7, 0.49])


def test_the_papers_recipe_is_the_papers() -> None:
    config = train_settings("modelnet10", "spiking-pointnet", "paper", {}, {}, {})
    assert (config.epochs, config.batch_size, config.lr, config.weight_decay) == (200, 48, 1e-3, 1e-4)
    assert (config.schedule, config.augment, config.optimizer, config.timesteps) == ("step", "paper", "adam", 1)
    assert config.model == network_settings(neuron=config.model.neuron) and config.model.neuron is not None
    assert config.model.neuron.start == "perturbed"
    assert set(RECIPES) == {"short", "paper", "events", "pictures", "cifar", "dela"}
    with pytest.raises(SpikeError, match="no time"):
        train_settings("shapes", "ann", "short", {"timesteps": 4}, {}, {})


def test_steps_that_were_read_together_share_their_seconds(shapes_dir: Path, tmp_path: Path) -> None:
    with opened(settings(), shapes_dir, tmp_path, False, "cpu") as trainer:
        trainer._count([[0.5, 1.0, 0.0, 1.0]] * 3, 6.0, 0, 0, lambda *_: None)
        progress = trainer.run.progress
        assert (progress.step, progress.seconds, progress.loss, progress.right) == (3, 6.0, 1.5, 3.0)
