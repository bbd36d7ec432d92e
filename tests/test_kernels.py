"""Kernels for a GPU against torch's own operations: on a GPU, or on a CPU by Triton's interpreter."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor

from spikecli.models import batch_norm, local, neighbours_triton, pooled
from spikecli.models.batch_norm import BatchNorm
from spikecli.models.layers import CoordinateLinearNorm
from spikecli.models.nearest import _nearest
from spikecli.models.neighbours import neighbor_max, neighbor_max_plain, neighborhood
from spikecli.neurons import fire, kernel_gate

INTERPRETED = os.environ.get(kernel_gate.INTERPRETED) == "1" and importlib.util.find_spec("triton") is not None


@pytest.fixture
def place() -> torch.device:
    """Where the kernels run."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if INTERPRETED:
        return torch.device("cpu")
    pytest.skip(f"the kernels need a GPU, or Triton and {kernel_gate.INTERPRETED}=1")


Plainly = Callable[[Callable[[], Tensor]], Tensor]


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Plainly:
    """A function that computes something without our kernels."""

    def compute(make: Callable[[], Tensor]) -> Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(kernel_gate, "usable", lambda tensor: False)
            return make()

    return compute


def test_kernels_serve_gpus_alone() -> None:
    if not INTERPRETED:
        assert not kernel_gate.usable(torch.ones(1))
    assert not kernel_gate.usable(torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("module", [fire, batch_norm, neighbours_triton])
def test_kernels_are_imported_by_the_gate_alone(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"spikecli.{module._KERNELS}"
    found = importlib.util.find_spec(name)
    assert found is not None and f"import {name.rpartition('.')[2]}" not in inspect.getsource(module)
    kernel_gate.kernels.cache_clear()
    monkeypatch.setitem(sys.modules, name, loaded := ModuleType(name))
    assert kernel_gate.kernels(module._KERNELS) is loaded
    kernel_gate.kernels.cache_clear()


def test_where_triton_builds_nothing_one_warning_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(u: Tensor) -> list[float]:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC.")

    monkeypatch.setattr(kernel_gate, "find_spec", lambda name: object())
    monkeypatch.setattr(kernel_gate, "_probe", fail)
    monkeypatch.setenv(kernel_gate.INTERPRETED, "1")
    kernel_gate._built.cache_clear()
    try:
        with pytest.warns(UserWarning, match="slower: Failed to find C compiler") as told:
            assert not kernel_gate.usable(torch.ones(1))
        assert len(told) == 1 and not kernel_gate.usable(torch.ones(1))
    finally:
        kernel_gate._built.cache_clear()


@pytest.mark.parametrize("threshold", [0.5, 0.3, 1.0])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_every_potential_fires_as_torch_compares(
    threshold: float, kind: torch.dtype, place: torch.device, plainly: Plainly
) -> None:
    """All bfloat16 numbers: thresholds are rounded as torch rounds them."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    u = bits.view(torch.bfloat16).to(place, kind)
    for rises in (1, 4):
        wanted = plainly(partial(fire.staircase, u, threshold, rises))
        assert torch.equal(fire.staircase(u, threshold, rises), wanted)
    assert torch.equal(fire.signed_step(u, threshold), plainly(partial(fire.signed_step, u, threshold)))


@pytest.mark.parametrize(("rows", "channels"), [(1000, 24), (333, 96), (70, 200), (5, 8)])
def test_batch_norm_of_rows_is_torch_s_in_float64(
    rows: int, channels: int, place: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs, gradients and running statistics, of rows whose mean is 25 deviations from 0."""
    monkeypatch.setattr(batch_norm, "ONE_PASS", {place.type})
    torch.manual_seed(0)
    mine = BatchNorm(channels).to(place)
    with torch.no_grad():
        mine.weight.normal_()
        mine.bias.normal_()
    plain = torch.nn.BatchNorm1d(channels).double()
    plain.load_state_dict(mine.state_dict(), strict=False)
    x = torch.randn(rows, channels) * 2 + torch.randn(channels) * 50
    gradient = torch.randn(rows, channels)
    ours, theirs = x.to(place).requires_grad_(), x.double().requires_grad_()
    y, z = mine(ours), plain(theirs)
    found = torch.autograd.grad(y, (ours, mine.weight, mine.bias), gradient.to(place))
    wanted = torch.autograd.grad(z, (theirs, plain.weight, plain.bias), gradient.double())
    assert torch.allclose(y.cpu().double(), z, rtol=0, atol=5e-5)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one.cpu().double(), other, rtol=0, atol=1e-3 * float(other.abs().max()))
    assert torch.allclose(mine.running_mean.cpu().double(), plain.running_mean, atol=1e-5)
    assert torch.allclose(mine.running_var.cpu().double(), plain.running_var, rtol=1e-5)


def test_coordinates_are_normalized_as_on_a_cpu(place: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,024 rows a product, and the norm's output in autocast's type."""
    torch.manual_seed(1)
    layer = CoordinateLinearNorm(4, 12)
    x, gradient = torch.randn(1, 2, 64, 16, 4), torch.randn(1, 2, 64, 16, 12)
    wanted = layer(x)
    wanted_gradients = torch.autograd.grad(wanted, tuple(layer.parameters()), gradient)
    monkeypatch.setattr(batch_norm, "ONE_PASS", {place.type})
    layer, x = layer.to(place), x.to(place)
    found = layer(x)
    assert torch.allclose(found.cpu(), wanted, atol=1e-4)
    gradients = torch.autograd.grad(found, tuple(layer.parameters()), gradient.to(place))
    for one, other in zip(gradients, wanted_gradients, strict=True):
        assert torch.allclose(one.cpu(), other, atol=1e-3, rtol=1e-3)
    with torch.autocast(place.type, torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), found, atol=0.05)


def test_the_maximum_over_pairs_is_torch_s(place: torch.device) -> None:
    """Whole numbers, so that many tie: the first wins."""
    torch.manual_seed(2)
    x = torch.randint(-2, 3, (50, 7, 6), device=place).float().requires_grad_()
    weight = torch.randint(-1, 2, (9, 6), device=place).float().requires_grad_()
    gradient = torch.randn(50, 9, device=place)
    found = local.pair_max(x, weight)
    gradients = torch.autograd.grad(found, (x, weight), gradient)
    y = x.detach() @ weight.detach().T
    values = y.amax(1)
    assert torch.equal(found, values)
    first = (y == values[:, None]).int().argmax(1)
    dense = torch.zeros_like(y).scatter_(1, first[:, None], gradient[:, None])
    assert torch.allclose(gradients[0], dense @ weight.detach(), atol=1e-4)
    assert torch.allclose(gradients[1], dense.flatten(0, 1).T @ x.detach().flatten(0, 1), atol=1e-3)
    with torch.no_grad():
        assert torch.equal(local.pair_max(x, weight), values)


def test_neighbors_are_torch_s(place: torch.device) -> None:
    torch.manual_seed(3)
    points = torch.randn(2, 50, 3, device=place)
    points[0, 25:] = points[0, :25]
    near = neighborhood(points, 7)
    assert torch.equal(near.index, torch.cat([_nearest(cloud, 7) for cloud in points.split(1)]))
    y = torch.randn(3, 2, 50, 12, device=place).requires_grad_()
    for part in (near, near.first(20)):
        found, plain = neighbor_max(y, part), neighbor_max_plain(y, part)
        assert torch.equal(found, plain)
        weights = torch.randn_like(plain)
        mine, theirs = (torch.autograd.grad(out, y, weights)[0] for out in (found, plain))
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("most", [0, 512])
def test_both_ways_to_the_weights_of_a_maximum_are_one_gradient(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows gathered, or a dense tile multiplied: the backend of a GPU, run here in float64."""
    monkeypatch.setattr(pooled, "_FEW_POINTS", {True: most, False: most})
    torch.manual_seed(4)
    x = torch.randn(3, 20, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, weight: pooled._BatchedLinearMax.apply(x, weight)[0], (x, weight))
