"""Parts that answer for themselves: staircases of any levels, and refusals by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Protocol

import pytest
import torch
from rooms import ROOT
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.errors import SpikeError
from spikecli.evaluation.energy import counted
from spikecli.models.work import multiplying, necessary
from spikecli.neurons.answers import Step, levels_of, steps_of, thresholds_of, through
from spikecli.neurons.folded import Staircase, moved
from spikecli.neurons.norm import MembraneBatchNorm
from spikecli.settings import networks
from spikecli.settings.config import NeuronConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.weights.reparameterize import reparameterize


class Three(nn.Module):
    """0, 1 or 2: u > ½, u ≥ 1."""

    levels = (0, 1, 2)
    steps = (Step(0.5), Step(1.0, inclusive=True))

    def forward(self, u: Tensor) -> Tensor:
        return (u > 0.5).to(u) + (u >= 1).to(u)


def test_any_staircase_folds_through_a_membrane_norm_spike_for_spike() -> None:
    torch.manual_seed(0)
    norm = MembraneBatchNorm(6).double().eval()
    with torch.no_grad():
        norm.norm.weight.copy_(torch.tensor([2.0, -2.0, 0.0, 0.0, 0.0, 0.3]))
        norm.norm.bias.copy_(torch.tensor([0.1, 0.2, 0.4, 0.6, 1.0, -0.2]))  # 0 always, 1 always, 2 always
        norm.norm.running_mean.normal_()
        norm.norm.running_var.uniform_(0.5, 2)
    folded = through(norm, Three())
    assert isinstance(folded, Staircase)
    v = torch.randn(4000, 6, dtype=torch.float64) * 3
    expected = Three()(norm(v))
    assert torch.equal(folded(v), expected)
    assert [set(column.tolist()) for column in expected.T[2:5]] == [{0.0}, {1.0}, {2.0}]
    assert all(set(expected[:, channel].tolist()) == {0.0, 1.0, 2.0} for channel in (0, 1, 5))
    assert len(thresholds_of(folded)) == 2 * 3  # constant channels have none within reach


def questions() -> list[type]:
    """Return every Protocol of the package that isinstance() may be asked of."""
    found = []
    for path in sorted((ROOT / "spikecli").rglob("*.py")):
        if "@runtime_checkable" in path.read_text(encoding="utf-8"):
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found += [each for each in vars(module).values() if getattr(each, "_is_runtime_protocol", False)]
    return list(dict.fromkeys(found))


def members(protocol: type) -> set[str]:
    """Return the names that isinstance() looks for."""
    return {
        name
        for each in protocol.__mro__[:-1]
        if getattr(each, "_is_protocol", False) and each is not Protocol
        for name in {*inspect.get_annotations(each), *vars(each)}
        if not name.startswith("_")
    }


def sees(look: Callable[[object, str], object], part: object, names: set[str]) -> bool:
    """Return whether `part` has all these attributes by this way of looking."""
    try:
        return all(look(part, name) is not None for name in names)
    except AttributeError:
        return False


WITH_NORM = {fire: NeuronConfig(norm="mpbn", fire=fire, amplitude="channel") for fire in ("binary", "ternary")}
NETWORKS = [
    network_settings(tnet="pooled", neuron=WITH_NORM["binary"]),
    *[
        network_settings(name, width=0.05, neuron=WITH_NORM["ternary"])
        for name in networks.NETWORKS
        if name != "pointnet"
    ],
    *[network_settings("vgg16", width=0.05, neuron=neuron_of(paper)) for paper in PAPERS],
]


def test_no_question_is_answered_by_what_python_312_does_not_see() -> None:
    """It looks by getattr_static, which finds no buffer, no parameter and no module inside a module."""
    asked = {protocol: members(protocol) for protocol in questions()}
    assert {"Rises", "Foldable", "Multiplies", "Reader", "Pool"} <= {protocol.__name__ for protocol in asked}
    answered = set()
    for config in NETWORKS:
        model = models.build(config).eval()
        parts = {type(part): part for network in (model, reparameterize(model)) for part in network.modules()}
        for protocol, names in asked.items():
            for part in parts.values():
                plainly = sees(getattr, part, names)
                assert plainly == sees(inspect.getattr_static, part, names), (protocol, type(part))
                answered |= {protocol} if plainly else set()
    assert {"Rises", "FoldsIntoFire", "Leaves", "PointNetwork"} <= {protocol.__name__ for protocol in answered}


def test_a_buffer_does_not_answer_a_question() -> None:
    folded = moved(Three(), torch.ones(1), lambda step, below: step.at * torch.ones(1))
    assert sees(getattr, folded, {"direction"}) and not sees(inspect.getattr_static, folded, {"direction"})


def test_a_step_keeps_whether_its_threshold_itself_fires() -> None:
    one = torch.ones(1, dtype=torch.float64)
    folded = moved(Three(), one, lambda step, below: step.at * one)
    v = torch.tensor([[0.5], [1.0]], dtype=torch.float64)
    assert folded(v).flatten().tolist() == Three()(v).flatten().tolist() == [0, 2]


@pytest.mark.parametrize("levels", [None, (1, 2), (0, 2, 1), [0, 1]])
def test_a_fire_function_without_levels_is_refused_by_name(levels: object) -> None:
    class Mute(nn.Module):
        pass

    fire = Mute()
    if levels is not None:
        fire.levels = levels  # type: ignore[assignment]
    with pytest.raises(SpikeError, match=r"fire7\.fire \(Mute\) does not say what it can emit"):
        levels_of(fire, "fire7.fire")
    neuron = neurons.build(NeuronConfig(), 3)
    neuron.fire = fire
    with pytest.raises(SpikeError, match=r"Mute"), counted(nn.Sequential(neuron), 1):
        pass


def test_a_fire_function_without_steps_is_refused_by_name() -> None:
    class Flat(nn.Module):
        levels = (0, 1, 2)
        steps = (Step(0.5),)

    with pytest.raises(SpikeError, match=r"Flat does not say its thresholds.*\(0, 1, 2\)"):
        steps_of(Flat())


def test_a_norm_that_cannot_fold_is_refused_by_its_place() -> None:
    with pytest.raises(SpikeError, match=r"fire1\.norm \(LayerNorm\) cannot be folded"):
        through(nn.LayerNorm(3), Three(), "fire1")


def test_a_layer_that_does_not_say_its_operations_is_refused_by_its_place() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.ones(3, 3))

    model = nn.ModuleDict({"linear": nn.Linear(3, 4), "gate": Gate()})
    with pytest.raises(SpikeError, match=r"gate \(Gate\) has weights and does not say its operations.*products"):
        multiplying(model)
    with pytest.raises(SpikeError, match=r"gate \(Gate\).*matrices"), necessary(model):
        pass
    del model["gate"]
    assert list(multiplying(model)) == ["linear"]
