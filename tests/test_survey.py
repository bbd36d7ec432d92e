"""The survey's methods as parts and losses: hand-computed values of each equation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn
from torch.nn import functional

from spikecli import models, neurons
from spikecli.errors import SettingError
from spikecli.evaluation.energy import counted
from spikecli.evaluation.information import entropy, information
from spikecli.neurons.charge import Gated
from spikecli.neurons.fire import LearnedThreshold
from spikecli.neurons.folded import folded_neuron
from spikecli.neurons.reset import GatedReset
from spikecli.neurons.surrogate import Evolving, Rectangle
from spikecli.settings.config import NeuronConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import neuron_of
from spikecli.settings.recipes import train_settings
from spikecli.settings.taxonomy import methods
from spikecli.training.losses import classification, cross_entropy
from spikecli.training.spike_loss import SpikeLoss
from spikecli.weights.reparameterize import reparameterize

Cli = Callable[..., Outcome]
LOGITS = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64)  # T = 2, one sample, two classes
LABEL = torch.tensor([0])


# Losses.


def test_tet_is_the_mean_of_each_steps_loss_and_a_distance_to_one() -> None:
    each = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    distance = (1 + 1 + 1 + 0) / 4
    assert classification(LOGITS, LABEL, 0.0, "each", 0.0).item() == pytest.approx(each)
    assert classification(LOGITS, LABEL, 0.0, "each", 0.25).item() == pytest.approx(0.75 * each + 0.25 * distance)


def test_the_loss_of_the_mean_logits_is_what_was_released() -> None:
    assert classification(LOGITS, LABEL, 0.0, "mean", 0.0).item() == pytest.approx(math.log(1 + math.exp(-0.5)))
    one = LOGITS[:1]  # with one step there is no difference
    assert classification(one, LABEL, 0.1, "mean", 0.0) == cross_entropy(one, LABEL, 0.1)


class OneLayer(nn.Module):
    """A layer of neurons alone."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        out: Tensor = self.neuron(x, timesteps)
        return out


def test_im_loss_and_activity_by_hand() -> None:
    model = OneLayer(neurons.build(NeuronConfig(surrogate="rectangle"), 4))
    x = torch.tensor([[[0.2, 0.4, 0.7, 0.9]]], requires_grad=True)  # mean 0.55, two of four fire
    loss = SpikeLoss(model, 2.0, 4.0)
    model(x)
    found = loss.take()
    assert isinstance(found, Tensor) and found.item() == pytest.approx(2 * 0.05**2 + 4 * (2 / 4) / 2)
    (gradient,) = torch.autograd.grad(found, x)
    # 2·2·(mean − θ)/4 for the mean; 4·s/4 times the rectangle's 1 for the activity
    assert gradient.flatten().tolist() == pytest.approx([0.05, 0.05, 1.05, 1.05])
    assert loss.take() == 0.0
    loss.close()
    model(x)
    assert loss.take() == 0.0


def test_layers_count_alike_in_the_losses() -> None:
    model = nn.ModuleList([OneLayer(neurons.build(NeuronConfig(), 2)), OneLayer(neurons.build(NeuronConfig(), 6))])
    both = nn.Module()
    both.parts = model
    both.forward = lambda x: [part(x) for part in model]  # type: ignore[method-assign]
    loss = SpikeLoss(both, 1.0, 0.0)
    both(torch.full((1, 1, 3), 0.7))
    assert torch.as_tensor(loss.take()).item() == pytest.approx(0.04)  # (0.2² + 0.2²)/2


# Parts.


def test_a_learned_threshold_gets_the_negative_gradient_of_its_membrane() -> None:
    fire = LearnedThreshold(0.5, Rectangle())
    u = torch.tensor([0.4, 0.6, 2.0], requires_grad=True)
    fire(u).sum().backward()
    assert u.grad is not None and u.grad.tolist() == [1, 1, 0]
    assert fire.theta.grad is not None and fire.theta.grad.item() == -2
    with torch.no_grad():
        fire.theta.fill_(0.3)
    assert fire(u).tolist() == [1, 1, 1] and fire.steps[0].at == pytest.approx(0.3)
    v = torch.tensor([1.2, 1.4], requires_grad=True)
    with torch.no_grad():
        fire.theta.fill_(0.8)
    fire(v).sum().backward()
    assert v.grad is not None and v.grad.tolist() == [1, 0]  # the window has moved with the threshold: (0.3, 1.3)


