"""Folded networks against those they were folded from: spike for spike, by hand, through files and the command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.errors import SpikeError
from spikecli.evaluation.comparison import Comparison, compare, demand_equality
from spikecli.evaluation.energy import Operations, counted
from spikecli.evaluation.probe import critical_points
from spikecli.models.adapter import InterTimestepAdapter
from spikecli.models.convolution import Convolution
from spikecli.models.layers import BatchNorm, FireThenMax, MaxThenNorm
from spikecli.models.pointnet import PointNet
from spikecli.models.running import step_logits
from spikecli.models.unshared import UnsharedConvolution
from spikecli.neurons import Amplitude, Neuron
from spikecli.neurons.charge import LearnedLeak
from spikecli.neurons.folded import Upper, Window
from spikecli.neurons.folded import folded_neuron as folded_neuron
from spikecli.neurons.norm import MembraneBatchNorm, MembraneRectifier
from spikecli.settings.choices import names
from spikecli.settings.config import NeuronConfig, TrainConfig, network_settings
from spikecli.settings.networks import NETWORKS, TNet
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.training.reestimation import reestimate
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.reparameterize import folds, reparameterize
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]
CPU = torch.device("cpu")
WIDTHS = (6, 8, 16, 8, 7)
CLOUDS = np.random.default_rng(0).normal(size=(3, 9, 3)).astype(np.float32)


def scrambled(model: nn.Module, seed: int = 0, negative: bool = True) -> Any:
    """Give norms and amplitudes of a model factors of either sign, one of them 0, and statistics of their own."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, BatchNorm | nn.BatchNorm1d):
                module.weight.copy_(normal(module.weight))
                module.weight[0] = 0
                module.bias.copy_(0.5 * normal(module.bias))
                module.running_mean.copy_(0.3 * normal(module.bias))
                module.running_var.copy_(0.1 + normal(module.bias).square())
            elif isinstance(module, Amplitude):
                module.value.copy_(normal(module.value) if negative else normal(module.value).abs())
            elif isinstance(module, LearnedLeak):
                module.logit.copy_(normal(module.logit))
    return model.eval()


def lively(model: nn.Module, inputs: np.ndarray) -> Any:
    """Let the norms of a model take their statistics from the inputs, so that its neurons fire now and then."""
    reestimate(model, iter([torch.from_numpy(inputs).double()]), TrainConfig(), CPU)
    return model


def tiny(neuron: NeuronConfig | None, tnet: str = "none", seed: int = 0) -> PointNet:
    torch.manual_seed(seed)
    model = scrambled(PointNet(4, partial(neurons.build, neuron), tnet, widths=WIDTHS).double(), seed, tnet != "paper")
    for part in (model.input_tnet, model.feature_tnet):
        if part is not None:
            nn.init.normal_(part.out.weight, std=0.3)
    return lively(model, CLOUDS)


def differences(model: nn.Module, inputs: np.ndarray = CLOUDS, steps: tuple[int, ...] = (1, 3)) -> Comparison:
    """Fold a network, see that no norm and no amplitude is left, and compare at each number of steps."""
    folded = reparameterize(model)
    assert not [name for name, module in folded.named_modules() if hasattr(module, "goes_into")]
    assert not [module for module in folded.modules() if isinstance(module, BatchNorm | nn.BatchNorm1d | Amplitude)]
    return sum((compare(model, folded, inputs, t, 5, CPU) for t in steps), Comparison())


# The product of all parts.


