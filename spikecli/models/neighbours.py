"""Neighborhoods of points, and the maximum over a point's neighbors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikecli.models import neighbours_triton
from spikecli.models.nearest import farthest_first, nearest
from spikecli.models.pooled import joined
from spikecli.models.tracing import is_traced
from spikecli.neurons import kernel_gate

__all__ = ["Neighborhood", "farthest_first", "nearest", "neighbor_max", "neighborhood"]

CACHED_BYTES = 2**19  # of features that a CPU reads at a time


@dataclass(frozen=True)
class Neighborhood:
    """The k nearest of N points, for the first Q of them; the same at every time step."""

    index: Tensor  # int64 (B, Q, k), the nearest first
    place: Tensor  # (B, N, 3), the points

    @property
    def points(self) -> int:
        """N."""
        return self.place.shape[1]

    def first(self, count: int) -> Neighborhood:
        """Return the neighborhood of the first `count` points, among the same N."""
        return Neighborhood(self.index[:, :count].contiguous(), self.place)


def neighborhood(points: Tensor, k: int) -> Neighborhood:
    """Return the k nearest of each point of clouds (B, N, 3) among all N, or all N where k is larger.

    A point is its own neighbor. Of points at the same distance in float32 the first comes first.
    """
    return Neighborhood(nearest(points, k), points)


def neighbor_max(y: Tensor, neighbors: Neighborhood) -> Tensor:
    """Return max over neighbors j of y_j − y_i for y (T, B, N, C): (T, B, Q, C), in y's type.

    Exact, and no (B, N, k, C) tensor is made or kept: of the maximum, a byte says which neighbor won. Of equal ones the
    nearest wins. While a network is written down it is a single operation of the graph.
    """
    if is_traced():
        return neighbor_max_op(y, neighbors.index)
    rows = y.flatten(0, 1).contiguous()
    if torch.is_grad_enabled() and y.requires_grad:
        out, _ = _NeighborMax.apply(rows, neighbors)
    else:
        out, _ = _forward(rows, neighbors, winners=False)
    return out.view(*y.shape[:2], *out.shape[1:])


def neighbor_max_plain(y: Tensor, neighbors: Neighborhood) -> Tensor:
    """Return the same as `neighbor_max`, by its definition, with every neighbor's features in memory."""
    clouds = torch.arange(len(neighbors.index), device=y.device)[:, None, None]
    gathered = y[:, clouds, neighbors.index]  # (T, B, Q, k, C)
    first = gathered.argmax(-2, keepdim=True)
    return gathered.gather(-2, first).squeeze(-2) - y[:, :, : neighbors.index.shape[1]]


class _NeighborMax(torch.autograd.Function):
    """Keeps the winners; the gradient goes to them, and its negative to the point itself."""

    @staticmethod
    def forward(y: Tensor, neighbors: Neighborhood) -> tuple[Tensor, Tensor]:
        out, winners = _forward(y, neighbors, winners=True)
        assert winners is not None
        return out, winners

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Neighborhood], output: tuple[Tensor, Tensor]) -> None:
        ctx.neighbors = inputs[1]
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        (winners,) = ctx.saved_tensors
        return _backward(gradient.contiguous(), winners, ctx.neighbors), None


