"""The inter-timestep adapter: its size, its equation, its memory."""

from __future__ import annotations

import pytest
import torch

from spikecli.models.adapter import NEURONS, SPIKING, InterTimestepAdapter, parameter_count


@pytest.mark.parametrize(("dim", "parameters"), [(1024, 265_600), (512, 67_264)])
def test_the_adapter_has_the_papers_number_of_parameters(dim: int, parameters: int) -> None:
    assert parameter_count(dim) == parameters


def test_the_neuron_is_the_papers() -> None:
    assert (SPIKING.threshold, SPIKING.decay, SPIKING.reset, SPIKING.surrogate) == (0.5, 0.25, "hard", "rectangle")
    assert (SPIKING.start, SPIKING.norm, SPIKING.fire, SPIKING.amplitude) == ("zeros", "none", "binary", "none")


def fresh(adapter: str, blend: float = 0.6, dim: int = 16) -> InterTimestepAdapter:
    torch.manual_seed(0)
    return InterTimestepAdapter(dim, NEURONS[adapter], blend).eval()


def test_a_trajectory_by_hand() -> None:
    """One feature through one hidden neuron: v = 0.4, 0.1 + 0.45 = 0.55 fires, reset, 0.3."""
    adapter = fresh("spiking", blend=0.5, dim=8)
    with torch.no_grad():
        adapter.down.weight.zero_()
        adapter.down.weight[0, 0] = 1.0
        adapter.down.bias.zero_()
        adapter.up.weight.fill_(2.0)
        adapter.up.bias.fill_(-0.5)
    for norm in (adapter.norm_in, adapter.norm_down):
        norm.eps = 1e-30  # as good as 0, which torch refuses from 2.11 on
    features = torch.zeros(3, 1, 8)
    features[:, 0, 0] = torch.tensor([0.4, 0.45, 0.3])
    out = adapter(features)
    # a = ReLU(2·s − ½): 0, 1.5, 0
    expected = 0.5 * torch.tensor([0.0, 1.5, 0.0])[:, None].expand(3, 8) + 0.5 * features[:, 0]
    torch.testing.assert_close(out[:, 0], expected)


def test_blend_zero_leaves_the_features_alone() -> None:
    features = torch.randn(10, 4, 16)
    torch.testing.assert_close(fresh("spiking", blend=0.0)(features), features)


@pytest.mark.parametrize(("adapter", "remembers"), [("spiking", True), ("relu", False)])
def test_only_the_spiking_adapter_remembers_earlier_steps(adapter: str, remembers: bool) -> None:
    torch.manual_seed(1)
    module = fresh(adapter)
    features = 3 * torch.randn(5, 32, 16)
    other = features.clone()
    other[0] = 3 * torch.randn(32, 16)
    later = (module(features)[1:] != module(other)[1:]).any().item()
    assert later is remembers


def test_no_step_sees_a_later_one() -> None:
    module = fresh("spiking")
    features = 3 * torch.randn(5, 32, 16)
    torch.testing.assert_close(module(features)[:3], module(features[:3]))


def test_gradients_reach_every_parameter() -> None:
    module = fresh("spiking").train()
    module(3 * torch.randn(5, 64, 16)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())