@pytest.mark.parametrize("tnet", get_args(TNet))
def test_combinations_of_parts_fold_exactly(tnet: str) -> None:
    starts = names("start") if tnet == "none" else ("perturbed",)  # from zeros, less can go wrong
    norms, amplitudes = ("none", "mpbn", "rectifier"), ("none", "scalar", "channel")
    product = itertools.product(names("charge"), norms, names("fire"), names("reset"), amplitudes)
    # Of 432, every fifth: each two parts meet. Of T-Nets, which fold alike, each part in turn.
    every = 5 if tnet == "none" else 31
    for number, (charge, norm, fire, reset, amplitude) in itertools.islice(enumerate(product), None, None, every):
        start = starts[(number + number // 9) % len(starts)]  # in turn: a fold does not touch it
        config = NeuronConfig(
            start=start, charge=charge, norm=norm, fire=fire, reset=reset, amplitude=amplitude,
            threshold=0.5 if number % 7 else 0.7,
        )  # fmt: skip
        found = differences(tiny(config, tnet, number), steps=((1,), (3,))[number % 2])
        assert found.spikes_flipped == 0 and found.spikes > 400, config
        assert found.max_logit_difference < 1e-9 and found.emits_spikes_alone, config


NETS = [name for name, kind in NETWORKS.items() if "images" in kind.takes]


@pytest.mark.parametrize("amplitude", ["none", "scalar", "channel", "element"])
@pytest.mark.parametrize("name", NETS)
def test_networks_of_maps_fold_exactly(name: str, amplitude: str) -> None:
    norms = ("mpbn-element", "rectifier", "mpbn", "none")
    config = NeuronConfig(
        start="perturbed",
        norm=norms[NETS.index(name) % len(norms)],
        fire=names("fire")[len(amplitude) % 2],
        amplitude=amplitude,
    )
    torch.manual_seed(0)
    model = models.build(network_settings(name=name, classes=4, neuron=config, width=0.05, inputs=2, size=(7, 10)))
    images = np.random.default_rng(1).normal(size=(2, 2, 7, 10)).astype(np.float32)
    found = differences(lively(scrambled(model.double()), images), images)
    assert found.spikes_flipped == 0 and found.spikes > 10_000
    assert found.max_logit_difference < 1e-9 and found.emits_spikes_alone


@pytest.mark.parametrize("paper", list(PAPERS))
def test_every_paper_folds_exactly(paper: str) -> None:
    found = differences(tiny(PAPERS[paper].neuron, "pooled"))
    assert found.spikes_flipped == 0 and found.max_logit_difference < 1e-9
    assert (found.spikes == 0) == (paper == "ann")


def test_every_neuron_is_wired_to_layers_that_are_there() -> None:
    configs = [network_settings(tnet=tnet) for tnet in get_args(TNet)]
    configs += [network_settings(name=name, width=0.05) for name in NETS]
    for config in configs:
        model = models.build(config)
        wires = list(model.wiring())  # type: ignore[operator]
        assert sorted(name for name, _ in wires) == sorted(
            name for name, module in model.named_modules() if isinstance(module, Neuron)
        )
        assert all(model.get_submodule(reader) for _, readers in wires for reader in readers)


def test_the_adapter_of_neuroclip_folds_exactly() -> None:
    config = NeuronConfig(norm="mpbn", amplitude="channel", fire="ternary")
    adapter = scrambled(InterTimestepAdapter(48, config).double())
    folded = reparameterize(adapter)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm1d | Amplitude)]
    features = torch.randn(4, 30, 48, dtype=torch.float64)
    torch.testing.assert_close(folded(features), adapter(features), atol=1e-12, rtol=0)


# Thresholds by hand.


def normed_neuron(fire: str, gamma: list[float], beta: list[float]) -> Neuron:
    neuron = neurons.build(NeuronConfig(norm="mpbn", fire=fire), len(gamma)).double().eval()
    assert isinstance(neuron, Neuron)
    norm = neuron.norm.norm
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gamma))
        norm.bias.copy_(torch.tensor(beta))
        norm.running_var.fill_(1 - norm.eps)
    return neuron


def test_a_negative_factor_turns_the_inequality_and_none_makes_it_constant() -> None:
    # u = γ·v + β > ½: v > ¼ | −2v > ½, so v < −¼ | v > 1 | always | never
    folded = folded_neuron(normed_neuron("binary", [2, -2, 0.5, 0, 0], [0, 0, 0, 1, 0.5]))
    assert isinstance(folded.fire, Upper)
    assert folded.fire.direction.tolist() == [1, -1, 1, 1, 1]
    assert folded.fire.upper[:3].tolist() == pytest.approx([0.25, 0.25, 1.0])
    v = torch.tensor([[0.3] * 5, [-0.3] * 5, [1.1] * 5, [-1e6] * 5], dtype=torch.float64)
    assert folded(v[None])[0].tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 1, 0], [1, 0, 1, 1, 0], [0, 1, 0, 1, 0]]
    assert torch.isfinite(folded.fire.upper.float()).all()