def _forward(y: Tensor, neighbors: Neighborhood, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return (R, Q, C), and which neighbor won as a byte, for rows y (R, N, C) of R = T·B clouds."""
    index = neighbors.index
    if kernel_gate.usable(y):
        return neighbours_triton.forward(y, index, winners)
    if y.device.type != "cpu":
        return _at_once(y, index, winners)
    parts = [_of_rows(clouds, places, index.shape[1], winners) for clouds, places in _groups(y, index)]
    won = [part for _, part in parts if part is not None]
    return joined([values for values, _ in parts]), joined(won) if winners else None


def _at_once(y: Tensor, index: Tensor, winners: bool) -> tuple[Tensor, Tensor | None]:
    return _of_rows(y, _slots(_flat(index, len(y), y.shape[1])), index.shape[1], winners)


def _groups(y: Tensor, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some clouds of the rows y (T·B, N, C) at a time, whose features stay in a CPU's cache while they are
    read, and the places of their neighbors (k, clouds · Q)."""
    size = max(1, CACHED_BYTES // max(1, y[0].numel() * y.element_size()))
    places = [_slots(_flat(some, len(some), y.shape[1])) for some in index.split(size)]
    for step in y.split(len(index)):
        yield from zip(step.split(size), places, strict=True)


def _slots(places: Tensor) -> Tensor:
    """Return places (R, Q, k) as (k, R · Q): all nearest first, then all that are second."""
    return places.flatten(0, 1).T.contiguous()


def _of_rows(y: Tensor, places: Tensor, queries: int, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return maxima and winners (R, Q, C) for clouds y (R, N, C) and the places (k, R · Q) of neighbors among R · N."""
    features = y.flatten(0, 1)
    row = features.new_empty(places.shape[1], y.shape[2])
    values, won = running_max(lambda slot: torch.index_select(features, 0, places[slot], out=row), len(places), winners)
    shape = (len(y), queries, y.shape[2])
    return values.view(shape).sub_(y[:, :queries]), None if won is None else won.view(shape)


def _flat(index: Tensor, rows: int, points: int) -> Tensor:
    """Return the index (R, Q, k) among all R · N points of rows that are R/B times the same B clouds."""
    offset = torch.arange(rows, device=index.device) * points
    return index.repeat(rows // index.shape[0], 1, 1) + offset[:, None, None]


def _backward(gradient: Tensor, winners: Tensor, neighbors: Neighborhood) -> Tensor:
    """Return the gradient (R, N, C) of rows y from that of the maxima (R, Q, C)."""
    if kernel_gate.usable(gradient):
        return neighbours_triton.backward(gradient, winners, neighbors.index, neighbors.points)
    if gradient.device.type != "cpu":
        return _scattered_in_order(gradient, winners, neighbors)
    index, result = neighbors.index, _own_share(gradient, neighbors.points)
    for number, (grad, won, out) in enumerate(zip(gradient, winners, result, strict=True)):
        out.scatter_add_(0, index[number % len(index)].gather(1, won.long()), grad)
    return result


def _scattered_in_order(gradient: Tensor, winners: Tensor, neighbors: Neighborhood) -> Tensor:
    """Return the same, added in a fixed order sorted by target; a GPU's scatter_add has no fixed order."""
    rows, _, channels = gradient.shape
    places = _flat(neighbors.index, rows, neighbors.points).gather(2, winners.long())
    where = places * channels + torch.arange(channels, device=gradient.device)
    result = _own_share(gradient, neighbors.points)
    result.view(-1).index_put_((where.flatten(),), gradient.flatten(), accumulate=True)
    return result


def _own_share(gradient: Tensor, points: int) -> Tensor:
    result = gradient.new_zeros(len(gradient), points, gradient.shape[2])
    result[:, : gradient.shape[1]].sub_(gradient)
    return result


def running_max(rows: Callable[[int], Tensor], count: int, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return the maximum of `rows(0)`, `rows(1)`, … of one shape, and as a byte the first that holds it."""
    values = rows(0).clone()
    won = torch.zeros(values.shape, dtype=torch.uint8, device=values.device) if winners else None
    for slot in range(1, count):
        row = rows(slot)
        if won is not None:
            better = torch.gt(row, values).view(torch.uint8)
            won = torch.maximum(won, better.mul_(slot), out=won)  # slots rise, so the latest is the largest
        values = torch.maximum(values, row, out=values)
    return values, won


@torch.library.custom_op("spikecli::neighbor_max", mutates_args=())
def neighbor_max_op(y: Tensor, index: Tensor) -> Tensor:
    """Return `neighbor_max` of y (T, B, N, C) and an index (B, Q, k) as one operation of a graph."""
    out, _ = _forward(y.flatten(0, 1).contiguous(), Neighborhood(index, y), winners=False)
    return out.view(*y.shape[:2], *out.shape[1:])


@neighbor_max_op.register_fake
def _(y: Tensor, index: Tensor) -> Tensor:
    return y.new_empty((*y.shape[:2], index.shape[1], y.shape[3]))
