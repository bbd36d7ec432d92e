"""Faults that an audit against the authors' released code found, each held by hand-computed values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikecli import models, neurons
from spikecli.evaluation.energy import AC_PJ, MAC_PJ, Operations, counted
from spikecli.models.layers import FireThenMax
from spikecli.models.plain import Maximum
from spikecli.models.running import step_logits
from spikecli.neurons.surrogate import Arctan, Rectangle, Tanh
from spikecli.settings import networks
from spikecli.settings.config import NeuronConfig, TrainConfig, validated
from spikecli.settings.papers import neuron_of
from spikecli.settings.recipes import train_settings
from spikecli.training.losses import Orthogonality
from spikecli.training.reestimation import reestimate

CPU = torch.device("cpu")


# F4: event frames cost what their events cost, each recording by itself.


class FirstLayer(nn.Module):
    """A convolution 1×1 from 2 channels to 3 on frames, and neurons."""

    def __init__(self, neuron: NeuronConfig | None) -> None:
        super().__init__()
        from spikecli.models.convolution import Convolution

        self.conv = Convolution(2, 3, kernel=1)
        self.fire = neurons.build(neuron, 3)

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        out: Tensor = self.fire(self.conv(x.permute(0, 1, 3, 4, 2)), x.shape[0])
        return out


def operations(neuron: NeuronConfig | None, frames: np.ndarray) -> Operations:
    model = FirstLayer(neuron).eval()
    with counted(model, frames.shape[1]) as counts, torch.no_grad():
        model(torch.from_numpy(frames).float().transpose(0, 1))
    return counts


def two_recordings() -> np.ndarray:
    frames = np.zeros((2, 2, 2, 4, 5))  # S, T, polarities, H, W
    frames[0, 0, 0, 0, :3] = 1  # three events in the first step
    frames[0, 1, 1, 2, 2] = 1
    frames[1, 0, 1, 3, 3] = 1
    return frames


def test_a_frame_costs_as_many_additions_as_it_holds_events_whatever_the_batch() -> None:
    frames = two_recordings()
    together = operations(NeuronConfig(), frames)
    assert together.accumulates.tolist() == [3 * (3 + 1), 3 * 1] and together.multiplies.sum() == 0
    frames[1, 0, 1, 3, 3] = 2  # one event more, in the same pixel: three additions more
    more = operations(NeuronConfig(), frames)
    assert more.accumulates.tolist() == [3 * (3 + 2), 3 * 1] and more.multiplies.sum() == 0
    alone = [operations(NeuronConfig(), frames[[each]]).energy_uj(2) for each in (0, 1)]
    assert alone == pytest.approx([3 * 4 * AC_PJ / 1e6, 3 * 2 * AC_PJ / 1e6])
    assert sum(alone) == pytest.approx(more.energy_uj(2))


def test_a_frame_of_values_between_costs_a_multiply_add_for_each_pixel_that_is_not_empty() -> None:
    frames = two_recordings()
    frames[1, 0, 1, 3, 3:5] = 0.5
    found = operations(NeuronConfig(), frames)
    assert found.accumulates.tolist() == [3 * 3, 3 * 1]  # of the first recording, which holds counts
    assert found.multiplies.tolist() == [3 * 2, 0]


def test_the_ann_reads_frames_densely() -> None:
    found = operations(None, two_recordings())
    assert found.accumulates.sum() == 0
    assert found.multiplies.tolist() == [3 * 2 * 4 * 5 * 2] * 2  # all pixels of both recordings


def test_one_sample_of_real_values_does_not_change_what_spikes_cost() -> None:
    layer = nn.ModuleDict({"point": nn.Linear(4, 5)})
    x = torch.zeros(1, 2, 3, 4)
    x[0, 0, 0, :2] = torch.tensor([1.0, -1.0])
    x[0, 1] = 0.3
    with counted(layer, 1) as counts:
        layer["point"](x)
    assert counts.accumulates.tolist() == [5 * 2] and counts.multiplies.tolist() == [5 * 3 * 4]


def test_energy_of_a_recording_is_the_same_in_any_company() -> None:
    torch.manual_seed(0)
    config = networks.network_settings(
        "resnet20", classes=4, neuron=neuron_of("lif"), width=0.05, inputs=2, size=(8, 8)
    )
    model = models.build(config).eval()
    frames = np.random.default_rng(0).integers(0, 3, size=(3, 2, 2, 8, 8)).astype(np.float32)

    def energy(chosen: list[int]) -> float:
        with counted(model, 2) as counts:
            step_logits(model, frames[chosen], 2, CPU, "fp32", 0)
        return counts.energy_uj(2)

    assert energy([0, 1, 2]) == pytest.approx(sum(energy([each]) for each in range(3)), rel=1e-9)
    assert MAC_PJ > AC_PJ


# F1: presets with the surrogate that was released.


@pytest.mark.parametrize(
    ("paper", "surrogate", "slope"),
    [
        ("spiking-pointnet", "tanh", 5.0), ("mpbn", "tanh", 3.0), ("ternary", "rectangle", None),
        ("soft-reset-mpr", "rectangle", None), ("joint", "rectangle", None), ("real-spike", "arctan", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["pointnet", "resnet20", "vgg16"])
def test_a_paper_has_its_released_surrogate_in_every_network(
    paper: str, surrogate: str, slope: float | None, model: str
) -> None:
    neuron = train_settings("x", paper, "short", {}, {}, {"name": model}).model.neuron
    assert neuron is not None and neuron.surrogate == surrogate and slope in (None, neuron.slope)


@pytest.mark.parametrize("paper", ["lif", "rmp-loss"])
def test_where_no_paper_names_a_surrogate_networks_of_maps_take_the_rectangle(paper: str) -> None:
    def surrogate(model: str, **parts: object) -> str:
        neuron = train_settings("x", paper, "short", {}, dict(parts), {"name": model}).model.neuron
        assert neuron is not None
        return neuron.surrogate

    assert [surrogate(model) for model in ("pointnet", "resnet18", "vgg16")] == ["tanh", "rectangle", "rectangle"]
    assert surrogate("resnet18", surrogate="tanh") == surrogate("resnet18", slope=3.0) == "tanh"


def test_real_spike_integrates_without_a_leak_and_detaches_its_reset() -> None:
    neuron = neurons.build(neuron_of("real-spike"), 1)
    x = torch.tensor([[[0.3]], [[0.3]], [[0.1]]], dtype=torch.float64, requires_grad=True)
    spikes = neuron(x)
    assert spikes.flatten().tolist() == [0, 1, 0]  # v = 0.3, 0.6 and, after the reset, 0.1
    (gradient,) = torch.autograd.grad(spikes[2].sum(), x)
    # The third spike depends on x₃ alone: what was reset is multiplied by 0, and no gradient flows through spikes.
    bell = 1 / (1 + (np.pi * (0.1 - 0.5)) ** 2)
    assert gradient.flatten().tolist() == pytest.approx([0, 0, bell])


def test_the_rectifiers_gradient_is_its_own_derivative_alone() -> None:
    neuron = neurons.build(neuron_of("soft-reset-mpr"), 1)
    x = torch.tensor([[[0.9]]], dtype=torch.float64, requires_grad=True)
    neuron(x).sum().backward()
    # φ′(v) = 3(1 − tanh²(3(v − ½)))/(2·tanh(1.5)), times 1 of the rectangle
    expected = 3 * (1 - np.tanh(1.2) ** 2) / (2 * np.tanh(1.5))
    assert x.grad is not None and x.grad.item() == pytest.approx(expected)


# F2: the networks as released.


def dense(name: str, **fields: Any) -> tuple[float, list[tuple[int, int]]]:
    """Return the multiply-adds of one 32 × 32 image in millions, and the maps of stem and stages."""
    model: Any = models.build(networks.network_settings(name, neuron=None, **fields)).eval()
    sizes: list[tuple[int, int]] = []
    for module in [model.stem, *(model.get_submodule(stage) for stage in model.stages)]:
        module[-1].register_forward_hook(lambda m, i, o: sizes.append((o.shape[2], o.shape[3])))
    with counted(model, 1) as counts, torch.no_grad():
        model(torch.rand(1, 3, 32, 32))
    return counts.multiplies.item() / 1e6, sizes


def test_resnet20_has_the_released_maps_and_multiply_adds() -> None:
    first, sizes = dense("resnet20", layout="first")
    assert [side for side, _ in sizes] == [32, 32, 16, 8, 4] and round(first) == 554
    found, sizes = dense("resnet20")
    assert [side for side, _ in sizes] == [32, 16, 8, 4, 2]
    # Windows of 3 × 3 that lie on a map of side n hold (3n − 2)² places of it; with a stride of 2, (3n/2 − 1)².
    stem = (3 * 64 + 2 * 64 * 64) * (3 * 32 - 2) ** 2
    products = stem + 4 * 64 * 64 * (3 * 16 - 2) ** 2
    for side, inputs, outputs in ((16, 64, 128), (8, 128, 256), (4, 256, 512)):
        half = side // 2
        products += inputs * outputs * ((3 * half - 1) ** 2 + half**2)  # the first convolution, and the shortcut's
        products += 3 * outputs * outputs * (3 * half - 2) ** 2
    assert found * 1e6 == products + 512 * 10
    assert round(found) == 178


@pytest.mark.parametrize("name", ["resnet18", "resnet19"])
def test_a_shortcut_is_a_convolution_of_stride_2(name: str) -> None:
    model: Any = models.build(networks.network_settings(name, width=0.125, neuron=None)).eval().double()
    shortcut = model.get_submodule("stage2.0.shortcut")
    x = torch.randn(1, 2, 5, 6, shortcut.conv.in_channels, dtype=torch.float64)
    weight = shortcut.conv.effective()[0][:, :, 0, 0]
    torch.testing.assert_close(shortcut(x), x[:, :, ::2, ::2] @ weight.T)  # every other place, no mean


def test_a_file_without_a_layout_is_of_the_first() -> None:
    old = {
        "dataset": "digits",
        "model": {"name": "resnet20", "classes": 10, "width": 0.125, "size": [16, 16], "inputs": 2},
    }
    assert validated(TrainConfig, old).model.layout == "first"
    new = TrainConfig(model=networks.network_settings("resnet20")).model_dump(mode="json")
    assert new["model"]["layout"] == "released" == validated(TrainConfig, new).model.layout


def test_a_network_of_the_first_layout_answers_as_it_did() -> None:
    """The logits are those of the version before the layout was mended, with the same weights."""
    torch.manual_seed(0)
    config = networks.network_settings("resnet20", classes=3, neuron=neuron_of("lif"), width=0.05, layout="first")
    model = models.build(config).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            value.copy_(drawn + 0.1 if name.endswith("running_var") else drawn - 0.4)
    image = torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64)
    stored = torch.tensor(
        [
            [1.6938622778860377, 0.8255223249192555, 2.6450913238619065],
            [1.0899552531982244, 0.7560671475842417, 2.8942677043304132],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(model(image, 2)[:, 0], stored)


# F6: a maximum sends its gradient to one point.


def test_a_maximum_of_tied_spikes_gives_one_point_the_gradient() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    Maximum()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_the_papers_pool_sends_the_gradient_to_one_point() -> None:
    torch.manual_seed(0)
    layer = FireThenMax(3, 4, neurons.build(NeuronConfig(surrogate="rectangle", decay=1.0), 4)).eval()
    x = torch.randn(1, 1, 1, 3).expand(1, 1, 6, 3).clone().requires_grad_()  # six equal points: all tie
    layer(x, 1).sum().backward()
    assert x.grad is not None
    assert int((x.grad.abs().sum(-1) > 0).sum()) <= 1


# F7: at T > 1 the penalty is of the mean transform.


def test_orthogonality_is_of_the_mean_transform() -> None:
    tnet = nn.Identity()
    penalty = Orthogonality(tnet)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    tnet(torch.stack([torch.eye(2), turn])[:, None])  # two rotations, each orthogonal: the mean of norms would be 0
    # mean A = [[½, −½], [½, ½]], A·Aᵀ = ½·I, so ‖A·Aᵀ − I‖_F = √(¼ + ¼)
    assert float(penalty.take()) == pytest.approx(0.5**0.5)


# F8: re-estimated statistics are a mean, of a norm that is called at every step too.


class Steps(nn.Module):
    """Neurons with a membrane norm that never fire and do not leak away: v at step t is t·x."""

    def __init__(self) -> None:
        super().__init__()
        self.neuron = neurons.build(NeuronConfig(norm="mpbn", decay=1.0, threshold=1e6), 1)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        out: Tensor = self.neuron(x[None], timesteps)
        return out


def test_reestimation_of_a_membrane_norm_is_the_mean_over_batches_and_steps() -> None:
    model = Steps()
    norm = model.neuron.norm.norm  # type: ignore[union-attr]
    seen = int(norm.num_batches_tracked)
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[10.0], [10.0]]), torch.tensor([[0.0], [2.0]])]
    reestimate(model, iter(batches), TrainConfig(), CPU)
    # means of the batches are 2, 10 and 1; at steps 1 … 4 they are once, twice, three and four times that
    assert norm.running_mean.item() == pytest.approx((2 + 10 + 1) / 3 * (1 + 2 + 3 + 4) / 4)
    # unbiased variances 2, 0 and 2, times t²
    assert norm.running_var.item() == pytest.approx((2 + 0 + 2) / 3 * (1 + 4 + 9 + 16) / 4)
    assert norm.momentum == 0.1 and int(norm.num_batches_tracked) == seen


# F11: a surrogate passes the gradient at exactly the ends of its window.


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_a_surrogate_passes_the_gradient_at_the_ends_of_its_window(kind: torch.dtype) -> None:
    u = torch.tensor([-0.01, 0.0, 0.5, 1.0, 1.01], dtype=kind)
    ones = torch.ones_like(u)
    assert Rectangle().backward(ones, u, 0.5, signed=False).tolist() == [0, 1, 1, 1, 0]
    tanh = Tanh(5.0).backward(ones, u, 0.5, signed=False).tolist()
    # k(1 − tanh²(k/2))/(2·tanh(k/2)) with k = 5
    end = 5 * (1 - np.tanh(2.5) ** 2) / (2 * np.tanh(2.5))
    assert tanh[0] == tanh[4] == 0
    assert tanh[1] == pytest.approx(end, rel=1e-4 if kind != torch.bfloat16 else 0.3) and tanh[3] > 0
    signed = torch.tensor([-1.01, -1.0, 0.0, 1.0, 1.01], dtype=kind)
    assert Rectangle().backward(ones, signed, 0.5, signed=True).tolist() == [0, 1, 1, 1, 0]
    assert [value > 0 for value in Tanh(5.0).backward(ones, signed, 0.5, signed=True).tolist()] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("surrogate", ["rectangle", "tanh"])
def test_a_silent_layer_of_zeros_learns(surrogate: str) -> None:
    neuron = neurons.build(NeuronConfig(surrogate=surrogate), 2)
    x = torch.zeros(1, 3, 2, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad is not None and bool((x.grad > 0).all())


def test_the_arctan_surrogate_by_hand() -> None:
    u = torch.tensor([1.0, 1.0 + 1 / np.pi, 0.0], dtype=torch.float64)
    # α = 2: 1/(1 + (π(u − θ))²) with θ = 1
    expected = [1.0, 0.5, 1 / (1 + np.pi**2)]
    assert Arctan().backward(torch.ones_like(u), u, 1.0, signed=False).tolist() == pytest.approx(expected)


# F11: what eval says of its runs.


def test_the_spread_of_one_run_is_not_known() -> None:
    from types import SimpleNamespace

    from spikecli.evaluation.evaluate import _row
    from spikecli.evaluation.how import How

    samples: Any = SimpleNamespace(labels=np.array([0, 1, 1, 0]), classnames=("a", "b"))
    right, half = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 1])
    one = _row(1, [right], samples, Operations(1), 0.0, How())
    two = _row(1, [right, half], samples, Operations(1), 0.0, How())
    assert one.instance_accuracy_std is None
    assert two.instance_accuracy_std == pytest.approx(0.5 / 2**0.5)  # of 1 and ½, n − 1 in the denominator