def test_a_ternary_neuron_keeps_both_thresholds() -> None:
    # u = −2v + 1: +1 where v ≤ ¼, −1 where v ≥ ¾ | u = −1 always | u = 0 always
    folded = folded_neuron(normed_neuron("ternary", [-2, 0, 0], [1, -1, 0]))
    assert isinstance(folded.fire, Window)
    v = torch.tensor([[0.2] * 3, [0.5] * 3, [0.8] * 3], dtype=torch.float64)
    assert folded(v[None])[0].tolist() == [[1, -1, 0], [0, -1, 0], [-1, -1, 0]]


@pytest.mark.parametrize("gamma", [2.0, -2.0])
def test_binary_stays_strict_and_ternary_inclusive_at_the_threshold(gamma: float) -> None:
    at = torch.full((1, 1, 1), 0.5 / gamma, dtype=torch.float64)
    beyond = at * (1 + 1e-12)
    for fire, there in (("binary", 0.0), ("ternary", 1.0)):
        neuron = normed_neuron(fire, [gamma], [0.0])
        folded = folded_neuron(neuron)
        assert neuron(at).item() == folded(at).item() == there
        assert neuron(beyond).item() == folded(beyond).item() == 1


def test_without_signs_half_the_spikes_would_be_wrong() -> None:
    torch.manual_seed(0)
    neuron = scrambled(neurons.build(NeuronConfig(norm="mpbn"), 500).double())
    v = torch.randn(1, 200, 500, dtype=torch.float64)
    gamma, beta, mean, deviation = neuron.norm.running()
    naive = v > (0.5 - beta) * deviation / gamma + mean
    expected = neuron(v)
    assert (naive != expected.bool()).double().mean() > 0.3
    assert torch.equal(folded_neuron(neuron)(v), expected)


def test_the_rectifier_is_undone_where_it_reaches_the_threshold() -> None:
    u = torch.linspace(-3, 3, 601, dtype=torch.float64)
    v = torch.tensor([MembraneRectifier.inverse(value) for value in u.tolist()], dtype=torch.float64)
    torch.testing.assert_close(MembraneRectifier()(v), u)
    assert MembraneRectifier.inverse(0.5) == 0.5
    ternary = neurons.build(NeuronConfig(norm="rectifier", fire="ternary", threshold=0.3), 1)
    assert isinstance(ternary, Neuron)
    x = torch.linspace(-3, 3, 6001, dtype=torch.float64).view(1, -1, 1)
    assert torch.equal(folded_neuron(ternary)(x), ternary(x)) and set(ternary(x).flatten().tolist()) == {-1, 0, 1}


def test_a_membrane_norm_of_single_neurons_gets_a_threshold_for_each() -> None:
    norm = MembraneBatchNorm(3, (4, 5))
    assert [term.shape for term in norm.running()] == [(4, 5, 3)] * 4
    neuron = scrambled(neurons.build(NeuronConfig(norm="mpbn-element"), 3, (4, 5)).double())
    x = torch.randn(3, 2, 4, 5, 3, dtype=torch.float64)
    assert torch.equal(folded_neuron(neuron)(x), neuron(x))


def test_a_negative_factor_after_a_maximum_keeps_its_sign() -> None:
    layer = scrambled(MaxThenNorm(4, 6, nn.Identity()).double())
    layer.neuron.forward = lambda x, timesteps: x  # type: ignore[method-assign]
    x = torch.randn(2, 3, 9, 4, dtype=torch.float64)
    folded = layer.folded()
    torch.testing.assert_close(folded(x, 1), layer(x, 1))
    wrong = (x @ (layer.norm.running()[0][:, None] * layer.weight).T).amax(-2) + layer.norm.running()[1]
    assert (wrong - layer(x, 1)).abs().max() > 0.1


