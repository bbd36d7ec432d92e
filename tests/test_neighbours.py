"""Neighbors: exact, ties settled, and the maximum over them equal to the plain path with its gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikecli.models import neighbours
from spikecli.models.local import pair_max
from spikecli.models.neighbours import (
    Neighborhood,
    farthest_first,
    nearest,
    neighbor_max,
    neighbor_max_plain,
    neighborhood,
)


def points_of(seed: int, clouds: int = 2, count: int = 12, repeated: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(clouds, count, 3, generator=generator)
    return torch.cat([points[:, : count // 2]] * 2, 1) if repeated else points


def test_the_nearest_by_hand_with_ties_by_place() -> None:
    line = torch.tensor([[[0.0, 0, 0], [2, 0, 0], [1, 0, 0], [-1, 0, 0], [1, 0, 0]]])
    assert nearest(line, 3).tolist() == [[[0, 2, 3], [1, 2, 4], [2, 4, 0], [3, 0, 2], [2, 4, 0]]]


@given(st.integers(0, 99), st.integers(1, 15), st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_nearest_are_those_of_a_stable_sort(seed: int, k: int, repeated: bool) -> None:
    points = points_of(seed, repeated=repeated)
    squared = (points.unsqueeze(2) - points.unsqueeze(1)).square()
    order = (squared[..., 0] + squared[..., 1] + squared[..., 2]).sort(dim=-1, stable=True).indices
    assert torch.equal(nearest(points, k), order[..., : min(k, 12)])


def test_farthest_first_by_hand() -> None:
    line = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 0, 0], [2, 0, 0], [-5, 0, 0], [5, 0, 0]]])
    # 5 and −5 are as far from 0: the first in place wins; then −5, then 2, then 1 and the copy of 5 as they lie
    assert farthest_first(line, 4).tolist() == [[0, 2, 4, 3, 1, 5]]
    assert farthest_first(line, 2, torch.tensor([3])).tolist() == [[3, 4, 0, 1, 2, 5]]


@given(st.integers(0, 99), st.integers(1, 12), st.booleans())
@settings(max_examples=20, deadline=None)
def test_farthest_first_is_an_order_that_stays_as_it_is(seed: int, count: int, repeated: bool) -> None:
    points = points_of(seed, repeated=repeated)
    order = farthest_first(points, count)
    assert torch.equal(order.sort(1).values, torch.arange(12).expand(2, 12))
    again = farthest_first(points.gather(1, order[..., None].expand(-1, -1, 3)), count)
    assert torch.equal(again, torch.arange(12).expand(2, 12))
    for cloud, chosen in zip(points, order, strict=True):  # each is as far from those before it as any can be
        for number in range(1, count):
            apart = torch.cdist(cloud, cloud[chosen[:number]]).amin(1)
            assert apart[chosen[number]] >= apart.max() - 1e-6


@given(st.integers(0, 99), st.sampled_from([1, 3, 20]), st.booleans(), st.sampled_from([12, 5]))
@settings(max_examples=20, deadline=None)
def test_the_maximum_is_that_of_the_plain_path(seed: int, k: int, repeated: bool, queries: int) -> None:
    """Repeated points, ties (whole numbers), k larger than the cloud, and a prefix of the points."""
    near = neighborhood(points_of(seed, repeated=repeated), k).first(queries)
    y = torch.randint(-2, 3, (3, 2, 12, 7), generator=torch.Generator().manual_seed(seed)).double().requires_grad_()
    found, plain = neighbor_max(y, near), neighbor_max_plain(y, near)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    assert torch.equal(found, plain)
    mine, theirs = (torch.autograd.grad(out, y, weights)[0] for out in (found, plain))
    assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(neighbor_max(y, near), found)


def test_the_gradient_of_the_maximum_is_its_derivative() -> None:
    near = neighborhood(points_of(3), 4)
    y = torch.randn(2, 2, 12, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: neighbor_max(y, near), y)


def test_ways_of_a_gpu_without_triton_are_those_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    near = neighborhood(points_of(5), 4).first(6)
    y = torch.randn(4, 12, 3, dtype=torch.float64)
    together, winners = neighbours._at_once(y, near.index, True)
    assert winners is not None
    for clouds in (1, 1.5, 9):  # that a CPU reads at a time, of two at each of two steps
        monkeypatch.setattr(neighbours, "CACHED_BYTES", int(clouds * y[0].numel() * 8))
        alone, won = neighbours._forward(y, near, True)
        assert won is not None and torch.equal(together, alone) and torch.equal(winners, won)
    gradient = torch.randn_like(together)
    sorted_ = neighbours._scattered_in_order(gradient, winners, near)
    assert torch.allclose(sorted_, neighbours._backward(gradient, winners, near), atol=1e-12)


@pytest.mark.parametrize("groups", [3, 5000])
def test_the_maximum_over_pairs_is_that_of_the_big_tensor(groups: int) -> None:
    x = torch.randn(groups, 4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    found, plain = pair_max(x, weight), (x @ weight.T).amax(1)
    assert torch.allclose(found, plain, atol=1e-12)
    gradient = torch.randn_like(plain)
    for mine, theirs in zip(*(torch.autograd.grad(out, (x, weight), gradient) for out in (found, plain)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)
    with torch.no_grad():
        assert torch.allclose(pair_max(x, weight), plain, atol=1e-12)


def test_the_gradient_of_the_maximum_over_pairs_is_its_derivative() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pair_max, (x, torch.randn(5, 4, dtype=torch.float64, requires_grad=True)))


def test_winners_take_a_byte_and_no_neighbors_features_are_kept() -> None:
    kept: list[Tensor] = []
    near = neighborhood(points_of(7, count=64), 8)
    y = torch.randn(1, 2, 64, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        neighbor_max(y, near)
    assert [(tensor.dtype, tensor.numel()) for tensor in kept] == [(torch.uint8, 2 * 64 * 16)]


def test_a_neighborhood_of_a_prefix_keeps_its_points() -> None:
    near = neighborhood(points_of(1), 3)
    part = near.first(4)
    assert isinstance(part, Neighborhood) and part.points == 12 and torch.equal(part.index, near.index[:, :4])
