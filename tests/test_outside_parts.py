"""Parts written here, outside the package: they train, are counted, fold or are refused by name, and stand in help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli import neurons
from spikecli.errors import SpikeError
from spikecli.evaluation.comparison import compare, demand_equality
from spikecli.evaluation.energy import counted
from spikecli.evaluation.probe import membranes
from spikecli.models.pointnet import PointNet
from spikecli.models.running import step_logits
from spikecli.neurons.answers import Step
from spikecli.neurons.fire import Binary
from spikecli.neurons.folded import Staircase, Upper, moved
from spikecli.settings.config import NeuronConfig
from spikecli.weights.reparameterize import reparameterize

Cli = Callable[..., Outcome]
CPU = torch.device("cpu")
WIDTHS = (6, 8, 16, 8, 7)
CLOUDS = np.random.default_rng(0).normal(size=(4, 9, 3)).astype(np.float32)


@dataclass(frozen=True)
class Triangle:
    """max(0, 1 − |u − θ|)."""

    def backward(self, gradient: Tensor, u: Tensor, threshold: float, signed: bool) -> Tensor:
        distance = ((u.abs() if signed else u) - threshold).abs()
        return gradient * (1 - distance).clamp(min=0)


class Affine(nn.Module):
    """u = a·v + b with trained a > 0 and b per channel: a norm that folds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_a = nn.Parameter(torch.zeros(channels))
        self.b = nn.Parameter(torch.zeros(channels))

    def forward(self, v: Tensor) -> Tensor:
        return self.log_a.exp().to(v.dtype) * v + self.b.to(v.dtype)

    def into(self, fire: nn.Module) -> nn.Module:
        direction = torch.ones_like(self.b)
        return moved(fire, direction, lambda step, below: (step.at - self.b) / self.log_a.exp())


class Levels(nn.Module):
    """0, 1 or 2: a spike more where u > θ, and another where u > 2θ."""

    levels = (0, 1, 2)

    def __init__(self, threshold: float, surrogate: Any) -> None:
        super().__init__()
        self.low, self.high = Binary(threshold, surrogate), Binary(2 * threshold, surrogate)
        self.steps = (Step(threshold), Step(2 * threshold))

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = self.low(u) + self.high(u)
        return out


class Root(nn.Module):
    """u = v/√(1 + |v|): a norm that does not say how it folds."""

    def forward(self, v: Tensor) -> Tensor:
        return v / (1 + v.abs()).sqrt()


class Mute(nn.Module):
    """Fires as a binary neuron does, and says nothing of itself."""

    def __init__(self, threshold: float, surrogate: Any) -> None:
        super().__init__()
        self.inner = Binary(threshold, surrogate)

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = self.inner(u)
        return out


def _fire(kind: type[nn.Module]) -> Callable[[NeuronConfig], nn.Module]:
    from spikecli.neurons import surrogate

    return lambda config: kind(config.threshold, surrogate.build(config))


OUTSIDE: tuple[tuple[str, str, Any, str], ...] = (
    ("surrogate", "triangle", lambda config: Triangle(), "a tent"),
    ("norm", "affine", lambda config, channels, positions: Affine(channels), "a·v + b"),
    ("fire", "levels", _fire(Levels), "0, 1 and 2"),
    ("norm", "root", lambda config, channels, positions: Root(), "does not fold"),
    ("fire", "mute", _fire(Mute), "does not say its levels"),
)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for slot, name, build, told in OUTSIDE:
        neurons.register(slot, name, build, told)
    yield
    for slot, name, *_ in OUTSIDE:
        neurons.remove(slot, name)


def trained(seed: int = 0, **parts: Any) -> PointNet:
    """Return a tiny PointNet of these parts after a few steps, in evaluation mode and float64."""
    torch.manual_seed(seed)
    config = NeuronConfig(**parts)
    model = PointNet(4, partial(neurons.build, config), "none", widths=WIDTHS).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    points, labels = torch.from_numpy(CLOUDS).double(), torch.tensor([0, 1, 2, 3])
    losses = []
    for _ in range(25):
        loss = nn.functional.cross_entropy(model(points, 2).mean(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]), "it does not learn"
    return model.eval()


ALL = {"surrogate": "triangle", "norm": "affine", "fire": "levels"}