def soft(theta: float, channels: int = 1, **parts: Any) -> Any:
    """Return a neuron v ← λ·v + x, s = 1[v > θ], v ← v − θ·s, whose trained θ is here now; it began at ½."""
    neuron: Any = neurons.build(NeuronConfig(fire="learned", reset="soft", **parts), channels)
    with torch.no_grad():
        neuron.fire.theta.fill_(theta)
    return neuron.double().eval()


def test_the_soft_reset_subtracts_the_trained_threshold() -> None:
    # By hand, θ = 0.8, x = 0.9 at each step: v = 0.9 fires, 0.1 is left; 1.0 fires, 0.2; 1.1 fires, 0.3; 1.2 fires.
    left: list[float] = []
    neuron = soft(0.8, decay=1.0)
    neuron.reset.register_forward_hook(lambda module, inputs, output: left.append(output.item()))
    assert neuron(torch.full((4, 1, 1), 0.9).double()).flatten().tolist() == [1, 1, 1, 1]
    assert left == pytest.approx([0.1, 0.2, 0.3])
    # With ½ subtracted, as the threshold was at first, 0.4 would be left of the first step.
    v, s = torch.tensor([0.9]).double(), torch.ones(1).double()
    neuron.reset(v, s).sum().backward()
    assert neuron.fire.theta.grad.item() == -1  # d(v − θ·s)/dθ
    assert [name for name, _ in neuron.named_parameters()] == ["fire.theta"]  # once, in old files too
    given = soft(0.8, reset_amount=0.25)
    assert given.reset(v, s).item() == pytest.approx(0.65)


@pytest.mark.parametrize("norm", ["none", "mpbn"])
def test_a_reset_by_a_trained_threshold_folds_to_its_value(norm: str) -> None:
    neuron = copy.deepcopy(soft(0.8, 3, norm=norm, decay=0.5))
    with torch.no_grad():
        for name, value in neuron.norm.named_parameters():
            value.fill_(0.7 if name.endswith("weight") else 0.1)
    folded = folded_neuron(neuron)
    x = torch.linspace(-1, 3, 6 * 5 * 3, dtype=torch.float64).view(6, 5, 3)
    assert torch.equal(folded(x), neuron(x)) and 0 < neuron(x).mean() < 1
    fresh = folded_neuron(soft(0.5, 3, norm=norm, decay=0.5))
    fresh.load_state_dict(folded.state_dict())  # the amount is in the file
    assert torch.equal(fresh(x), neuron(x))


def test_glif_mixes_its_gates() -> None:
    charge = Gated(0.25)
    with torch.no_grad():
        for name in ("alpha", "beta", "gain", "linear"):
            getattr(charge, name).zero_()  # gates of a half
    v, x = torch.tensor([0.8]), torch.tensor([0.4])
    # (1 − ½·¾)·0.8 − ½·½ + (1 − ½·½)·0.4 = 0.5 − 0.25 + 0.3
    assert charge(v, x).item() == pytest.approx(0.55)
    assert charge(None, x).item() == pytest.approx(0.05)
    reset = GatedReset(0.5)
    with torch.no_grad():
        reset.gate.fill_(math.log(3))  # γ = ¾
    assert reset(torch.tensor([0.8]), torch.ones(1)).item() == pytest.approx(0.8 - 0.6 - 0.125)
    assert reset(torch.tensor([0.8]), torch.zeros(1)).item() == pytest.approx(0.8)


def test_the_evolving_surrogate_narrows() -> None:
    surrogate, u = Evolving(10.0), torch.tensor([0.5, 0.7])
    for share, steepness in ((0.0, 1.0), (0.5, (math.sqrt(10) - 1) * 10 / 9 + (10 - math.sqrt(10)) / 9), (1.0, 10.0)):
        surrogate.after(share)
        found = surrogate.backward(torch.ones(2), u, 0.5, signed=False)
        expected = [steepness / 2, steepness / 2 * (1 - math.tanh(steepness * 0.2) ** 2)]
        assert found.tolist() == pytest.approx(expected, rel=1e-5)
    both = surrogate.backward(torch.ones(2), torch.tensor([-0.5, 0.5]), 0.5, signed=True)
    assert both.tolist() == pytest.approx([5.0, 5.0])


