"""The layers that keep batch norm in their weights and maxima out of memory, against the plain path."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikecli import neurons
from spikecli.models import batch_norm, layers
from spikecli.models.layers import BatchNorm, FireThenMax, LinearNorm, MaxThenNorm, NormThenMax, PointLinearNorm
from spikecli.models.pooled import column_highest, column_max, linear_max, linear_winners
from spikecli.models.tracing import traced
from spikecli.settings.config import NeuronConfig

SHAPES = [(1, 1, 7, 3, 5), (2, 3, 17, 4, 6), (1, 2, 1, 3, 4), (3, 1, 33, 5, 2), (1, 5, 64, 8, 16)]


def plain(layer: PointLinearNorm, x: Tensor) -> tuple[Tensor, nn.BatchNorm1d]:
    """The same linear and batch norm as torch's own modules compute them."""
    norm = nn.BatchNorm1d(layer.weight.shape[0]).to(x.dtype)
    norm.load_state_dict({**layer.norm.state_dict(), "num_batches_tracked": torch.tensor(0)})
    norm.train(layer.training)
    y = x @ layer.weight.T
    return norm(y.flatten(0, -2)).view(y.shape), norm


def scrambled(layer: nn.Module, seed: int = 0) -> nn.Module:
    """Give each norm factors of either sign and one that is 0, as a trained network has them."""
    generator = torch.Generator().manual_seed(seed)
    for norm in layer.modules():
        if isinstance(norm, BatchNorm):
            with torch.no_grad():
                norm.weight.copy_(torch.randn(norm.weight.shape, generator=generator))
                norm.weight[0] = 0
                norm.bias.copy_(torch.randn(norm.bias.shape, generator=generator))
                norm.running_mean.copy_(torch.randn(norm.bias.shape, generator=generator))
                norm.running_var.copy_(torch.rand(norm.bias.shape, generator=generator) + 0.1)
    return layer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [PointLinearNorm, NormThenMax])
def test_equals_linear_then_batch_norm(kind: type[PointLinearNorm], shape: tuple[int, ...], training: bool) -> None:
    *rows, inputs, outputs = shape
    if training and torch.tensor(rows).prod() < 2:
        pytest.skip("batch norm needs two rows")
    torch.manual_seed(0)
    layer = scrambled(kind(inputs, outputs).double()).train(training)
    x = torch.randn(*rows, inputs, dtype=torch.float64, requires_grad=True)
    expected, norm = plain(layer, x)
    expected = expected.amax(-2) if kind is NormThenMax else expected
    gradient = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, [x, layer.weight, norm.weight, norm.bias], gradient, retain_graph=True)
    found = layer(x)
    gradients = torch.autograd.grad(found, [x, layer.weight, layer.norm.weight, layer.norm.bias], gradient)
    torch.testing.assert_close(found, expected)
    # γ = 0 makes all points equal: any of them may win, and x's gradient through that channel is 0 either way.
    for mine, theirs in zip(gradients, wanted, strict=True):
        if kind is NormThenMax and mine.shape == layer.norm.weight.shape:
            mine, theirs = mine[1:], theirs[1:]
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(layer.norm.running_mean, norm.running_mean)
    torch.testing.assert_close(layer.norm.running_var, norm.running_var)


def test_repeated_points_and_a_constant_cloud() -> None:
    layer = NormThenMax(3, 4).double().train()
    repeated = torch.randn(1, 2, 1, 3, dtype=torch.float64).expand(1, 2, 9, 3)
    expected, _ = plain(layer, repeated)
    torch.testing.assert_close(layer(repeated), expected.amax(-2))
    constant = torch.ones(1, 2, 9, 3, dtype=torch.float64, requires_grad=True)
    out = layer(constant)
    out.sum().backward()
    torch.testing.assert_close(out, torch.zeros_like(out), atol=1e-6, rtol=0)
    assert constant.grad is not None and torch.isfinite(constant.grad).all()


