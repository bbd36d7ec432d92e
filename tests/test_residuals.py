"""Norms that tell time steps apart and residual blocks that add spikes or membranes: values by hand, folds, energy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.errors import SettingError, SpikeError
from spikecli.evaluation.energy import MULTIPLIES, counted
from spikecli.evaluation.stopping import carried
from spikecli.models.blocks import BLOCKS, Place
from spikecli.models.step_norm import EffectiveNorm, NormThroughTime, StepConvNorm, StepConvolution
from spikecli.models.work import products_of
from spikecli.neurons.watch import watched
from spikecli.settings.networks import ResNetConfig, network_settings
from spikecli.settings.papers import neuron_of
from spikecli.settings.rules import refuse_network
from spikecli.weights.reparameterize import folds, reparameterize

MAPS = torch.tensor([[1.0, 3.0], [2.0, 10.0]], dtype=torch.float64).view(2, 2, 1, 1, 1)  # T = 2, two samples


def network(name: str = "resnet18", paper: str = "lif", **fields: Any) -> nn.Module:
    """Return a small network whose norms are as after training, so that its neurons fire."""
    torch.manual_seed(0)
    settings = {"classes": 4, "width": 0.125, "size": (8, 8), "inputs": 2, **fields}
    parts = {} if paper == "ann" else {"surrogate": "rectangle"}
    model = models.build(network_settings(name, neuron=neuron_of(paper, **parts), **settings)).double()
    for key, value in model.state_dict().items():
        if value.is_floating_point() and "conv" in key:
            if key.endswith("running_var"):
                value.uniform_(0.2, 1.0)
            elif key.endswith((".bias", "running_mean")) and not key.endswith("norm.bias"):
                value.uniform_(-0.3, 0.3)
            elif key.endswith(("norm.weight", "factor")):
                value.uniform_(0.5, 1.5)
    return model.eval()


def frames(steps: int = 3) -> Tensor:
    return torch.randint(0, 4, (steps, 2, 2, 8, 8), generator=torch.Generator().manual_seed(1)).double()


# Norms.


def test_tebn_scales_each_step_of_one_batch_norm() -> None:
    norm = EffectiveNorm(1, 2).double()
    with torch.no_grad():
        norm.factor.copy_(torch.tensor([1.0, -2.0]))
    # mean 4, variance (9 + 1 + 4 + 36)/4 = 12.5 over both steps
    plain = torch.tensor([-3.0, -1.0, -2.0, 6.0], dtype=torch.float64) / (12.5 + 1e-5) ** 0.5
    found = norm(MAPS).flatten()
    torch.testing.assert_close(found, plain * torch.tensor([1.0, 1.0, -2.0, -2.0], dtype=torch.float64))
    found.sum().backward()
    assert norm.factor.grad is not None and norm.factor.grad.tolist() == pytest.approx([-4 / 12.5**0.5, 4 / 12.5**0.5])


def test_bntt_takes_each_steps_own_statistics_and_has_no_shift() -> None:
    norm = NormThroughTime(1, 2).double()
    assert [name for name, _ in norm.named_parameters()] == ["weight"]
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, 5.0]))
    found = norm(MAPS).flatten()  # means 2 and 6, variances 1 and 16
    expected = [-3 / (1 + 1e-4) ** 0.5, 3 / (1 + 1e-4) ** 0.5, -20 / (16 + 1e-4) ** 0.5, 20 / (16 + 1e-4) ** 0.5]
    assert found.tolist() == pytest.approx(expected)
    assert norm.running_mean.tolist() == pytest.approx([0.2, 0.6])
    assert norm.running_var.tolist() == pytest.approx([0.9 + 0.1 * 2, 0.9 + 0.1 * 32])  # unbiased: n/(n − 1) = 2
    with pytest.raises(SpikeError, match="a norm of 2 time steps was given 1 in training"):
        norm(MAPS[:1])


@pytest.mark.parametrize("kind", [EffectiveNorm, NormThroughTime])
def test_steps_beyond_those_of_training_have_the_last_ones_norm(kind: type) -> None:
    norm = kind(1, 2).double().eval()
    with torch.no_grad():
        for value in norm.parameters():
            value.uniform_(0.5, 2.0)
    longer = norm(torch.cat([MAPS, MAPS]))
    torch.testing.assert_close(longer[:2], norm(MAPS))
    torch.testing.assert_close(longer[2], norm(torch.stack([MAPS[0], MAPS[0]]))[1])


@pytest.mark.parametrize("kind", ["tebn", "bntt"])
@pytest.mark.parametrize("paper", ["lif", "real-spike", "mpbn"])
@pytest.mark.parametrize("name", ["resnet20", "vgg16"])
def test_norms_by_step_fold_into_a_kernel_a_step(name: str, paper: str, kind: str) -> None:
    size = {"size": (16, 16)} if name == "vgg16" else {}
    model = network(name, paper, batch_norm=kind, steps=2, **size)
    x = torch.nn.functional.interpolate(frames(4).flatten(0, 1), (16, 16)).unflatten(0, (4, 2)) if size else frames(4)
    fired: list[int] = []
    with torch.no_grad(), watched(model, lambda name, step, u, spikes: fired.append(int((spikes != 0).sum()))):
        expected = model(x)
    folded = reparameterize(model)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), expected, rtol=1e-9, atol=1e-9)
    assert sum(fired) > 100 and expected.std() > 0
    kernels = [module for module in folded.modules() if isinstance(module, StepConvolution)]
    assert len(kernels) == sum(isinstance(module, StepConvNorm) for module in model.modules())
    assert all(len(module.weight) == 2 for module in kernels)
    parts = [fold for fold in folds(model) if fold.part == "batch norm"]
    assert len(parts) == len(kernels) and {fold.place for fold in parts} == {"weight and bias"}


def test_an_image_is_normalized_at_each_step() -> None:
    model = network(batch_norm="bntt", steps=3, inputs=3)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    same = x.unsqueeze(0).expand(3, -1, -1, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(model(x, 3), model(same))


def test_single_steps_are_refused_where_norms_tell_them_apart() -> None:
    for model in (network(batch_norm="tebn", steps=2), reparameterize(network(batch_norm="bntt", steps=2))):
        wanted = pytest.raises(SpikeError, match=r"stem\.0\.conv has weights of its own for each time step")
        with wanted, carried(model):
            pass
    plain = reparameterize(network(batch_norm="tebn", steps=2))
    layer = network(batch_norm="tebn", steps=2).get_submodule("stem.0.conv")
    assert isinstance(layer, StepConvNorm)
    with pytest.raises(SpikeError, match="give the run that it was folded from"):
        layer.unfold(plain.get_submodule("stem.0.conv"))  # type: ignore[arg-type]
    with pytest.raises(SpikeError, match=r"amplitude of stem\.0\.fire cannot be folded into .*a kernel for each time"):
        reparameterize(_elements())


def _elements() -> nn.Module:
    neuron = neuron_of("lif", amplitude="element")
    settings = network_settings("resnet18", neuron=neuron, width=0.125, size=(8, 8), inputs=2, batch_norm="tebn")
    return models.build(settings).eval()


# Blocks.


def block(kind: str, inputs: int = 8, stride: int = 1) -> Any:
    """Return a block whose convolutions give 0, and whose norms therefore give their shift."""
    neuron = neuron_of("lif")
    made = BLOCKS[kind](
        Place(inputs, 8, stride, (4, 4), (4 // stride, 4 // stride), False),
        lambda channels, size: neurons.build(neuron, channels, size),
        ResNetConfig(residual=kind, neuron=neuron),
    ).eval()
    for name, value in made.named_parameters():
        if name.endswith("weight") and value.dim() == 4:
            nn.init.zeros_(value)
    return made


def test_with_weights_of_zero_sew_and_ms_are_the_identity() -> None:
    spikes = torch.tensor([0.0, 1.0, 2.0, 3.0]).view(1, 1, 4, 1, 1).expand(2, 1, 4, 4, 8)
    assert torch.equal(block("sew")(spikes, 2), spikes)  # sums of spikes pass
    assert torch.equal(block("plain")(spikes, 2), (spikes > 0).float())  # a neuron after the sum cuts them to 1
    real = torch.randn(2, 1, 4, 4, 8)
    assert torch.equal(block("ms")(real, 2), real)


def test_a_sew_block_adds_its_spikes() -> None:
    made = block("sew")
    nn.init.constant_(made.conv2.norm.bias, 0.7)  # above θ: its last neurons fire at both steps
    x = torch.ones(2, 1, 4, 4, 8)
    assert torch.equal(made(x, 2), x + 1)
    changed = block("sew", inputs=4, stride=2)
    nn.init.constant_(changed.conv2.norm.bias, 0.7)
    nn.init.constant_(changed.shortcut.conv.norm.bias, 0.3)  # fires at no step: v = 0.3 and 0.375
    assert torch.equal(changed(torch.ones(2, 1, 4, 4, 4), 2), torch.ones(2, 1, 2, 2, 8))


def test_an_ms_block_adds_membranes() -> None:
    made = block("ms", inputs=4, stride=2)
    nn.init.constant_(made.conv2.norm.bias, 0.7)
    nn.init.constant_(made.shortcut.conv.norm.bias, -0.2)
    torch.testing.assert_close(made(torch.ones(2, 1, 4, 4, 4), 2), torch.full((2, 1, 2, 2, 8), 0.5))


@pytest.mark.parametrize("residual", ["sew", "ms"])
@pytest.mark.parametrize("paper", ["lif", "ternary", "mpbn"])
@pytest.mark.parametrize("name", ["resnet18", "resnet20"])
def test_residual_networks_learn_and_fold(name: str, paper: str, residual: str) -> None:
    model = network(name, paper, residual=residual)
    with torch.no_grad():
        torch.testing.assert_close(reparameterize(model)(frames()), model(frames()), rtol=1e-9, atol=1e-9)
    model.train()(frames()).square().sum().backward()
    assert all(value.grad is not None for value in model.parameters())
    named = {name for name, _ in model.wiring()}  # type: ignore[operator]
    assert named == set(neurons.layers(model))


def test_amplitudes_of_membrane_blocks_fold() -> None:
    model = network("resnet20", "real-spike", residual="ms")
    for neuron in neurons.layers(model).values():
        nn.init.uniform_(neuron.amplitude.value, 0.5, 1.5)  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(reparameterize(model)(frames()), model(frames()), rtol=1e-9, atol=1e-9)


# Energy.


def test_a_sum_of_spikes_costs_an_addition_for_each() -> None:
    model = network(residual="sew")
    seen: dict[str, Tensor] = {}
    layer = model.get_submodule("stage1.1.conv1")
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.__setitem__("x", inputs[0]))
    with torch.no_grad(), counted(model, 3) as counts:
        model(frames())
    handle.remove()
    assert seen["x"].max() == 2 and torch.equal(seen["x"], seen["x"].round())  # of stem and block
    assert torch.equal(counts.layers["stage1.1.conv1"][2], products_of(layer, seen["x"]))
    assert counts.multiplies.sum() == 0
    with torch.no_grad(), counted(entered := network("resnet20", residual="sew"), 3) as counts:
        entered(frames())
    assert counts.multiplies.sum() == 0  # also of what a mean of spikes joins


def test_the_shortcut_of_membranes_multiplies() -> None:
    with torch.no_grad(), counted(model := network(residual="ms"), 3) as counts:
        model(frames())
    multiplying = {name for name, sums in counts.layers.items() if sums[MULTIPLIES].sum() > 0}
    assert multiplying == {f"stage{number}.0.shortcut.conv" for number in (2, 3, 4)}


# Refusals.


@pytest.mark.parametrize(
    ("paper", "fields", "reason"),
    [
        ("ann", {"batch_norm": "tebn"}, "batch_norm tebn and bntt tell time steps apart"),
        ("real-spike", {"residual": "sew"}, "amplitude cannot fold through a sum of spikes"),
        ("lif", {"residual": "ms", "joint": True}, "residual is not for joint"),
    ],
)
def test_what_has_no_meaning_is_refused(paper: str, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        refuse_network(network_settings("resnet18", neuron=neuron_of(paper), **fields))
