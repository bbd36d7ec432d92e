"""Joint A-SNN: the shared bases, the loss by hand, the ordinary network it leaves, and a run through the commands."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from event_bytes import bin_bytes, write
from event_layouts import prepare_events
from safetensors.torch import load_file
from torch import Tensor, nn

from spikecli import models
from spikecli.errors import SpikeError
from spikecli.models.joint import Joint, decomposed, shared_weights
from spikecli.models.layers import BatchNorm
from spikecli.models.resnet import ResNet
from spikecli.neurons import Neuron
from spikecli.settings.config import ModelConfig, TrainConfig, network_settings
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import train_settings
from spikecli.training import losses
from spikecli.training.joint_loss import JointLoss, joint_loss
from spikecli.training.train import opened
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.reparameterize import reparameterize

Cli = Callable[..., Outcome]
NETWORKS = ("resnet18", "resnet19", "resnet20", "vgg16", "pointnet")


def config(name: str = "resnet20", **changes: Any) -> ModelConfig:
    maps = {} if name == "pointnet" else {"width": 0.125, "inputs": 2, "size": (8, 8)}
    return network_settings(name=name, joint=True, **{**maps, **changes})


def network(name: str = "resnet20", **changes: Any) -> Joint:
    """A Joint in float64 with weights and statistics that no two layers and no two branches have alike."""
    torch.manual_seed(0)
    model = models.build(config(name, **changes)).double()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.mul_(torch.empty_like(tensor).uniform_(0.8, 1.2))
    assert isinstance(model, Joint)
    return model


def inputs(name: str, timesteps: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (3, 32, 3) if name == "pointnet" else (3, 2, 8, 8)
    return torch.rand((timesteps, *shape) if timesteps else shape, generator=generator, dtype=torch.float64)


# The bases.


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (3, 8, 3, 3), (8, 5, 1, 1), (7, 4)])
def test_factors_make_the_kernel_again_position_by_position(shape: tuple[int, ...]) -> None:
    kernel = torch.randn(shape, dtype=torch.float64)
    bases, sigma = decomposed(kernel)
    places, rank = math.prod(shape[2:]), min(shape[:2])
    assert bases.u.shape == (places, shape[0], rank) and bases.v.shape == (places, rank, shape[1])
    assert torch.allclose(bases(sigma), kernel, rtol=0, atol=1e-13)
    assert torch.allclose(bases.u.mT @ bases.u, torch.eye(rank, dtype=torch.float64).expand(places, -1, -1))
    middle = kernel.reshape(*shape[:2], -1)[:, :, places // 2]  # the matrix that one position is
    assert torch.allclose(sigma[places // 2], torch.linalg.svdvals(middle))


def test_every_layer_but_the_last_has_bases_and_both_networks_begin_alike() -> None:
    for name in NETWORKS:
        torch.manual_seed(3)
        model = models.build(config(name))
        torch.manual_seed(3)
        plain = models.build(config(name).model_copy(update={"joint": False}))
        weights = dict(shared_weights(plain))
        assert len(weights) == len(model.bases) == (5 if name == "pointnet" else len(weights))
        assert {n for n, p in plain.named_parameters() if p.dim() > 1} == {*weights, "out.weight"}
        for branch in (model.snn, model.ann):
            for key, made in branch.weights(model.bases).items():
                assert torch.allclose(made, weights[key], atol=1e-6)


def test_a_step_on_one_network_moves_the_bases_of_both_and_its_own_values_alone() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ann = {name: weight.detach() for name, weight in model.ann.weights(model.bases).items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses.cross_entropy(model(inputs("resnet20"), 2), torch.tensor([0, 1, 2])).backward()
    optimizer.step()
    assert all(not torch.equal(weight, ann[name]) for name, weight in model.ann.weights(model.bases).items())
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {name for name in moved if name.startswith("ann.")} == set()
    assert {f"snn.sigma.{n}" for n in range(len(model.bases))} <= moved
    assert {f"bases.{n}.{part}" for n in range(len(model.bases)) for part in "uv"} <= moved


# The loss.


def exits(*parts: tuple[list[list[float]], list[list[float]]]) -> list[tuple[Tensor, Tensor]]:
    """Exits of one sample from (logits by step, feature by step)."""
    return [tuple(torch.tensor(part, dtype=torch.float64)[:, None].requires_grad_() for part in each) for each in parts]


def example() -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
    """Softened by 3, the ANN's end says (3/4, 1/4) and the spiking one's (1/4, 3/4); their exits say (1/2, 1/2)."""
    sharp = 3 * math.log(3)
    ann = exits(([[0, 0]], [[1, -1]]), ([[sharp, 0]], [[0.5, -1]]))
    snn = exits(([[1, 0], [-1, 0]], [[0.5, -0.5], [1.5, -1.5]]), ([[1, sharp], [-1, 0]], [[-0.5, 1], [0, 2]]))
    return ann, snn


def test_the_loss_is_the_papers() -> None:
    ann, snn = example()
    loss = joint_loss(ann, snn, torch.tensor([0]), torch.tensor(0.7, dtype=torch.float64))
    told = math.log(2) + math.log(28 / 27) + math.log(2) + 0.7
    taught = 9 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5) + 0 + 0.5 * math.log(3))
    features = (2 - 1) ** 2 + 0 + (-0.5 - 0.5) ** 2 + (3 + 1) ** 2  # −2 and −1 both are below 0
    assert loss.item() == pytest.approx(0.9 * told + 0.1 * taught + 1e-6 * features, abs=1e-12)


def test_nobody_teaches_the_teachers() -> None:
    ann, snn = example()
    joint_loss(ann, snn, torch.tensor([0]), torch.tensor(0.7, dtype=torch.float64)).backward()
    assert [feature.grad for _, feature in ann] == [None, None]
    end = ann[1][0].grad
    assert end is not None
    assert torch.allclose(end, 0.9 * torch.tensor([[[27 / 28 - 1, 1 / 28]]], dtype=torch.float64))  # its own answer
    first = ann[0][0].grad
    assert first is not None  # 0.9·(p − y) + 0.1·3·(softened p − softened teacher)
    assert torch.allclose(first, torch.tensor([[[-0.45 - 0.075, 0.45 + 0.075]]], dtype=torch.float64))
    for logits, feature in snn:
        assert logits.grad is not None and torch.equal(logits.grad[0], logits.grad[1]) and logits.grad.any()
        assert feature.grad is not None and torch.equal(feature.grad[0], feature.grad[1]) and feature.grad.any()


def test_the_networks_loss_is_that_of_their_exits() -> None:
    for name, count in (("resnet18", 4), ("resnet20", 4), ("resnet19", 3), ("vgg16", 5), ("pointnet", 1)):
        model, labels = network(name).train(), torch.tensor([0, 1, 2])
        passes: list[list[tuple[Tensor, Tensor]]] = []
        for branch in (model.ann, model.snn):
            branch.register_forward_hook(lambda module, inputs, output, passes=passes: passes.append(output))
        reader = JointLoss(model, smoothing=0.1)
        logits = model(inputs(name), 2)
        answer = losses.cross_entropy(logits, labels, 0.1)
        total = reader.total(answer, labels)
        ann, snn = passes
        assert len(ann) == len(snn) == count
        assert torch.equal(snn[-1][0], logits) and logits.shape == (2, 3, 10)
        widths = {feature.shape[-1] for part in passes for _, feature in part}
        assert widths == ({256} if name == "pointnet" else {64})
        assert {len(z) for z, _ in ann} == {1} and {len(f) for _, f in snn} == {2}
        assert torch.equal(total, joint_loss(ann, snn, labels, answer, 0.1))
        total.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    plain = models.build(network_settings())
    assert JointLoss(plain).total(answer, labels) is answer


def test_the_ann_sees_all_frames_at_once_and_the_spiking_network_each() -> None:
    model, frames = network().eval(), inputs("resnet20", 4)
    ann = model.materialized("ann")
    with torch.no_grad():
        assert torch.equal(ann(frames, 4), ann(frames.sum(0), 1))
        assert model(frames).shape == (4, 3, 10) and ann(frames).shape == (1, 3, 10)
    assert not any(isinstance(module, Neuron) for module in ann.modules())


# What is left after training.


def emitted(model: nn.Module, x: Tensor, timesteps: int) -> tuple[Tensor, list[Tensor]]:
    spikes: list[Tensor] = []
    neurons = [module for module in model.modules() if isinstance(module, Neuron)]
    handles = [neuron.register_forward_hook(lambda m, i, o: spikes.append(o)) for neuron in neurons]
    with torch.no_grad():
        logits = model(x, timesteps)
    for handle in handles:
        handle.remove()
    return logits, spikes


@pytest.mark.parametrize("name", NETWORKS)
def test_the_ordinary_network_is_the_joint_one_spike_for_spike(name: str) -> None:
    model = network(name).eval()
    ordinary = model.materialized()
    expected = models.build(config(name).model_copy(update={"joint": False}))
    assert type(ordinary) is type(expected) and ordinary.state_dict().keys() == expected.state_dict().keys()
    assert not ordinary.training and all(p.is_leaf and p.requires_grad for p in ordinary.parameters())
    shown = [inputs(name)] if name == "pointnet" else [inputs(name), inputs(name, 4)]
    for timesteps, x in [(t, x) for t in (1, 4) for x in shown]:
        (first, spikes), (second, others) = emitted(model, x, timesteps), emitted(ordinary, x, timesteps)
        assert (first - second).abs().max() <= 1e-12
        assert len(spikes) == len(others) > 3 and any(each.any() for each in spikes)
        assert all(torch.equal(a, b) for a, b in zip(spikes, others, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_it_folds_into_a_network_that_emits_spikes_alone(name: str) -> None:
    model = network(name, neuron=PAPERS["mpbn"].neuron).eval()
    folded = reparameterize(model)
    for timesteps in (1, 4):
        (first, spikes), (second, others) = (emitted(each, inputs(name), timesteps) for each in (model, folded))
        assert (first - second).abs().max() <= 1e-9
        assert all(torch.equal(a, b) for a, b in zip(spikes, others, strict=True))
    assert not any(isinstance(module, BatchNorm | nn.BatchNorm1d) for module in folded.modules())


def test_it_combines_with_other_papers() -> None:
    both = train_settings("shapes", "mpbn+joint", "short", {}, {"fire": "ternary"}, {}).model
    assert both.joint and both.neuron is not None and (both.neuron.norm, both.neuron.fire) == ("mpbn", "ternary")
    assert not train_settings("shapes", "mpbn", "short", {}, {}, {}).model.joint


def test_any_neuron_has_an_ann_beside_it() -> None:
    for name, paper in PAPERS.items():
        if paper.neuron is not None:
            model = network(neuron=paper.neuron, batch_norm="tdbn").train()
            model(inputs("resnet20"), 2)
            torch.manual_seed(0)
            logits = model.eval()(inputs("resnet20"), 2)
            torch.manual_seed(0)
            assert torch.equal(model.materialized()(inputs("resnet20"), 2), logits), name


# Runs.


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N-MNIST prepared from recordings in which each digit has columns of its own."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, indices in (("Train", range(1, 6)), ("Test", range(50, 52))):
        for digit, index in product(range(10), indices):
            columns, rows = 3 * digit + rng.integers(0, 4, 60), rng.integers(0, 34, 60)
            events = [(int(x), int(y), 100 * t, t % 2) for t, (x, y) in enumerate(zip(columns, rows, strict=True))]
            write(folder / "N-MNIST" / split / str(digit) / f"{index:05d}.bin", bin_bytes(events))
    prepare_events(folder, "nmnist", folder / "N-MNIST", workers=1)
    return folder


ON_FRAMES = {
    "model": "resnet18", "width": 0.125, "batch-norm": "tdbn", "size": 8, "timesteps": 2, "epochs": 5, "lr": 0.02,
    "batch-size": 10, "augment": "none", "val-fraction": 0.2,
}  # fmt: skip


def test_a_run_on_frames_learns_stops_and_goes_on_to_the_same_bits(cli: Cli, recordings: Path, tmp_path: Path) -> None:
    options = [str(part) for name, value in ON_FRAMES.items() for part in (f"--{name}", value)]
    whole, parts, common = tmp_path / "whole", tmp_path / "parts", ("--data-dir", recordings, "--json", "--quiet")
    done = cli("train", "nmnist", "--paper", "joint", *options, "--out", whole, *common)
    curve = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert done.code == 0 and curve[-1]["loss"] < 0.95 * curve[0]["loss"]
    assert done.document["ann_val_accuracy"] >= 0.5  # chance is 0.1

    config = TrainConfig.model_validate_json((whole / "config.json").read_text())
    with opened(config, recordings, parts, False, "auto") as trainer:  # where the command line trains, too
        run = trainer.epochs(lambda *_: None)
        next(run)
        run.close()  # as a process that ends between two epochs
    resumed = cli("train", "nmnist", "--paper", "joint", *options, "--out", parts, "--resume", *common)
    assert resumed.document["ann_val_accuracy"] == done.document["ann_val_accuracy"]
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)

    scores = cli("eval", whole, "--timesteps", 2, "--runs", 1, *common).document
    assert scores["samples"] == 20 and 0 < scores["results"][0]["firing_rate"] < 1
    out = tmp_path / "folded.safetensors"
    fold = cli("reparameterize", whole, "--out", out, *common).document
    assert fold["spikes_flipped"] == 0 and fold["max_logit_difference"] <= 1e-9
    again = cli("eval", out, "--timesteps", 2, "--runs", 1, *common).document["results"][0]
    assert again["instance_accuracy"] == scores["results"][0]["instance_accuracy"]
    trained, path = models.build(config.model).eval(), whole / "model.safetensors"
    trained.load_state_dict(first)
    loaded, frames = checkpoints.network(checkpoints.load(path), path), torch.rand(2, 5, 2, 8, 8)
    assert isinstance(loaded, ResNet) and not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(frames), trained(frames))  # in float32 too: the same products were made


def test_the_commands_take_it_as_any_paper(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    out, common = tmp_path / "run", ("--data-dir", shapes_dir, "--json", "--quiet")
    done = cli(
        "train", "shapes", "--paper", "joint", "--points", 32, "--epochs", 2, "--batch-size", 90, "--out", out, *common
    )
    assert done.code == 0 and 0 <= done.document["ann_val_accuracy"] <= 1
    curve = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert curve[1]["loss"] < curve[0]["loss"]
    scores = cli("eval", out, "--timesteps", "1,2", "--runs", 1, *common).document["results"]
    assert scores[0]["instance_accuracy"] > 0.15 and 0 < scores[1]["firing_rate"] < 1
    mesh = sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[0]
    predicted = cli("predict", out, mesh, "--json").document[0]["predictions"]
    assert sum(each["probability"] for each in predicted) <= 1 + 1e-6


def test_what_makes_no_sense_is_refused_in_a_line(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    common = ("--data-dir", shapes_dir, "--out", tmp_path / "run", "--points", 32)
    for options, words in (
        (("--tnet", "pooled"), "take tnet none"),
        (("--model", "resnet20"), "holds points"),
    ):
        refused = cli("train", "shapes", "--paper", "joint", *options, *common)
        assert refused.code == 2 and words in refused.err and refused.err.count("\n") == 1
    with pytest.raises(SpikeError, match="trains an ANN beside a spiking network"):
        models.build(network_settings(joint=True, neuron=None))


def test_a_checkpoint_without_its_factors_is_refused(tmp_path: Path) -> None:
    model = models.build(config("pointnet"))
    run = TrainConfig(paper="joint", model=config("pointnet"))
    tensors = dict(model.state_dict())
    names = tuple("abcdefghij")
    path = tmp_path / "model.safetensors"
    checkpoints.network(checkpoints.Checkpoint(tensors, run, names), path)
    without_one = {name: tensor for name, tensor in tensors.items() if name != "bases.1.u"}
    for damaged, words in (
        (without_one, r"lacks bases\.1\.u"),
        ({**tensors, "snn.sigma.2": torch.ones(1, 7)}, r"snn\.sigma\.2 has shape"),
    ):
        with pytest.raises(SpikeError, match=words):
            checkpoints.network(checkpoints.Checkpoint(damaged, run, names), path)