# Amplitudes.


def test_a_maximum_over_spikes_refuses_a_negative_amplitude_by_name() -> None:
    model = tiny(NeuronConfig(amplitude="channel"), "paper")
    pool = model.get_submodule("feature_tnet.pool")
    assert isinstance(pool, FireThenMax)
    with torch.no_grad():
        pool.neuron.amplitude.value[3] = -0.25
    with pytest.raises(SpikeError, match=r"feature_tnet\.pool\.neuron .* feature_tnet\.pool\.maximum: .*-0\.25"):
        reparameterize(model)


def test_kernels_for_each_place_are_refused_where_they_would_take_gigabytes() -> None:
    config = network_settings(name="vgg16", neuron=NeuronConfig(amplitude="element"), size=(64, 64))
    with torch.device("meta"):
        model = models.build(config)
    model.to_empty(device="cpu")
    with pytest.raises(SpikeError, match=r"8\.2 GB .* 1\.2 GB for layers\.2\.conv alone; wanted 2 GB at most"):
        reparameterize(model)


def test_an_amplitude_of_single_neurons_goes_through_means_into_kernels_for_each_place() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    gain, x = torch.randn(5, 7, 3, dtype=torch.float64), torch.randn(2, 5, 7, 3, dtype=torch.float64)
    unshared = UnsharedConvolution.of(layer, gain, side=2)
    pooled = nn.functional.avg_pool2d((gain * x).permute(0, 3, 1, 2), 2, ceil_mode=True)
    torch.testing.assert_close(unshared(x), layer(pooled).permute(0, 2, 3, 1))
    assert unshared.weight.shape == (3 * 4, 4, 3 * 6 * 6)


def operations(model: nn.Module) -> Operations:
    with counted(model, 2) as counts:
        step_logits(model, CLOUDS, 2, CPU, "fp32", 0)
    return counts


@pytest.mark.parametrize("tnet", get_args(TNet))
@pytest.mark.parametrize("norm", ["none", "mpbn", "rectifier"])
def test_without_amplitudes_a_fold_costs_and_saves_no_operation(tnet: str, norm: str) -> None:
    # Each fire meets each charge; beside T-Nets, which fold alike, in turn, as the starts: no fold touches them.
    pairs = list(itertools.product(names("fire"), names("charge")))
    pairs = pairs if tnet == "none" else pairs[:: len(names("charge")) + 1] + pairs[-1:]
    for (fire, charge), start in zip(pairs, itertools.cycle(names("start")), strict=False):
        model = tiny(NeuronConfig(start=start, fire=fire, charge=charge, norm=norm), tnet)
        before, after = operations(model), operations(reparameterize(model))
        for name in ("spikes", "neurons", "accumulates", "multiplies"):
            assert torch.equal(getattr(before, name), getattr(after, name)), name
        assert before.accumulates.min() > 0