@pytest.mark.parametrize(
    "parts", [{"fire": "learned"}, {"charge": "gated", "reset": "gated"}, {"surrogate": "evolving"}]
)
def test_parts_learn_and_fold(parts: dict[str, Any]) -> None:
    torch.manual_seed(0)
    neuron = neuron_of("mpbn", **parts)
    model = models.build(network_settings("resnet20", classes=4, neuron=neuron, width=0.125, size=(8, 8)))
    x = torch.randn(2, 3, 8, 8)
    functional.cross_entropy(model(x, 2).mean(0), torch.tensor([0, 1])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model = model.eval().double()
    with torch.no_grad():
        torch.testing.assert_close(reparameterize(model)(x.double(), 3), model(x.double(), 3), rtol=1e-9, atol=1e-9)


# Networks.


def test_resnet34_has_its_layers() -> None:
    with torch.device("meta"):
        model = models.build(network_settings("resnet34", classes=100))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 1 + 2 * (3 + 4 + 6 + 3) + 3 and len(neurons.layers(model)) == 1 + 2 * 16
    assert sum(parameter.numel() for parameter in model.parameters()) == 21_328_292  # of the 3 × 3 stem


# Information.


def test_entropy_of_levels() -> None:
    assert entropy(torch.tensor([2.0, 2.0], dtype=torch.float64)) == pytest.approx(1)
    assert entropy(torch.tensor([5.0, 5.0, 5.0], dtype=torch.float64)) == pytest.approx(math.log2(3))
    assert entropy(torch.tensor([4.0, 0.0], dtype=torch.float64)) == 0
    assert entropy(torch.zeros(2, dtype=torch.float64)) == 0


def test_the_information_of_a_layer_is_that_of_its_shares() -> None:
    model = OneLayer(neurons.build(NeuronConfig(fire="ternary", surrogate="rectangle"), 4))
    x = torch.tensor([[[0.9, -0.9, 0.0, 0.0]], [[0.9, 0.9, 0.9, 0.9]]])
    with counted(model, 2) as counts, torch.no_grad():
        model(x)
    assert information(counts, 1)["by_layer"]["neuron"] == pytest.approx(1.5)  # ¼, ½, ¼
    shares = torch.tensor([1, 2, 5]) / 8
    assert information(counts, 2)["entropy_bits"] == pytest.approx(-(shares * shares.log2()).sum().item())


# Settings and commands.


def test_losses_of_spikes_are_refused_where_there_are_none() -> None:
    with pytest.raises(SettingError, match="im_weight has no meaning for the ANN"):
        train_settings("shapes", "ann", "short", {"im_weight": 0.1}, {}, {})
    with pytest.raises(SettingError, match="im_weight puts half of a layer above one threshold"):
        train_settings("shapes", "ternary", "short", {"im_weight": 0.1}, {}, {})
    with pytest.raises(SettingError, match="activity_weight has no meaning for the ANN"):
        train_settings("shapes", "ann", "short", {"activity_weight": 0.1}, {}, {})


@pytest.mark.parametrize(
    "name", ["learnable threshold", "GLIF, gated parts", "IM-Loss (NeurIPS 2022)", "TET", "activity losses"]
)
def test_they_have_their_place_in_the_taxonomy(name: str) -> None:
    (found,) = (method for method in methods() if method.name == name)
    assert found.options


def test_a_run_trains_with_all_of_them(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    parts = ["--fire", "learned", "--charge", "gated", "--reset", "gated", "--surrogate", "evolving"]
    losses = ["--tet-weight", 0.05, "--im-weight", 1, "--activity-weight", 0.1]
    line = ["train", "shapes", "--epochs", 1, "--points", 16, "--batch-size", 100, "--timesteps", 2]
    done = cli(*line, *parts, *losses, "--out", tmp_path / "run", "--data-dir", shapes_dir)
    assert done.code == 0, done.err
    scores = cli("eval", tmp_path / "run", "-T", "2", "--runs", 1, "--data-dir", shapes_dir, "--json").document
    found = scores["results"][0]["information"]
    assert 0 <= found["entropy_bits"] <= 1 and set(found["by_layer"]) == {"fire1", "fire2", "fire4", "fire5"}
