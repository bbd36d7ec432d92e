"""Parts that answer for themselves: staircases of any levels, and refusals by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikecli import neurons
from spikecli.errors import SpikeError
from spikecli.evaluation.energy import counted
from spikecli.models.work import multiplying, necessary
from spikecli.neurons.answers import Step, levels_of, steps_of, thresholds_of, through
from spikecli.neurons.folded import Staircase, moved
from spikecli.neurons.norm import MembraneBatchNorm
from spikecli.settings.config import NeuronConfig


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