@pytest.mark.parametrize("tnet", get_args(TNet))
def test_an_amplitude_is_counted_as_what_its_fold_costs(tnet: str) -> None:
    scaled = tiny(NeuronConfig(amplitude="channel"), tnet)
    before, after = operations(scaled), operations(reparameterize(scaled))
    for name in ("spikes", "neurons", "accumulates", "multiplies"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name
    assert torch.equal(after.multiplies, operations(tiny(NeuronConfig(), tnet)).multiplies)


def test_kernels_for_each_place_cost_what_a_shared_one_does() -> None:
    shared = Convolution(3, 4, stride=2).double()
    spikes = (torch.rand(2, 5, 6, 9, 3, dtype=torch.float64) > 0.7).double()
    counts = []
    for layer in (shared, UnsharedConvolution.of(shared, torch.ones(6, 9, 3, dtype=torch.float64))):
        with torch.no_grad(), counted(layer, 2) as seen:
            outputs = layer(spikes)
        torch.testing.assert_close(outputs, shared(spikes))
        counts.append(seen.accumulates)
    assert torch.equal(*counts) and counts[0].min() > 0


# The proof.


def test_the_model_and_the_random_state_are_left_alone() -> None:
    model = tiny(NeuronConfig(norm="mpbn", amplitude="channel", charge="learned-leak"), "pooled").float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    folded = reparameterize(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {value.dtype for value in folded.state_dict().values()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in folded.parameters()) and not folded.training


def test_a_folded_network_folds_to_itself() -> None:
    folded = reparameterize(tiny(NeuronConfig(norm="mpbn", amplitude="channel", fire="ternary"), "pooled"))
    again = reparameterize(folded)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in folded.state_dict().items())
    assert folds(folded) == []


def test_what_was_folded_is_told() -> None:
    told = folds(tiny(NeuronConfig(norm="mpbn", amplitude="scalar"), "paper"))
    assert [(fold.part, fold.into) for fold in told if fold.name == "fire1.amplitude"] == [
        ("amplitude", ("feature_tnet",))
    ]
    assert ("pool.norm", "batch norm", ("pool",)) in [(fold.name, fold.part, fold.into) for fold in told]
    assert len(told) == 2 * 14 + 15 == len({fold.name for fold in told})


@pytest.mark.parametrize("name", NETS)
def test_every_batch_norm_of_maps_is_told(name: str) -> None:
    config = network_settings(name=name, classes=4, neuron=neuron_of("lif"), width=0.05, inputs=2, size=(7, 10))
    model = models.build(config)
    norms = [path for path, module in model.named_modules() if isinstance(module, BatchNorm)]
    assert [fold.name for fold in folds(model)] == norms and len(norms) >= 13


@pytest.mark.parametrize("name", ["point1.weight", "fire2.fire.upper", "out.bias"])
def test_tampered_weights_are_not_equal(name: str) -> None:
    model = tiny(NeuronConfig(norm="mpbn"))
    folded = reparameterize(model)
    folded.state_dict()[name][:] += 0.3
    found = compare(model, folded, CLOUDS, 2, 0, CPU)
    with pytest.raises(SpikeError, match=r"not equal to a\.safetensors in float64.*nothing was written"):
        demand_equality(found, Path("a.safetensors"))


def mutated(model: nn.Module, folded: nn.Module) -> str:
    """Return what the proof says of a changed fold, after seeing that spikes and logits alone would let it pass."""
    found = sum((compare(model, folded, CLOUDS, t, 5, CPU) for t in (1, 4)), Comparison())
    assert found.spikes_flipped == 0 and found.max_logit_difference < 1e-9, "spikes and logits see it already"
    with pytest.raises(SpikeError) as refused:
        demand_equality(found, Path("a.safetensors"))
    return str(refused.value)


class Inclusive(nn.Module):
    """A fire function that emits at exactly a threshold what the original emits just on the other side of it."""

    def __init__(self, fire: nn.Module) -> None:
        super().__init__()
        self.was, self.levels = fire, fire.levels
        if isinstance(fire, Upper):
            self.potentials, self.thresholds = fire.potentials, fire.thresholds
        else:
            self.steps = fire.steps

    def forward(self, v: Tensor) -> Tensor:
        at = (
            list(self.potentials())
            if isinstance(self.was, Upper)
            else [
                v.new_tensor(step.at)
                for step in self.steps  # type: ignore[union-attr]
            ]
        )
        near = [self.was(v * (1 + sign * 1e-12)) for sign in (-1, 1)]
        other = torch.where(near[0] == self.was(v), *reversed(near))
        return torch.where(torch.stack([v == one for one in at]).any(0), other, self.was(v))


def test_the_proof_sees_a_leak_that_is_off_by_a_billionth() -> None:
    model = tiny(NeuronConfig(charge="learned-leak"))
    folded = reparameterize(model)
    folded.get_submodule("fire2").charge.decay += 1e-9  # type: ignore[union-attr, operator]
    assert "the membrane potential of fire2" in mutated(model, folded)


def test_the_proof_sees_thresholds_that_are_off_by_a_millionth() -> None:
    model = tiny(NeuronConfig(norm="mpbn"))
    folded = reparameterize(model)
    folded.get_submodule("fire2").fire.upper += 1e-6  # type: ignore[union-attr, operator]
    assert "the thresholds of fire2" in mutated(model, folded)


def test_the_proof_sees_an_epsilon_that_a_membrane_norm_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    true = MembraneBatchNorm.running

    def without(norm: MembraneBatchNorm) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gamma, beta, mean, deviation = true(norm)
        return gamma, beta, mean, (deviation.square() - norm.norm.eps).sqrt()

    model = tiny(NeuronConfig(norm="mpbn", fire="ternary"))
    monkeypatch.setattr(MembraneBatchNorm, "running", without)
    assert "the thresholds of fire1" in mutated(model, reparameterize(model))


def test_the_proof_sees_an_input_current_that_is_off() -> None:
    model = tiny(NeuronConfig())
    folded = reparameterize(model)
    folded.get_submodule("point2").bias += 1e-8  # type: ignore[union-attr, operator]
    assert "the input current of fire2" in mutated(model, folded)


@pytest.mark.parametrize("norm", ["none", "rectifier", "mpbn"])
@pytest.mark.parametrize("fire", ["binary", "ternary"])
def test_the_proof_sees_a_strict_threshold_where_an_inclusive_one_was(norm: str, fire: str) -> None:
    model = tiny(NeuronConfig(norm=norm, fire=fire))
    folded = reparameterize(model)
    neuron = folded.get_submodule("fire2")
    assert isinstance(neuron, Neuron)
    neuron.fire = Inclusive(neuron.fire)
    assert "the thresholds of fire2 differing by inf" in mutated(model, folded)


def test_values_that_are_no_spikes_and_no_numbers_are_not_equal() -> None:
    model = tiny(NeuronConfig())
    assert not compare(model, tiny(NeuronConfig(amplitude="scalar")), CLOUDS, 1, 0, CPU).emits_spikes_alone
    folded = reparameterize(model)
    folded.get_submodule("out").bias[0] = float("nan")
    found = compare(model, folded, CLOUDS, 1, 0, CPU) + Comparison()
    with pytest.raises(SpikeError, match="logit differs by nan"):
        demand_equality(found, Path("a.safetensors"))


def test_a_folded_file_is_of_its_own_structure_and_finite(tmp_path: Path) -> None:
    neuron = NeuronConfig(norm="mpbn", charge="learned-leak", fire="ternary", amplitude="channel")
    config = TrainConfig(model=network_settings(classes=4, neuron=neuron, tnet="pooled", folded=True))
    folded = reparameterize(scrambled(models.build(config.model)))
    path = tmp_path / "folded.safetensors"
    checkpoints.save(path, checkpoints.Checkpoint(dict(folded.state_dict()), config, ("a", "b", "c", "d")))
    read = checkpoints.network(checkpoints.load(path), path)
    found = compare(folded, read, CLOUDS, 2, 0, CPU)
    assert found.spikes_flipped == found.max_logit_difference == 0 and found.spikes > 1000
    assert (critical_points(Trained.open(path), CLOUDS[0], 3).sum(1) == 1024).all()


# The command.


@pytest.fixture(scope="module")
def trained(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from spikecli.cli import run

    out = tmp_path_factory.mktemp("fold") / "run"
    options = ["--points", "32", "--epochs", "1", "--batch-size", "100", "--data-dir", str(shapes_dir), "--quiet"]
    parts = ["--norm", "mpbn", "--amplitude", "channel", "--start", "perturbed"]
    assert run(["train", "shapes", *options, *parts, "--out", str(out)]) == 0
    return out


def test_a_run_is_folded_and_stays_what_it_was(cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path) -> None:
    out, place = tmp_path / "folded.safetensors", ("--data-dir", shapes_dir)
    done = cli("reparameterize", trained, "--out", out, "--samples", 8, *place, "--json")
    assert done.code == 0
    document = done.document
    assert document["out"] == str(out) and document["samples"] == 8 and document["spikes_flipped"] == 0
    assert document["max_logit_difference"] < 1e-9 and document["float32"]["spikes"] == document["spikes"] > 0
    assert {"point1.norm", "fire1.norm", "fire1.amplitude", "head2.norm"} <= set(document["folded"])
    scores = [
        cli("eval", each, "--timesteps", "1,2", "--runs", 1, *place, "--json").document["results"]
        for each in (trained, out)
    ]
    for before, after in zip(*scores, strict=True):
        for name in ("instance_accuracy", "class_accuracy"):
            assert before[name] == pytest.approx(after[name], abs=1 / 300)  # float32 may move one of 300 answers
        assert before["firing_rate"] == pytest.approx(after["firing_rate"], rel=1e-4)
        assert after["energy_uj"] == pytest.approx(before["energy_uj"], rel=1e-4)
    mesh = sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[0]
    guesses = [cli("predict", each, mesh, "--json").document[0]["predictions"][0] for each in (trained, out)]
    assert guesses[0]["class"] == guesses[1]["class"]
    table = cli("reparameterize", trained, "--out", out, "--samples", 2, *place, "--quiet").out
    assert "thresholds of fire1" in table and "weight of point2" in table and "0 of" in table


def test_what_cannot_be_folded_is_refused_in_a_line(cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path) -> None:
    place, out = ("--data-dir", shapes_dir), tmp_path / "folded.safetensors"
    for target, said in ((trained / "model.safetensors", "would be lost"), (tmp_path, "is a folder")):
        refused = cli("reparameterize", trained, "--out", target, *place)
        assert refused.code == 1 and said in refused.err and refused.out == ""
    assert cli("reparameterize", trained, "--out", out, "--samples", 1, *place, "--json").code == 0
    again = cli("reparameterize", out, "--out", tmp_path / "twice.safetensors", *place)
    assert again.code == 1 and "folded already" in again.err
    assert not (tmp_path / "twice.safetensors").exists()


def test_an_unequal_fold_is_not_written(
    cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(model: nn.Module) -> nn.Module:
        folded = reparameterize(model)
        folded.get_submodule("fire2").fire.upper.neg_()  # type: ignore[union-attr, operator]
        return folded

    monkeypatch.setattr("spikecli.evaluation.proof.reparameterize", tampered)
    out = tmp_path / "folded.safetensors"
    refused = cli("reparameterize", trained, "--out", out, "--samples", 2, "--data-dir", shapes_dir, "--quiet")
    assert refused.code == 1 and "spikes of fire2 flipped" in refused.err and refused.err.count("\n") == 1
    assert not out.exists()


def test_half_keeps_in_float32_what_float16_cannot_hold(
    cli: Cli, shapes_dir: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = checkpoints.load(trained / "model.safetensors")
    stored.tensors["fire1.norm.norm.weight"][0] = 0  # constant: its threshold is out of any reach
    silent, out = tmp_path / "silent.safetensors", tmp_path / "half.safetensors"
    checkpoints.save(silent, stored)
    line = ("reparameterize", silent, "--out", out, "--half", "--samples", 8, "--data-dir", shapes_dir, "--json")
    refused = cli(*line)  # a network of one epoch is unsure of much: 2 of 16 answers turn
    assert refused.code == 1 and "rounding the weights to float16 changes" in refused.err and not out.exists()
    monkeypatch.setattr("spikecli.evaluation.proof.MOST_CHANGED", 1.0)
    document = cli(*line).document
    kept = set(document["kept_in_float32"])
    assert {"fire1.fire.upper", "fire5.fire.upper"} <= kept and "point2.weight" not in kept
    written = checkpoints.load(out).tensors
    assert written["fire1.fire.upper"].abs().max() > 1e38 and written["point2.weight"].dtype == torch.float16


def test_a_folded_network_is_not_trained(shapes_dir: Path, tmp_path: Path) -> None:
    from spikecli.training.train import opened

    config = TrainConfig(points=32, model=network_settings(folded=True))
    with (
        pytest.raises(SpikeError, match="no norms left to train with"),
        opened(config, shapes_dir, tmp_path / "run", False, "cpu"),
    ):
        pass
    assert json.loads(config.model.model_dump_json())["folded"] is True
