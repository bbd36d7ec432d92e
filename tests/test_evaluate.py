"""Networks, evaluation and checkpoints: one set of weights at any T, and files that are refused by name."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spikecli import models
from spikecli.datasets.clouds.store import PointClouds
from spikecli.errors import SpikeError
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import counted
from spikecli.evaluation.evaluate import evaluate, probabilities
from spikecli.evaluation.how import How
from spikecli.evaluation.probe import critical_points, point_spikes
from spikecli.files.tensors import read, write
from spikecli.models.pointnet import PointNet
from spikecli.models.running import step_logits
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.trained import Trained

CPU = torch.device("cpu")


def network(paper: str = "lif", tnet: str = "pooled", classes: int = 4) -> PointNet:
    torch.manual_seed(0)
    model = models.build(network_settings(classes=classes, neuron=neuron_of(paper), tnet=tnet))
    assert isinstance(model, PointNet)
    return model.eval()


def clouds(count: int = 8, points: int = 40) -> PointClouds:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 4
    names = tuple(str(n) for n in range(count))
    xyz = rng.normal(size=(count, points, 3)).astype(np.float32)
    return PointClouds(xyz, labels, names, ("a", "b", "c", "d"), "made-up", "test", "none")


def saved(path: Path, **changes: object) -> Path:
    model = network()
    config = TrainConfig(model=network_settings(classes=4, neuron=neuron_of("lif")), points=40)
    checkpoints.save(path, replace(Checkpoint(model.state_dict(), config, ("a", "b", "c", "d")), **changes))  # type: ignore[arg-type]
    return path


def test_the_paper_has_3_46_million_parameters_and_14_layers_of_neurons() -> None:
    model = network("spiking-pointnet", classes=10)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(3.46e6, rel=2e-3)
    assert sum(type(m).__name__ == "Neuron" for m in model.modules()) == 14


@pytest.mark.parametrize("tnet", ["pooled", "paper", "none"])
@pytest.mark.parametrize("paper", list(PAPERS))
def test_every_paper_and_order_trains_a_step_and_evaluates_at_four(paper: str, tnet: str) -> None:
    model = network(paper, tnet).train()
    loss = model(torch.randn(3, 20, 3), 1).square().mean()
    loss.backward()
    # Where a T-Net is dead from the start its gradient may be 0; it must be there and finite.
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    logits = model.eval()(torch.randn(3, 20, 3), 4)
    assert logits.shape == (1 if paper == "ann" else 4, 3, 4)


@pytest.mark.parametrize(("tnet", "identity"), [("pooled", True), ("paper", False)])
def test_only_the_live_tnet_begins_as_the_identity(tnet: str, identity: bool) -> None:
    model = network("lif", tnet).train()
    assert model.input_tnet is not None
    transforms = model.input_tnet(torch.randn(1, 4, 30, 3), 1)
    assert torch.equal(transforms, torch.eye(3).expand_as(transforms)) == identity


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    model, x = network("ternary"), clouds().points
    long = step_logits(model, x, 4, CPU, "fp32", 0)
    assert torch.allclose(step_logits(model, x, 2, CPU, "fp32", 0), long[:2], atol=1e-5)
    assert not torch.allclose(long[0], long[1])


def test_points_may_come_in_any_order_and_clouds_in_any_company() -> None:
    model, x = network().double(), torch.randn(3, 30, 3, dtype=torch.float64)
    logits = model(x, 2)
    torch.testing.assert_close(model(x[:, torch.randperm(30)], 2), logits)
    torch.testing.assert_close(model(x[1:2], 2), logits[:, 1:2])


def test_the_perturbation_repeats_with_its_seed() -> None:
    model, x = network("spiking-pointnet").train(), clouds().points
    for _ in range(30):  # bring the running statistics to where the neurons fire
        model(torch.from_numpy(x), 1)
    first = step_logits(model, x, 2, CPU, "fp32", 5)
    assert torch.equal(first, step_logits(model, x, 2, CPU, "fp32", 5))
    assert not torch.equal(first, step_logits(model, x, 2, CPU, "fp32", 6))


def test_a_pass_leaves_no_trace_in_the_network_or_the_generator() -> None:
    model, x = network("spiking-pointnet").train(), clouds().points
    model.pool.eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    logits = step_logits(model, x, 2, CPU, "fp32", 5)
    assert all(part.training for part in model.modules()) and torch.equal(torch.get_rng_state(), before)
    model.eval().head1.train()  # a part alone that trains is evaluated too
    assert torch.equal(step_logits(model, x, 2, CPU, "fp32", 5), logits)
    assert not any(part.training for part in model.modules())


def test_scores_are_those_of_the_mean_logits() -> None:
    model, data = network("lif"), clouds()
    rows = evaluate(model, data, [1, 3], How(2))
    logits = step_logits(model, data.points, 3, CPU, "fp32", 0)
    for row in rows:
        right = logits[: row.timesteps].mean(0).argmax(-1).numpy() == data.labels
        assert row.instance_accuracy == pytest.approx(right.mean())
        shares = [right[data.labels == k].mean() for k in range(4)]
        assert row.class_accuracy == pytest.approx(np.mean(shares)) and row.by_class == pytest.approx(shares)
        assert row.instance_accuracy_std == 0  # without perturbation, nothing varies
    assert rows[1].synaptic_operations > rows[0].synaptic_operations > 0
    assert 0 < rows[0].firing_rate < 1 and rows[0].seconds > 0


def test_class_accuracy_weighs_classes_alike() -> None:
    predictions, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 2])
    assert metrics.instance_accuracy(predictions, labels) == 0.75
    assert metrics.class_accuracy(predictions, labels) == 0.5
    shares = metrics.accuracy_by_class(predictions, labels, 4)
    assert shares[[0, 2]].tolist() == [1.0, 0.0] and shares[[1, 3]].isnan().all()  # nobody is of these


def test_operations_of_a_network_without_tnets_counted_by_hand() -> None:
    model = network("lif", "none")
    x = torch.randn(2, 10, 3)
    fired: list[float] = []
    for neuron in (model.fire1, model.fire2, model.fire4, model.fire5):
        neuron.register_forward_hook(lambda m, i, o: fired.append(o.sum().item()))
    with counted(model, 1) as counts:
        model(x, 1)
    one, two, four, five = fired
    assert counts.accumulates[0].item() == one * 128 + two * 1024 + four * 256 + five * 4
    assert counts.multiplies[0].item() == 2 * 10 * 3 * 64 + 2 * 1024 * 512  # coordinates; the real-valued maximum
    neurons = 2 * 10 * (64 + 128) + 2 * (512 + 256)
    assert counts.firing_rate(1) == pytest.approx(sum(fired) / neurons)
    assert counts.energy_uj(1) == pytest.approx((0.9 * counts.accumulates[0] + 4.6 * counts.multiplies[0]).item() / 1e6)


@pytest.mark.parametrize("tnet", ["pooled", "paper"])
def test_the_widest_layer_of_a_tnet_is_counted_in_either_order(tnet: str) -> None:
    part = network("lif", tnet).input_tnet
    assert part is not None
    spikes = (torch.rand(1, 2, 10, 128) > 0.6).float()
    with torch.no_grad(), counted(part.pool, 1) as counts:
        part.pool(spikes, 1)
    assert counts.accumulates[0].item() == spikes.sum().item() * 1024
    assert counts.multiplies[0].item() == 0


def test_checkpoints_round_trip_and_predict(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.safetensors")
    trained = Trained.open(path, "cpu")
    found = probabilities(trained, clouds().points, 3, 0)
    logits = step_logits(network(), clouds().points, 3, CPU, "fp32", 0)
    np.testing.assert_allclose(found[2], logits.mean(0).softmax(-1), atol=1e-6)
    wins = critical_points(opened := Trained.open(tmp_path), clouds().points[0], 3)
    assert wins.shape == (3, 40) and (wins.sum(1) == 1024).all()
    before = wins.copy()
    assert not np.array_equal(critical_points(opened, clouds().points[1], 3), before)
    assert np.array_equal(wins, before)  # nothing of the first look is left in the network


def test_the_spikes_of_each_point_are_those_of_its_own_neurons(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = TrainConfig(model=network_settings(classes=4, neuron=PAPERS["lif"].neuron, tnet="none"), points=40)
    model = models.build(config.model)
    assert isinstance(model, PointNet)
    checkpoints.save(tmp_path / "model.safetensors", Checkpoint(model.state_dict(), config, ("a", "b", "c", "d")))
    points = clouds().points[0]
    spikes, neurons = point_spikes(Trained.open(tmp_path), points, 3)
    model.eval()
    with torch.inference_mode():
        first = model.fire1(model.point1(torch.from_numpy(points)[None, None]), 3)
        second = model.fire2(model.point2(first), 3)
    assert neurons == 64 + 128
    np.testing.assert_array_equal(spikes, (first.sum((1, 3)) + second.sum((1, 3))).long())
    assert 0 <= spikes.min() < spikes.max() < neurons


def test_a_network_of_relus_has_no_spikes_to_show(tmp_path: Path) -> None:
    model = network("ann")
    config = TrainConfig(model=network_settings(classes=4, neuron=PAPERS["ann"].neuron), points=40)
    checkpoints.save(tmp_path / "model.safetensors", Checkpoint(model.state_dict(), config, ("a", "b", "c", "d")))
    with pytest.raises(SpikeError, match="is a network of ReLUs"):
        point_spikes(Trained.open(tmp_path), clouds().points[0], 1)


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.safetensors")
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    checkpoints.network(checkpoints.load(path), path)
    assert torch.equal(torch.rand(1), expected)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was run",))


def test_files_that_are_no_checkpoint_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(SpikeError, match="found no checkpoint"):
        checkpoints.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SpikeError, match="pickle"):
        checkpoints.load(path)
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(SpikeError, match="pickle"):
        checkpoints.load(path)
    saved(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SpikeError, match="cut short"):
        checkpoints.load(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(SpikeError, match="did not write"):
        checkpoints.load(path)


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = network().state_dict()
    for tensors, complaint in (
        ({**state, "out.weight": torch.zeros(9, 256)}, r"out.weight has shape \(9, 256\)"),
        ({**state, "out.weight": torch.zeros(4, 256, dtype=torch.int64)}, "out.weight is of type torch.int64"),
        ({k: v for k, v in state.items() if k != "point1.weight"}, "lacks point1.weight"),
    ):
        saved(path, tensors=tensors)
        with pytest.raises(SpikeError, match=complaint):
            checkpoints.network(checkpoints.load(path), path)
    spoilt = {**state, "out.bias": state["out.bias"] * float("nan")}
    whole = saved(path).read_bytes()
    with pytest.raises(SpikeError, match=r"out\.bias has become NaN.*model\.safetensors is kept"):
        saved(path, tensors=spoilt)
    assert path.read_bytes() == whole
    write(path, spoilt, read(path)[1], finite=False)
    with pytest.raises(SpikeError, match=r"out\.bias holds NaN"):
        checkpoints.network(checkpoints.load(path), path)
    for notes in ({"data": "x"}, {"data": {"train": 1}}, {"progress": {"epochs": 3}}, {"metrics": []}):
        saved(path, notes=notes)
        with pytest.raises(SpikeError, match=r"settings in .* do not add up"):
            checkpoints.load(path)
    saved(path, classnames=("a", "b"))
    with pytest.raises(SpikeError, match="2 classes for 4 outputs"):
        checkpoints.network(checkpoints.load(path), path)
