"""Each part of the neuron against trajectories worked out by hand, and the product of all parts."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from spikecli import neurons
from spikecli.errors import SpikeError
from spikecli.neurons.norm import MembraneRectifier
from spikecli.neurons.start import uniform_like
from spikecli.neurons.surrogate import Rectangle, Tanh
from spikecli.settings.choices import names
from spikecli.settings.config import NeuronConfig
from spikecli.settings.neuron import PARTS
from spikecli.settings.papers import PAPERS, neuron_of, paper_of


def steps(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)  # (T, 1, 1)


def trajectory(config: NeuronConfig, *values: float) -> list[float]:
    return neurons.build(config, 1).double()(steps(*values)).flatten().tolist()


def test_hard_reset_leaves_nothing_of_a_membrane_that_fired() -> None:
    # v: 0.4 | 0.1 + 0.45 = 0.55 fires, → 0 | 0.45 | 0.1125 + 0.4 = 0.5125 fires
    assert trajectory(NeuronConfig(), 0.4, 0.45, 0.45, 0.4) == [0, 1, 0, 1]


def test_firing_is_strict_at_the_threshold_for_binary_and_inclusive_for_ternary_spikes() -> None:
    assert trajectory(NeuronConfig(), 0.5) == [0]
    assert trajectory(NeuronConfig(fire="ternary"), 0.5) == [1]
    assert trajectory(NeuronConfig(fire="ternary"), -0.5) == [-1]


@pytest.mark.parametrize("kind", ["binary", "ternary"])
def test_spikes_without_gradients_are_those_with_them(kind: str) -> None:
    fire = neurons.build(NeuronConfig.model_validate({"fire": kind}), 4).fire
    u = torch.linspace(-1, 1, 81, requires_grad=True)
    learned = fire(u)
    with torch.no_grad():
        assert torch.equal(fire(u), learned)
    assert set(learned.tolist()) == set(fire.levels)


def test_soft_reset_carries_the_residual() -> None:
    # λ = 1, amount 1: v 0.8 fires → −0.2 | 0.4 silent | 0.6 fires → −0.4
    config = NeuronConfig(decay=1.0, reset="soft", reset_amount=1.0)
    assert trajectory(config, 0.8, 0.6, 0.2) == [1, 0, 1]
    # by the threshold instead: 0.8 → 0.3 | 0.9 fires
    assert trajectory(config.model_copy(update={"reset_amount": None}), 0.8, 0.6) == [1, 1]


def test_ternary_spikes_reset_from_either_side() -> None:
    # −0.6 fires −1 → 0 | 0.3 | 0.075 + 0.45 = 0.525 fires
    assert trajectory(NeuronConfig(fire="ternary"), -0.6, 0.3, 0.45) == [-1, 0, 1]


def test_a_learned_leak_starts_as_the_fixed_one() -> None:
    x = torch.rand(6, 3, 4, dtype=torch.float64)
    fixed = neurons.build(NeuronConfig(), 4).double()
    learned = neurons.build(NeuronConfig(charge="learned-leak"), 4).double()
    assert torch.equal(fixed(x), learned(x))
    learned(x.requires_grad_()).sum().backward()
    assert learned.charge.logit.grad is not None and learned.charge.logit.grad != 0


def test_a_single_presentation_equals_the_input_repeated() -> None:
    x = torch.rand(1, 5, 7, 3)
    neuron = neurons.build(NeuronConfig(), 3)
    assert torch.equal(neuron(x, 4), neuron(x.expand(4, -1, -1, -1)))


def test_perturbation_adds_at_most_an_eighth_to_the_first_step() -> None:
    torch.manual_seed(0)
    neuron = neurons.build(neuron_of("spiking-pointnet"), 1)
    x = torch.linspace(0, 1, 40_001).view(1, -1, 1)
    spikes = neuron(x).flatten()
    assert not spikes[x.flatten() <= 0.375].any()  # 0.375 + λ·½ reaches the threshold, no more
    assert spikes[x.flatten() > 0.5].all()
    between = (x.flatten() > 0.375) & (x.flatten() < 0.5)
    assert 0.45 < spikes[between].mean() < 0.55


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_start_noise_is_uniform(kind: torch.dtype) -> None:
    torch.manual_seed(1)
    noise = uniform_like(torch.empty(400, 501, dtype=kind), 0.5)
    assert noise.dtype == kind and noise.shape == (400, 501)
    assert noise.min() >= 0 and noise.max() <= 0.5
    counts = torch.histc(noise.double(), 10, 0, 0.5)
    assert (counts / noise.numel() - 0.1).abs().max() < 0.005
    flat = noise.double().flatten()
    assert torch.corrcoef(torch.stack([flat[:-1], flat[1:]]))[0, 1].abs() < 0.01


def test_noise_is_repeated_by_the_seed_alone() -> None:
    x = torch.empty(1000)
    torch.manual_seed(3)
    first = uniform_like(x, 0.5)
    assert not torch.equal(first, uniform_like(x, 0.5))
    torch.manual_seed(3)
    assert torch.equal(first, uniform_like(x, 0.5))


def test_membrane_norm_acts_on_what_fires_and_not_on_what_is_reset() -> None:
    neuron = neurons.build(neuron_of("mpbn"), 1).double().eval()
    with torch.no_grad():
        neuron.norm.norm.running_mean.fill_(0.2)  # u = (v − 0.2)/√(1 + ε)
    # v 0.6: u 0.4, silent, and the raw 0.6 is kept: 0.15 + 0.6 = 0.75, u 0.55 fires
    assert neuron(steps(0.6, 0.6)).flatten().tolist() == [0, 1]


def test_the_rectifier_moves_no_spike() -> None:
    v = torch.linspace(-3, 4, 100_001, dtype=torch.float64)
    rectified = MembraneRectifier()(v)
    assert torch.equal(rectified > 0.5, v > 0.5)
    assert (rectified.diff() >= 0).all()


@pytest.mark.parametrize(
    ("v", "slope"), [(-7.0, 1 / 12), (0.5, 3 / (2 * torch.tanh(torch.tensor(1.5)).item())), (8.0, 1 / 12)]
)
def test_the_rectifier_has_its_closed_gradient(v: float, slope: float) -> None:
    x = torch.tensor(v, dtype=torch.float64, requires_grad=True)
    MembraneRectifier()(x).backward()
    assert x.grad is not None and x.grad.item() == pytest.approx(slope)


def test_tanh_surrogate_has_its_window_height_and_area() -> None:
    u = torch.linspace(-1, 2, 300_001, dtype=torch.float64)
    derivative = Tanh(5.0).backward(torch.ones_like(u), u, 0.5, signed=False)
    assert derivative[(u <= 0) | (u >= 1)].abs().max() == 0
    assert derivative.max().item() == pytest.approx(5 / (2 * torch.tanh(torch.tensor(2.5)).item()), rel=1e-6)
    assert torch.trapezoid(derivative, u).item() == pytest.approx(1, abs=1e-3)


def test_signed_rectangle_is_the_derivative_of_a_clamp() -> None:
    u = torch.tensor([-1.01, -0.99, 0.0, 0.99, 1.01])
    ones = torch.ones_like(u)
    assert Rectangle().backward(ones, u, 0.5, signed=True).tolist() == [0, 1, 1, 1, 0]
    assert Rectangle().backward(ones, u, 0.5, signed=False).tolist() == [0, 0, 1, 1, 0]  # 0 is an end of the window
    bells = Tanh(5.0).backward(ones, u, 0.5, signed=True)
    assert bells[0] == bells[4] == 0 and bells[1] == bells[3] > 0


def test_the_gradient_flows_through_the_reset() -> None:
    # v₁ = x₁, s₁; v₂ = λ·v₁(1 − s₁) + x₂. dL/dx₁ of L = s₂: φ'(v₂)·λ·((1 − s₁) − v₁·φ'(v₁)).
    x = torch.tensor([0.4, 0.45], dtype=torch.float64, requires_grad=True)
    neurons.build(NeuronConfig(), 1).double()(x.view(2, 1, 1))[1].sum().backward()
    u = torch.tensor([0.4, 0.55], dtype=torch.float64)
    slope = Tanh(5.0).backward(torch.ones_like(u), u, 0.5, signed=False)
    assert x.grad is not None
    assert x.grad[0].item() == pytest.approx((slope[1] * 0.25 * (1 - 0.4 * slope[0])).item())
    assert x.grad[1].item() == pytest.approx(slope[1].item())


PRODUCT = list(itertools.product(*(names(slot) for slot in PARTS)))
# Every pair of parts. The whole product folds in test_reparameterize.
SOME = PRODUCT[::13]


def test_the_combinations_have_every_pair_of_parts() -> None:
    for first, second in itertools.combinations(range(len(PARTS)), 2):
        pairs = set(itertools.product(names(PARTS[first]), names(PARTS[second])))
        assert pairs == {(one[first], one[second]) for one in SOME}, (PARTS[first], PARTS[second])


def test_every_combination_of_parts_runs_and_learns() -> None:
    for start, charge, norm, fire, surrogate, reset, amplitude in SOME:
        config = NeuronConfig(
            start=start, charge=charge, norm=norm, fire=fire, surrogate=surrogate, reset=reset, amplitude=amplitude
        )
        torch.manual_seed(0)
        neuron = neurons.build(config, 3)
        x = torch.randn(3, 8, 3, requires_grad=True)
        spikes = neuron(x)
        allowed = {"ternary": {-1.0, 0.0, 1.0}, "integer": {0.0, 1.0, 2.0, 3.0, 4.0}}.get(fire, {0.0, 1.0})
        assert spikes.shape == x.shape and set(spikes.flatten().tolist()) <= allowed, config
        spikes.square().sum().backward()
        assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad.any(), config
        assert all(p.grad is not None for p in neuron.parameters()), config


@pytest.mark.parametrize("paper", [name for name in PAPERS if name != "ann"])
def test_no_state_is_left_between_batches(paper: str) -> None:
    neuron = neurons.build(neuron_of(paper, start="zeros"), 2).eval()
    x = torch.randn(4, 3, 2)
    assert torch.equal(neuron(x), neuron(x))


def test_an_unknown_part_and_a_part_of_the_ann_are_refused() -> None:
    with pytest.raises(SpikeError, match="fire cannot be 'quaternary'"):
        neuron_of("lif", fire="quaternary")
    with pytest.raises(SpikeError, match="paper cannot be 'lifo'"):
        neuron_of("lifo")
    with pytest.raises(SpikeError, match="ANN"):
        neuron_of("ann", decay=0.5)


def test_agrees_with_spikingjelly() -> None:
    spikingjelly = pytest.importorskip("spikingjelly.activation_based.neuron", reason="a peer, for cross-checks only")
    x = torch.rand(8, 16, 5)
    peer = spikingjelly.LIFNode(tau=4 / 3, decay_input=False, v_threshold=1.0, v_reset=None, step_mode="m")
    ours = neurons.build(NeuronConfig(threshold=1.0, reset="soft", reset_amount=1.0), 5)
    assert torch.equal(ours(x * 2), peer(x * 2))


# Papers that combine.


def test_papers_joined_by_plus_change_what_each_of_them_changes() -> None:
    both = paper_of("mpbn+ternary-trainable+rmp-loss")
    assert both.neuron == NeuronConfig(
        norm="mpbn", slope=3.0, fire="ternary", surrogate="rectangle", amplitude="scalar"
    )
    assert both.training == PAPERS["rmp-loss"].training
    assert paper_of("ternary-trainable+ternary") == paper_of("ternary-trainable").model_copy(update={"arxiv": None})
    assert paper_of("lif+mpbn").neuron == PAPERS["mpbn"].neuron


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mpbn+soft-reset-mpr", "mpbn and soft-reset-mpr want another norm"),
        ("real-spike+ternary-trainable", "another surrogate"),
        ("mpbn+ann", "no neurons"),
        ("mpbn+", "paper cannot be ''"),
    ],
)
def test_papers_that_clash_are_refused(name: str, said: str) -> None:
    with pytest.raises(SpikeError, match=said):
        paper_of(name)


def test_a_soft_reset_takes_the_threshold_and_says_so() -> None:
    assert repr(neurons.build(NeuronConfig(reset="soft"), 1).reset) == "SoftReset(amount=0.5)"
