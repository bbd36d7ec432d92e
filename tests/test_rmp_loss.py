"""RMP-Loss: values by hand, its gradient, its schedule; it lowers the quantization error it is meant to lower."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.errors import SpikeError
from spikecli.models.pointnet import PointNet
from spikecli.neurons.fire import signed_step, step
from spikecli.settings.config import NeuronConfig, TrainConfig, network_settings
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.settings.recipes import train_settings
from spikecli.training import schedule
from spikecli.training.membrane_loss import MembraneLoss, distance, quantization


def layer(**parts: Any) -> nn.Module:
    """A network of one layer of neurons."""
    return nn.Sequential(neurons.build(NeuronConfig(**parts), 1)).double().train()


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)  # (T, 1, 1)


def test_the_distance_is_that_to_0_below_the_threshold_and_to_1_above_it() -> None:
    # T = 3, λ = ¼: u 0.4 → 0 | 0.1 + 0.6 = 0.7 → 1 | −0.2 → 0: q is 0.4, 0.3, 0.2
    for power, expected in ((1, (0.4 + 0.3 + 0.2) / 3), (2, (0.16 + 0.09 + 0.04) / 3)):
        model = layer()
        loss = MembraneLoss(model, power)
        model(column(0.4, 0.6, -0.2))
        penalty, error = loss.take()
        assert penalty.item() == pytest.approx(expected)
        assert error.item() == pytest.approx(0.3)


def test_ternary_membranes_are_measured_to_the_nearest_of_three_spikes() -> None:
    # u −0.7 → −1 | 0.2 → 0 | 0.05 + 1.25 = 1.3 → 1: q is 0.3, 0.2, 0.3
    model = layer(fire="ternary")
    loss = MembraneLoss(model, 1)
    model(column(-0.7, 0.2, 1.25))
    assert loss.take()[0].item() == pytest.approx(0.8 / 3)
    # Another threshold: what counts is the spike that is emitted, and 0.7 emits none.
    model = layer(threshold=0.8)
    loss = MembraneLoss(model, 1)
    model(column(0.7))
    assert loss.take()[0].item() == pytest.approx(0.7)


def test_the_norms_output_is_what_is_pulled() -> None:
    model = layer(norm="mpbn").eval()
    with torch.no_grad():
        model[0].norm.norm.running_mean.fill_(0.2)
        model[0].norm.norm.running_var.fill_(1 - 1e-5)
    loss = MembraneLoss(model, 1)
    model(column(0.6))  # u 0.4 is silent, v 0.6 would have fired
    assert loss.take()[0].item() == pytest.approx(0.4)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("signed", "levels"), [(False, (0.0, 1.0)), (True, (-1.0, 0.0, 1.0))])
def test_the_penalty_has_a_true_gradient(power: int, signed: bool, levels: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.tensor(levels, dtype=torch.float64)[torch.randint(len(levels), (5, 4), generator=generator)]
    # Away from the thresholds and from the spikes, where nothing has a derivative (p = 1).
    off = (0.05 + 0.4 * torch.rand(5, 4, dtype=torch.float64, generator=generator)) * (-1) ** torch.arange(4)
    u = (places + off).requires_grad_()
    spike = signed_step if signed else step
    assert torch.autograd.gradcheck(lambda x: distance(x, spike(x.detach(), 0.5), power)[0], (u,))
    nearest = (u.detach()[..., None] - torch.tensor(levels)).abs().amin(-1)
    penalty, error = distance(u, spike(u.detach(), 0.5), power)
    torch.testing.assert_close(penalty.detach(), nearest.pow(power).mean())
    torch.testing.assert_close(error, nearest.mean())
    assert not error.requires_grad


def test_no_gradient_goes_through_the_spikes() -> None:
    u, spikes = torch.tensor([0.8], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    distance(u, spikes, 2)[0].backward()
    assert u.grad is not None and u.grad.item() == pytest.approx(2 * (0.8 - 1)) and spikes.grad is None


def pointnet(tnet: str) -> PointNet:
    torch.manual_seed(0)
    settings = {"classes": 4, "neuron": neuron_of("lif"), "tnet": tnet, "dropout": 0.0}
    model = models.build(network_settings(**settings))
    assert isinstance(model, PointNet)
    return model.double().train()


@pytest.mark.parametrize("tnet", ["none", "pooled", "paper"])
def test_each_layer_counts_alike_whatever_its_width_and_tiles(tnet: str) -> None:
    model, x = pointnet(tnet), torch.randn(3, 20, 3, dtype=torch.float64)
    loss = MembraneLoss(model, 2)
    model(x, 2)
    penalty, error = loss.take()
    model.zero_grad()
    penalty.backward()  # checkpointed layers fire again
    assert not loss._terms, "what fires in the backward pass belongs to no forward pass"
    gradient = model.point1.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0
    with quantization(model, 2) as seen, torch.no_grad():
        model(x, 2)
    assert list(seen.layers) and set(seen.layers) == set(neurons.layers(model))
    assert seen.error(2) == pytest.approx(error.item())
    by_layer = [seen.error(2, name) for name in seen.layers]
    assert seen.error(2) == pytest.approx(sum(by_layer) / len(by_layer))  # type: ignore[arg-type]
    assert seen.error(1) != seen.error(2)


def test_checkpointed_layers_have_the_gradient_of_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(3, 20, 3, dtype=torch.float64)
    gradients = []
    for separable in (True, False):  # False: the whole batch in one piece, without a checkpoint
        monkeypatch.setattr(neurons.Neuron, "separable", separable)
        model = pointnet("paper")
        loss = MembraneLoss(model, 2)
        model(x, 2)
        loss.take()[0].backward()
        gradients.append(model.input_tnet.point1.weight.grad)  # type: ignore[union-attr]
    torch.testing.assert_close(*gradients)


def test_nothing_is_read_without_gradients_and_no_hook_stays() -> None:
    model = pointnet("none")
    loss = MembraneLoss(model, 1)
    with torch.no_grad():
        model(torch.randn(2, 10, 3, dtype=torch.float64), 1)
    assert not loss._terms
    loss.close()
    with quantization(model, 1):
        pass
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_bfloat16_is_summed_in_float32() -> None:
    u = torch.full((300, 1000), 0.3, dtype=torch.bfloat16)
    penalty, error = distance(u, torch.zeros_like(u), 2)
    assert penalty.dtype == error.dtype == torch.float32
    assert error.item() == pytest.approx(0.30078125, rel=1e-4)


def test_the_triangle_rises_to_the_weight_at_half_the_epochs() -> None:
    config = TrainConfig(epochs=10, rmp_weight=0.1)
    weights = [schedule.membrane_weight(config, n) for n in (0, 2.5, 5, 7.5, 10)]
    assert weights == pytest.approx([0, 0.05, 0.1, 0.05, 0])
    constant = TrainConfig(epochs=10, rmp_weight=0.1, rmp_schedule="constant")
    assert schedule.membrane_weight(constant, 0) == 0.1


def test_the_paper_switches_it_on_and_an_option_beats_the_paper() -> None:
    assert (
        train_settings("shapes", "rmp-loss", "short", {}, {}, {}).rmp_weight
        == PAPERS["rmp-loss"].training["rmp_weight"]
    )
    assert train_settings("shapes", "rmp-loss", "paper", {"rmp_weight": 0.0}, {}, {}).rmp_weight == 0
    assert train_settings("shapes", "lif", "short", {}, {}, {}).rmp_weight == 0
    with pytest.raises(SpikeError, match="no membranes"):
        train_settings("shapes", "ann", "short", {"rmp_weight": 0.1}, {}, {})
    with pytest.raises(SpikeError, match="rmp_power cannot be 3: choose one of 1, 2"):
        train_settings("shapes", "lif", "short", {"rmp_power": 3}, {}, {})


def test_the_error_falls_and_is_reported_when_it_is_on_alone(
    cli: Callable[..., Outcome], shapes_dir: Path, tmp_path: Path
) -> None:
    common = ("--points", 32, "--epochs", 2, "--batch-size", 10, "--data-dir", shapes_dir, "--json", "--quiet")
    how = ("--paper", "lif", "--rmp-schedule", "constant", "--lr", 0.02)
    weak, strong = (
        cli("train", "shapes", *how, "--rmp-weight", weight, *common, "--out", tmp_path / str(weight))
        for weight in (1e-9, 10)
    )
    assert strong.document["quantization_error"] < 0.8 * weak.document["quantization_error"]
    lines = [json.loads(line) for line in (tmp_path / "10" / "metrics.jsonl").read_text().splitlines()]
    assert lines[1]["quantization_error"] == strong.document["quantization_error"] < lines[0]["quantization_error"]
    off = cli("train", "shapes", "--paper", "lif", *common, "--epochs", 1, "--out", tmp_path / "off")
    assert "quantization_error" not in off.document
