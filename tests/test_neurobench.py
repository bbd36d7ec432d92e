"""Operations by NeuroBench's names: by hand, and beside the package where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.evaluation import energy as rows
from spikecli.evaluation.energy import Operations, counted
from spikecli.evaluation.neurobench import energies, in_lower_case, static, workload
from spikecli.evaluation.prices import MEMORY_PJ, PRICES
from spikecli.models.convolution import AveragePool, Convolution, GlobalPool
from spikecli.models.plain import Linear
from spikecli.models.work import multiplying
from spikecli.settings.config import NeuronConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import neuron_of
from spikecli.weights.reparameterize import reparameterize

Cli = Callable[..., Outcome]
STEPS = 3


class Two(nn.Module):
    """Two linear layers, 4 → 3 → 2, with neurons between."""

    def __init__(self, neuron: NeuronConfig | None) -> None:
        super().__init__()
        self.first = Linear.of(torch.full((3, 4), 0.5), torch.zeros(3))
        self.fire = neurons.build(neuron, 3)
        self.second = Linear.of(torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]), torch.zeros(2))

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:  # (B, 4)
        out: Tensor = self.second(self.fire(self.first(x[None]), timesteps))
        return out


def run(model: nn.Module, x: Tensor, timesteps: int = 1, updates: bool = False) -> Operations:
    with counted(model, timesteps, updates) as counts, torch.no_grad():
        model(x, timesteps)
    return counts


def test_operations_by_hand() -> None:
    x = torch.tensor([[0.3, 0.9, 0.0, 0.0], [0.0, 0.2, 0.0, 0.1]])  # currents 0.6 and 0.15 for each of three neurons
    counts = run(Two(NeuronConfig()), x, 1)
    found = workload(counts, 1, samples=2)
    # The first layer reads four values that are not 0, three weights each; three neurons of six fire, and of their
    # second layer's six weights one is 0.
    assert found["synaptic_operations"] == {"Effective_MACs": 3 * 4 / 2, "Effective_ACs": 5 / 2, "Dense": 12 + 6}
    assert found["activation_sparsity"] == 0.5 and found["activation_sparsity_by_layer"] == {"fire": 0.5}
    assert static(Two(NeuronConfig())) == {
        "footprint": 4 * (12 + 3 + 6 + 2), "parameter_count": 23, "connection_sparsity": round(1 / 18, 4)
    }  # fmt: skip


def test_an_ann_is_counted_densely_and_effectively() -> None:
    x = torch.tensor([[0.3, 0.9, 0.0, 0.0]])
    model = Two(None)
    with torch.no_grad():
        model.first.weight[0] = -1  # that neuron is silent
    counts = run(model, x)
    found, cost = workload(counts, 1, 1), energies(counts, 1, 1, PRICES["fp16"])
    assert found["synaptic_operations"] == {"Effective_MACs": 6 + 3, "Effective_ACs": 0.0, "Dense": 18}
    assert found["activation_sparsity"] == pytest.approx(1 / 3)
    assert cost["uj"] == cost["dense_uj"] == pytest.approx(18 * 1.5e-6)
    assert cost["effective_uj"] == pytest.approx((6 + 4) * 1.5e-6)  # of two values that are not 0, both weights of each
    assert (cost["precision"], cost["mac_pj"], cost["ac_pj"]) == ("fp16", 1.5, 0.4)


@pytest.mark.parametrize(
    ("name", "mac", "ac", "width"), [("fp32", 4.6, 0.9, 4), ("fp16", 1.5, 0.4, 2), ("int8", 0.23, 0.03, 1)]
)
def test_prices_are_those_of_45_nm(name: str, mac: float, ac: float, width: int) -> None:
    prices = PRICES[name]
    assert prices.energy_uj(1e6, 0) == pytest.approx(ac) and prices.energy_uj(0, 1e6) == pytest.approx(mac)
    assert prices.traffic_bytes(10, 3) == width * 16


def test_membranes_that_change_are_updates() -> None:
    """In the first step all count. A neuron at rest without input stays; one that fires anew is at 0 as before."""
    neuron = neurons.build(NeuronConfig(decay=0.5), 3)
    currents = torch.tensor([[0.6, 0.2, 0.0], [0.6, 0.0, 0.0], [0.1, 0.0, 0.3]])  # (T, 3)

    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = neuron

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            out: Tensor = self.neuron(x)
            return out

    counts = run(Alone(), currents[:, None], 3, updates=True)
    assert counts.row(rows.UPDATES).tolist() == [3, 1, 3]
    found = energies(counts, 3, 1, PRICES["fp32"], traffic=True)
    assert found["memory_bytes"] == 4 * 2 * 7 and found["memory_uj"] == pytest.approx(56 * MEMORY_PJ / 1e6)
    assert workload(counts, 2, 1, updates=True)["membrane_updates"] == 4


class Pooled(nn.Module):
    """Neurons, a mean over 2 × 2 places, a convolution, neurons, a mean over all places, and a linear layer."""

    def __init__(self, fire: str) -> None:
        super().__init__()
        self.fire = neurons.build(NeuronConfig(fire=fire), 2)
        self.pool, self.conv = AveragePool(2), Convolution(2, 3, kernel=1)
        self.last, self.mean, self.out = neurons.build(NeuronConfig(), 3), GlobalPool(), Linear(3, 5)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        out: Tensor = self.out(self.mean(self.last(self.conv(self.pool(self.fire(x[None], timesteps))))))
        return out


@pytest.mark.parametrize("fire", ["binary", "ternary"])
def test_pooled_spikes_are_additions_one_for_each_spike_in_the_window(fire: str) -> None:
    torch.manual_seed(0)
    model, x = Pooled(fire).eval(), torch.randn(3, 5, 5, 2)  # (B, H, W, C); windows at the border are cut
    spikes: dict[str, Tensor] = {}
    for name in ("fire", "last"):
        model.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: spikes.update({name: o.abs().sum()}))
    counts = run(model, x, 2)
    assert counts.layers["conv"][rows.ACCUMULATES].sum() == 3 * spikes["fire"] > 0
    assert counts.layers["out"][rows.ACCUMULATES].sum() == 5 * spikes["last"] > 0
    assert counts.row(rows.MULTIPLIES).sum() == 0


def test_a_mean_of_real_values_is_still_multiplied() -> None:
    model = nn.Sequential(AveragePool(2), Convolution(2, 3, kernel=1))
    model_of_pictures = nn.Module()
    model_of_pictures.forward = lambda x, timesteps: model(x)  # type: ignore[method-assign]
    model_of_pictures.add_module("inner", model)
    counts = run(model_of_pictures, torch.randn(1, 1, 4, 4, 2), 1)
    assert counts.row(rows.ACCUMULATES).sum() == 0 and counts.row(rows.MULTIPLIES).sum() == 4 * 2 * 3


# Beside the package.


def beside(model: nn.Module, x: Tensor, timesteps: int, single: Callable[..., Any]) -> dict[str, float]:
    """Return NeuroBench's own counts over the layers of a folded network, a batch of one."""
    found = {"Effective_MACs": 0.0, "Effective_ACs": 0.0, "Dense": 0.0}

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inside:  # the package calls a copy of the layer
            return
        inside.append(True)
        operations, spiking = single(inputs[0], module)
        total, _ = single(inputs[0], module, total=True)
        inside.clear()
        found["Effective_ACs" if spiking else "Effective_MACs"] += operations
        found["Dense"] += total

    inside: list[bool] = []
    handles = [layer.register_forward_hook(hook) for layer in multiplying(model).values()]
    with torch.no_grad():
        model(x, timesteps)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("paper", ["lif", "ternary", "mpbn", "ann"])
