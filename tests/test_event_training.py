"""Networks on event frames: they learn, resume to the same bits, answer at any T, and refuse what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cloud_runs import fit
from conftest import Outcome
from event_runs import TEST, TRAIN, prepared, settings

from spikecli.datasets.events.frames import EqualCount
from spikecli.datasets.events.samples import Framing
from spikecli.datasets.events.split import load_events, split_frames
from spikecli.datasets.samples import load_samples
from spikecli.errors import SettingError, SpikeError, Stopped
from spikecli.evaluation import evaluate as flow
from spikecli.evaluation.how import How
from spikecli.models.inputs import to_network
from spikecli.models.running import step_logits
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import train_settings
from spikecli.settings.rules import refuse
from spikecli.training.settings import defaults
from spikecli.training.train import opened
from spikecli.weights.checkpoint import load
from spikecli.weights.trained import Trained

CPU = torch.device("cpu")
Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("spots"))


@pytest.mark.parametrize("paper", [paper for paper in PAPERS if paper != "joint"])  # trained by test_joint.py
def test_every_preset_learns_from_frames(data: Path, tmp_path: Path, paper: str) -> None:
    slow = paper in ("spiking-pointnet", "mpbn", "soft-reset-mpr")
    epochs, lr = (5, 0.02) if slow else (3, 0.01)
    changes = {"epochs": epochs, "lr": lr, "timesteps": 1 if paper == "ann" else 2}
    curve = fit(settings(paper, batch_size=18, **changes), data, tmp_path)
    assert curve[-1].loss < 0.97 * curve[0].loss


@pytest.mark.parametrize(
    ("parts", "model", "changes"),
    [
        ({"amplitude": "element", "norm": "mpbn-element"}, {}, {}),
        ({"fire": "ternary", "amplitude": "channel"}, {"batch_norm": "tdbn", "name": "resnet19"}, {"slicing": "time"}),
        ({"charge": "learned-leak", "reset": "soft"}, {"name": "vgg16"}, {"optimizer": "sgd", "lr": 0.1}),
    ],
)
def test_parts_and_networks_combine(
    data: Path, tmp_path: Path, parts: dict[str, Any], model: dict[str, Any], changes: dict[str, Any]
) -> None:
    epochs = fit(settings("lif", parts, model, epochs=4, batch_size=18, timesteps=2, **changes), data, tmp_path)
    assert epochs[-1].loss < 0.985 * epochs[0].loss


@pytest.mark.parametrize(("optimizer", "stop_at"), [("adam", 2), ("sgd", 4)])  # within an epoch, and in the next
def test_a_stopped_run_on_frames_resumes_to_the_same_bits(
    data: Path, tmp_path: Path, optimizer: str, stop_at: int
) -> None:
    changes = {"optimizer": optimizer, "decayed": "weights", "augment": "roll", "timesteps": 2}
    config = settings("spiking-pointnet", {"norm": "mpbn"}, **changes)
    expected = fit(config, data, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(config, data, tmp_path / "parts", stop_at=stop_at)
    fit(config, data, tmp_path / "parts", resume=True)
    first, second = (load(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    curve = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in curve] == [epoch.loss for epoch in expected]


def test_the_data_decides_classes_channels_and_size(data: Path, tmp_path: Path) -> None:
    with opened(settings(size=None), data, tmp_path, False, "cpu") as trainer:
        assert trainer.config.model.size == (34, 34) and trainer.config.model.inputs == 2
        assert trainer.batches.inputs.shape[1:] == (1, 2, 34, 34) and trainer.batches.inputs.dtype == np.uint8
        assert len(trainer.batches.labels) + len(trainer.held_out.labels) == 10 * TRAIN


def test_frames_hold_every_event_at_any_number_of_steps(data: Path) -> None:
    split = load_events(data, "nmnist", "test")
    samples = load_samples(data, "nmnist", "test", settings(size=None, timesteps=3))
    for steps in (1, 3, 4):
        frames = samples.inputs(steps)
        assert frames.shape == (10 * TEST, steps, 2, 34, 34)
        # With more steps than the network's own, each frame still holds as much as it has learned to expect.
        expected = np.diff(split.offsets) * max(1, steps / 3)
        np.testing.assert_allclose(frames.sum(axis=(1, 2, 3, 4), dtype=np.float64), expected, rtol=1e-6)
    counts = split_frames(split, EqualCount(3))
    assert np.array_equal(samples.inputs(3), counts)
    x = to_network(samples.inputs(3)[:5], CPU, torch.float32)
    assert x.shape == (3, 5, 2, 34, 34) and np.array_equal(x[1, 4].numpy(), counts[4, 1])


def test_smaller_frames_keep_the_mean_and_the_proportions() -> None:
    counts = np.random.default_rng(0).poisson(3, (2, 3, 2, 40, 60)).astype(np.int32)
    small = Framing("count", (20, 30), 3).of(counts)
    assert small.dtype == np.float32 and small.shape == (2, 3, 2, 20, 30)
    np.testing.assert_allclose(small.mean(), counts.mean(), rtol=0.02)
    square = Framing("count", (20, 20), 3).of(counts)
    assert not square[..., :2, :].any() and square[..., 4:16, :].any(-1).all()  # a margin, nothing is squeezed
    many = Framing("count", (40, 60), 3).of(counts * 200)
    assert many.dtype == np.int16 and np.array_equal(many, counts * 200)


def test_one_set_of_weights_answers_at_every_t_from_frames_of_that_t(data: Path, tmp_path: Path) -> None:
    fit(settings("ternary", epochs=4, batch_size=18), data, tmp_path)
    path = tmp_path / "model.safetensors"
    trained = Trained.open(path, "cpu")
    model, samples = trained.network, flow.samples_for(trained, data)
    rows = flow.evaluate(model, samples, [1, 4], How())
    assert [row.timesteps for row in rows] == [1, 4]
    labels = samples.labels
    for row in rows:
        logits = step_logits(model, samples.inputs(row.timesteps), row.timesteps, CPU, "fp32", 0)
        assert logits.shape == (row.timesteps, 10 * TEST, 10)
        assert row.instance_accuracy == pytest.approx((logits.mean(0).argmax(-1).numpy() == labels).mean())
    assert rows[0].instance_accuracy > 0.25  # chance is 0.1
    assert 0 < rows[0].firing_rate < 1 and rows[1].energy_uj > rows[0].energy_uj > 0


def test_the_command_line_trains_scores_and_predicts(cli: Cli, data: Path, tmp_path: Path) -> None:
    place = ("--data-dir", data)
    options = ("--width", 0.1, "--size", 12, "--timesteps", 2, "--epochs", 3, "--batch-size", 36, "--lr", 5e-3)
    done = cli("train", "nmnist", *options, "--out", tmp_path / "run", *place, "--json")
    assert done.code == 0 and done.document["epochs"] == 3 and "recordings to train on" in done.err
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (saved["model"]["name"], saved["paper"], saved["augment"]) == ("resnet20", "lif", "roll")
    assert saved["model"]["size"] == [12, 12] and saved["model"]["inputs"] == 2
    scored = cli("eval", tmp_path / "run", "--timesteps", "1,2", "--runs", 1, *place, "--json").document
    assert scored["samples"] == 10 * TEST and [row["timesteps"] for row in scored["results"]] == [1, 2]
    recording = sorted((data.parent / "N-MNIST" / "Test").rglob("*.bin"))[0]
    (answer,) = cli("predict", tmp_path / "run", recording, "--timesteps", 2, "--json").document
    trained = Trained.open(tmp_path / "run" / "model.safetensors", "cpu")
    model, samples = trained.network, flow.samples_for(trained, data)
    logits = step_logits(model, samples.inputs(2)[:1], 2, CPU, "fp32", 0).mean(0).softmax(-1)
    assert answer["predictions"][0]["probability"] == pytest.approx(logits.max().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nmnist", "--model", "pointnet"), "nmnist holds events; take one of resnet18"),
        (("shapes", "--model", "vgg16"), "shapes holds points; take one of pointnet"),
        (("nmnist", "--augment", "thin"), "take one of roll, flip-roll, shift, flip-shift, none"),
        (("nmnist", "--augment", "flip-roll"), "no longer of its class"),
        (("shapes", "--amplitude", "element"), "no order; take channel"),
        (("shapes", "--norm", "mpbn-element"), "no order; take mpbn"),
        (("nmnist", "--norm", "rectifier", "--fire", "ternary"), "take fire binary"),
        (("nmnist", "--norm", "rectifier", "--threshold", 1), "threshold 0.5"),
        (("shapes", "--size", 20), "--size is for recordings"),
        (("nmnist", "--timesteps", 100), "fewer time steps"),
    ],
)
def test_what_makes_no_sense_gets_one_line_with_the_reason(
    cli: Cli, data: Path, arguments: tuple[object, ...], said: str
) -> None:
    done = cli("train", *arguments, "--quiet", "--data-dir", data)
    assert done.code == (1 if said == "fewer time steps" else 2)  # a recording too short for a valid setting
    assert said in done.err and done.err.startswith("error: ") and done.err.count("\n") == 1


def test_a_data_set_of_another_kind_is_refused(cli: Cli, data: Path, tmp_path: Path) -> None:
    fit(settings(epochs=1), data, tmp_path)
    done = cli("eval", tmp_path, "--data", "shapes", "--data-dir", data)
    assert done.code == 2 and "trained on events" in done.err and "--data" in done.err


def test_each_kind_of_data_has_its_defaults() -> None:
    assert defaults("shapes").model == "pointnet" and defaults("shapes").augment is None
    assert defaults("digits").augment == "roll" and defaults("cifar10dvs").augment == "flip-roll"
    assert (defaults("cifar100").model, defaults("cifar100").recipe) == ("resnet20", "cifar")
    refuse(train_settings("cifar10", "lif", "cifar", {}, {}, {"name": "resnet19"}), "images")
    with pytest.raises(SpikeError, match="slicing is for recordings"):
        refuse(train_settings("cifar10", "lif", "cifar", {"slicing": "time"}, {}, {"name": "vgg16"}), "images")


@pytest.mark.parametrize(
    ("training", "parts", "setting"),
    [
        ({}, {"start": "position"}, "start"),
        ({"teacher_weight": 0.3}, {}, "teacher_weight"),
        ({"orthogonality": 0.3}, {}, "orthogonality"),
    ],
)
def test_settings_that_would_say_nothing_are_refused(
    training: dict[str, Any], parts: dict[str, Any], setting: str
) -> None:
    """Maps have no points whose position a neuron could start at, and no T-Nets; without a teacher it has no weight."""
    with pytest.raises(SettingError, match=setting):
        refuse(train_settings("nmnist", "lif", "events", training, parts, {"name": "resnet20"}), "events")