@pytest.mark.parametrize("parts", [{name: value} for name, value in ALL.items()] + [ALL], ids=lambda p: "+".join(p))
def test_parts_from_outside_train_and_fold_exactly(parts: dict[str, str]) -> None:
    model = trained(**parts)
    folded = reparameterize(model)
    assert isinstance(folded.get_submodule("fire1").norm, nn.Identity)
    found = compare(model, folded, CLOUDS, 3, 0, CPU)
    demand_equality(found, Path("outside.safetensors"))
    assert found.spikes_flipped == 0 and found.spikes > 500
    wanted = {"affine": Upper, "levels": Staircase}
    if "norm" in parts:
        assert isinstance(folded.get_submodule("fire1").fire, wanted[parts.get("fire", "affine")])


def test_a_spike_of_two_costs_two_additions() -> None:
    """The rule of `evaluation.readings`: hardware expands a spike of whole size m into m unit spikes."""
    layer = nn.ModuleDict({"neuron": neurons.build(NeuronConfig(fire="levels", decay=1.0), 3), "read": nn.Linear(3, 7)})
    x = torch.tensor([[[0.4, 0.6, 1.1]], [[0.05, 0.0, 0.0]]])  # (T, B, C): θ = ½
    with counted(layer, 2) as counts:
        spikes = layer["neuron"](x)
        layer["read"](spikes)
    # step 1: 0, 1 and 2 spikes. A hard reset leaves 0.4, 0 and 0; step 2 brings 0.45: none.
    assert spikes[:, 0].tolist() == [[0, 1, 2], [0, 0, 0]]
    assert counts.accumulates.tolist() == [7 * (1 + 2), 0] and counts.multiplies.sum() == 0
    assert counts.spikes.tolist() == [2, 0] and counts.neurons.tolist() == [3, 3]
    assert counts.energy_uj(2) == pytest.approx(0.9 * 21 / 1e6)


def test_a_network_of_levels_is_counted_in_additions_as_its_spikes_say() -> None:
    model = trained(**ALL)
    seen: dict[str, Tensor] = {}
    for name in ("fire1", "fire4", "fire5"):
        model.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o))
    with counted(model, 1) as counts:
        step_logits(model, CLOUDS, 1, CPU, "fp32", 0)
    assert seen["fire1"].max() == 2
    for name, reader, outputs in (("fire1", "point2", 8), ("fire4", "head2", 7), ("fire5", "out", 4)):
        assert counts.layers[reader].tolist()[2] == [seen[name].sum().item() * outputs], reader
    assert counts.multiplies.item() == 4 * (9 * 3 * 6 + 16 * 8)  # coordinates, and the maximum of real values


def test_a_norm_that_does_not_fold_is_refused_by_its_name() -> None:
    model = trained(norm="root")
    with pytest.raises(SpikeError, match=r"fire1\.norm \(Root\) cannot be folded.*into\(fire\)"):
        reparameterize(model)
    with counted(model, 1) as counts:
        step_logits(model, CLOUDS, 1, CPU, "fp32", 0)
    assert counts.accumulates.sum() > 0  # what it can answer, it is asked


def test_a_fire_function_that_says_no_levels_is_refused_by_its_name() -> None:
    model = trained(fire="mute")
    said = r"fire1\.fire \(Mute\) does not say what it can emit"
    with pytest.raises(SpikeError, match=said), counted(model, 1):
        pass
    with pytest.raises(SpikeError, match=said):
        compare(model, reparameterize(model), CLOUDS, 1, 0, CPU)
    with pytest.raises(SpikeError, match=said):
        membranes(model, CLOUDS, 1, 0)


def test_the_command_trains_the_parts(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    place = ("--data-dir", shapes_dir, "--quiet", "--json")
    chosen = [word for slot, name in ALL.items() for word in (f"--{slot}", name)]
    line = ("--points", 32, "--epochs", 1, "--batch-size", 100, "--out", tmp_path / "run", *place)
    done = cli("train", "shapes", *chosen, *line)
    assert done.code == 0, done.err
    scores = cli("eval", tmp_path / "run", "--timesteps", "1", "--runs", 1, *place)
    assert scores.document["results"][0]["synaptic_operations"] > 0


def test_help_shows_the_parts(cli: Cli) -> None:
    shown = cli("train", "--help").out
    for _, name, *_ in OUTSIDE:
        assert name in shown, name


def test_a_slot_that_is_none_and_a_name_that_is_taken_are_refused() -> None:
    with pytest.raises(SpikeError, match="a neuron has no slot 'threshold'; give one of start, charge"):
        neurons.register("threshold", "x", Root)
    with pytest.raises(SpikeError, match="the fire 'binary' is there already"):
        neurons.register("fire", "binary", Mute)