@pytest.mark.parametrize("name", ["resnet20", "vgg16"])
def test_counts_are_those_of_the_package(paper: str, name: str) -> None:
    layers = pytest.importorskip("neurobench.metrics.utils.layers", reason="neurobench is not installed")
    torch.manual_seed(1)
    fields = {"width": 0.125, "inputs": 3, "size": (16, 16), "classes": 4}
    model = reparameterize(models.build(network_settings(name, neuron=neuron_of(paper), **fields)).eval())
    with torch.no_grad():
        for parameter in model.parameters():  # weights of 0 are no operations
            parameter.mul_(torch.rand_like(parameter) > 0.1)
    x, steps = torch.randn(1, 3, 16, 16), 1 if paper == "ann" else STEPS
    theirs = beside(model, x, steps, layers.single_layer_MACs)
    assert theirs == workload(run(model, x, steps), steps, 1)["synaptic_operations"]
    assert theirs["Dense"] > theirs["Effective_MACs"] > 0


def test_eval_names_precision_updates_and_traffic(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    data = ["--data-dir", shapes_dir]
    made = cli("train", "shapes", "--epochs", 1, "--points", 16, "--batch-size", 100, "--out", tmp_path / "run", *data)
    assert made.code == 0, made.err
    line = ["eval", tmp_path / "run", "-T", "1,2", "--runs", 1, *data]
    plain = cli(*line, "--json").document
    named = ["--energy-precision", "int8", "--membrane-updates", "--memory-traffic"]
    asked = cli(*line, *named, "--json").document
    before, after = plain["results"][1], asked["results"][1]
    assert "membrane_updates" not in before["neurobench"] and "memory_uj" not in before["energy"]
    assert after["neurobench"]["membrane_updates"] > 0 and after["energy"]["memory_uj"] > 0
    assert before["energy"]["precision"] == "fp32" and after["energy"]["precision"] == "int8"
    assert after["energy_uj"] == after["energy"]["uj"] < before["energy_uj"] == before["energy"]["uj"]
    assert after["energy"]["effective_uj"] <= after["energy"]["dense_uj"]
    assert before["neurobench"]["activation_sparsity"] == pytest.approx(1 - before["firing_rate"])
    assert asked["neurobench"]["parameter_count"] * 4 <= asked["neurobench"]["footprint"]
    shown = cli(*line, *named).out
    assert (
        "Effective_ACs" in shown and "membrane_updates" in shown and "0.23 pJ a multiply-add" in " ".join(shown.split())
    )
    table = tmp_path / "table.csv"
    assert cli(*line, "--out", table).code == 0
    assert "Effective_MACs" in table.read_text() and "energy dense_uj" in table.read_text()
    refused = cli(*line, "--corrupt", "jitter", "--memory-traffic")
    assert refused.code == 1 and "--memory-traffic cannot show scores on damaged samples" in refused.err


def test_a_row_has_the_names_in_lower_case() -> None:
    operations = {"Effective_MACs": 2.0, "Effective_ACs": 3.0, "Dense": 9.0}
    row = {"timesteps": 1, "neurobench": {"synaptic_operations": operations, "activation_sparsity": 0.5}}
    network = {"footprint": 8, "parameter_count": 2, "connection_sparsity": 0.25}
    (found, plain) = in_lower_case([row, {"timesteps": 1}], network)
    assert {name: found[name] for name in found if name not in row} == {
        "effective_macs": 2.0, "effective_acs": 3.0, "dense": 9.0, "activation_sparsity": 0.5,
        "connection_sparsity": 0.25, "footprint": 8,
    }  # fmt: skip
    assert plain == {"timesteps": 1}