def test_gradients_of_the_maximum_are_true_gradients() -> None:
    x = torch.randn(2, 2, 6, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(linear_max, (x, weight))


@pytest.mark.parametrize("kind", [PointLinearNorm, NormThenMax])
def test_gradients_through_the_statistics_are_true_gradients(kind: type[PointLinearNorm]) -> None:
    layer = scrambled(kind(3, 4).double()).train()
    with torch.no_grad():
        layer.norm.weight[0] = 0.5
    x = torch.randn(1, 2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, w: torch.func.functional_call(layer, {"weight": w}, (a,)), (x, layer.weight)
    )


@pytest.mark.parametrize("points", [1, 60, 256, 257, 700])
def test_maxima_without_gradients_are_those_with_them_and_winners_hold_them(points: int) -> None:
    """More than 256 points come in several products; of 6 clouds of 60 points, 4 share one."""
    x, weight = torch.randn(2, 3, points, 8), torch.randn(5, 8)
    values = linear_max(x, weight)
    with torch.no_grad():
        assert torch.equal(linear_max(x, weight), values)
        with traced():
            torch.testing.assert_close(linear_max(x, weight), values)
    products = x @ weight.T
    torch.testing.assert_close(products.gather(2, linear_winners(x, weight).unsqueeze(2)).squeeze(2), values)


@pytest.mark.parametrize("rows", [1, 2, 3, 16, 17, 1000, 1024])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_column_maxima_with_their_rows(rows: int, kind: torch.dtype) -> None:
    y = torch.randn(rows, 37).to(kind)
    values, winners = column_max(y)
    assert torch.equal(values, y.amax(0))
    assert torch.equal(column_highest(y), y.amax(0))
    assert torch.equal(column_highest(-y.abs()), (-y.abs()).amax(0))
    torch.testing.assert_close(y.gather(0, winners[None])[0], values, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_column_maxima_of_several_clouds_are_those_of_each(kind: torch.dtype) -> None:
    y = torch.randn(4, 33, 20).to(kind)
    y[1] = -y[1].abs()
    y[:, :, 3] -= 9  # below 0 in all
    values, winners = column_max(y)
    for cloud, value, winner in zip(y, values, winners, strict=True):
        alone = column_max(cloud)
        assert torch.equal(value, alone[0]) and torch.equal(winner, alone[1])
    assert torch.equal(column_highest(y), values) and torch.equal(values, y.amax(1))


def test_of_points_equal_within_rounding_the_first_wins() -> None:
    y = torch.randn(100, 9, dtype=torch.float64).clamp(max=1)
    y[70] = 2
    y[[20, 90]] = 2 - 1e-15
    assert column_max(y)[1].tolist() == [20] * 9


def test_bfloat16_stays_near_float32() -> None:
    torch.manual_seed(0)
    layer = scrambled(NormThenMax(128, 64)).train()
    spikes = (torch.rand(1, 4, 256, 128) > 0.7).float()
    exact = layer(spikes)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(spikes.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().max() < 0.02 * exact.abs().max()


def test_the_two_orders_agree_at_one_step_where_norm_is_the_identity() -> None:
    # Firing is monotone: with running statistics the maximum of the spikes is the spike of the maximum, for γ > 0.
    torch.manual_seed(0)
    fire_first = FireThenMax(4, 6, neurons.build(NeuronConfig(), 6)).eval()
    max_first = MaxThenNorm(4, 6, neurons.build(NeuronConfig(), 6)).eval()
    max_first.load_state_dict({
        "weight": fire_first.point.weight, **{f"norm.{k}": v for k, v in fire_first.point.norm.state_dict().items()}
    })  # fmt: skip
    x = torch.randn(1, 3, 20, 4)
    assert torch.equal(fire_first(x, 1), max_first(x, 1))


@pytest.mark.parametrize("timesteps", [1, 3])
def test_firing_cloud_by_cloud_equals_firing_all_at_once(timesteps: int) -> None:
    torch.manual_seed(0)
    layer = scrambled(FireThenMax(4, 6, neurons.build(NeuronConfig(fire="ternary"), 6))).double().train()
    x = torch.randn(timesteps, 3, 20, 4, dtype=torch.float64, requires_grad=True)
    tiled = layer(x, timesteps)
    whole = layer.neuron(layer.point(x), timesteps).max(-2).values  # of tied spikes one gets the gradient
    assert torch.equal(tiled, whole)
    parameters = [x, *layer.parameters()]
    for mine, theirs in zip(
        torch.autograd.grad(tiled.sum(), parameters), torch.autograd.grad(whole.sum(), parameters), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    assert torch.equal(layer.eval()(x, timesteps), layer.neuron(layer.point(x), timesteps).amax(-2))


def test_a_membrane_norm_sees_all_clouds_at_once() -> None:
    layer = FireThenMax(4, 6, neurons.build(NeuronConfig(norm="mpbn"), 6)).train()
    layer(torch.randn(1, 3, 20, 4), 1)
    assert layer.neuron.norm.norm.num_batches_tracked == 1 and layer.eval().neuron.separable


def test_head_norm_equals_torch_and_drops_before_the_norm() -> None:
    layer = LinearNorm(5, 7, dropout=0.5).train()
    x = torch.randn(2, 9, 5)
    torch.manual_seed(4)
    found = layer(x)
    torch.manual_seed(4)
    dropped = nn.functional.dropout(x @ layer.weight.T, 0.5)
    torch.testing.assert_close(found, nn.BatchNorm1d(7)(dropped.flatten(0, 1)).view(2, 9, 7))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_column_maxima_below_zero_and_of_nothing_that_can_be_compared(kind: torch.dtype) -> None:
    y = torch.randn(50, 12).to(kind)
    y[:, ::2] = -y[:, ::2].abs() - 1
    y[:, 4] = -0.0
    values, winners = column_max(y)
    assert torch.equal(values, y.amax(0))
    torch.testing.assert_close(y.gather(0, winners[None])[0], values, rtol=2e-6, atol=2e-6)
    _, winners = column_max(torch.full_like(y, float("nan")))  # a step that went wrong is told of by its loss
    assert ((winners >= 0) & (winners < 50)).all()


def test_torchs_own_batch_norm_on_a_gpu_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on a CPU in float64: outputs, gradients and running statistics are those of the other way."""
    x = torch.randn(2, 3, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for devices in (set(), {"cpu"}):
        monkeypatch.setattr(batch_norm, "ONE_PASS", devices)
        torch.manual_seed(1)
        layer = layers.PointLinearNorm(4, 5).double()
        with torch.no_grad():
            layer.norm.weight.uniform_(-1, 1)
        given = x.clone().requires_grad_()
        out = layer(given)
        (out.sin() * torch.arange(5)).sum().backward()
        found.append([out, given.grad, layer.weight.grad, *layer.norm.parameters(), *layer.norm.buffers()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-11)
