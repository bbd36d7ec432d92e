"""Integer firing, its run as binary steps, and membranes that begin where a point lies: by hand and in general."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.errors import SpikeError
from spikecli.neurons.unrolled import unrolled
from spikecli.settings.config import NeuronConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import neuron_of


def test_integer_spikes_by_hand() -> None:
    """D = 3: halves go down; the gradient passes where 0 ≤ u ≤ 3."""
    neuron = neurons.build(NeuronConfig(fire="integer", highest=3, decay=1.0, reset="soft", reset_amount=1.0), 1)
    x = torch.tensor([-1.0, 0.0, 0.5, 0.6, 1.5, 2.4, 3.0, 9.0], requires_grad=True)
    spikes = neuron(x.reshape(1, 1, 8, 1), 1)
    assert spikes.flatten().tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    spikes.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    # v: 1.7 → spike 2, −0.3 stays; −0.3 + 1.7 = 1.4 → spike 1, 0.4 stays; 2.1 → spike 2
    assert neuron(torch.tensor([1.7]).reshape(1, 1, 1, 1), 3).flatten().tolist() == [2, 1, 2]


@given(st.integers(0, 999), st.integers(1, 6), st.sampled_from([0.25, 0.7, 1.0]))
@settings(max_examples=25, deadline=None)
def test_integer_neurons_are_binary_ones_in_more_steps(seed: int, highest: int, decay: float) -> None:
    """Spike for spike and membrane for membrane, in float64: the k-th binary spike is there if s ≥ k."""
    config = NeuronConfig(fire="integer", highest=highest, decay=decay, reset="soft", reset_amount=1.0)
    x = 3 * torch.randn(4, 2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    whole = neurons.build(config, 3)
    binary = unrolled(nn.Sequential(whole))[0]
    seen: list[Tensor] = []
    binary.fire.register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = whole(x)
    assert torch.equal(binary(x), expected)
    train = torch.stack(seen).view(4, highest, 2, 5, 3)
    ranks = torch.arange(1, highest + 1).view(1, -1, 1, 1, 1)
    assert torch.equal(train, (expected.unsqueeze(1) >= ranks).double())


def test_what_cannot_be_unrolled_is_refused() -> None:
    for config in (NeuronConfig(), NeuronConfig(fire="integer"), NeuronConfig(fire="integer", norm="mpbn")):
        with pytest.raises(SpikeError, match="0 cannot be unrolled"):
            unrolled(nn.Sequential(neurons.build(config, 2)))


def test_a_start_from_the_position_by_hand() -> None:
    """v₀ of channel c: axis c mod 3, sine and cosine in turn, of π, 2π, 4π, 8π times the coordinate."""
    start = neurons.build(NeuronConfig(start="position", perturbation=0.5), 26).start
    place = torch.tensor([[[0.25, -0.5, 0.0]]])
    v = start(torch.zeros(1, 1, 26), place).flatten()
    half = math.sqrt(0.5)
    assert v[:9].tolist() == pytest.approx([half / 2, -0.5, 0, half / 2, 0, 0.5, 0.5, 0, 0], abs=1e-6)
    assert v[24:].tolist() == pytest.approx(v[:2].tolist())
    assert start(torch.zeros(1, 26)) is None  # a head has no points


def test_a_whole_network_runs_as_binary_steps() -> None:
    torch.manual_seed(0)
    neuron = neuron_of("integer")
    model = models.build(network_settings("dela", neuron=neuron, width=0.05, neighbors=4)).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.5)  # layers that begin at 0 take part
    points = torch.rand(2, 32, 3, dtype=torch.float64)
    emitted: list[Tensor] = []
    for layer in neurons.layers(model).values():
        layer.register_forward_hook(lambda module, inputs, output: emitted.append(output))
    with torch.no_grad():
        expected = model(points, 2)
        assert max(spikes.max() for spikes in emitted) > 1  # not binary already
        assert torch.equal(unrolled(model)(points, 2), expected)
