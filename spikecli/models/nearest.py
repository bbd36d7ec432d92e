"""The nearest points of each point, and the farthest-first order of points.

While a network is written down, both are single operations of its graph: torch runs them as here, and an exporter
writes its own steps for them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikecli.models import neighbours_triton
from spikecli.models.tracing import is_traced
from spikecli.neurons import kernel_gate

MOST_NEIGHBORS = 255  # the place of a winner among a point's neighbors is a byte


@torch.no_grad()
def nearest(points: Tensor, k: int) -> Tensor:
    """Return int64 (B, N, min(k, N)): the nearest points of each in clouds (B, N, 3), by distance, then by place.

    While a network is written down there are k, whatever N: a smaller cloud repeats the last, which moves no maximum.
    """
    points, k = points.detach().float(), min(k, MOST_NEIGHBORS)
    return nearest_op(points, k) if is_traced() else _nearest_of_each(points, min(k, points.shape[1]))


def _nearest_of_each(points: Tensor, k: int) -> Tensor:
    if kernel_gate.usable(points) and points.shape[1] <= neighbours_triton.MOST_POINTS:
        return neighbours_triton.nearest(points, k)
    if points.device.type != "cpu":
        return _nearest(points, k)
    return torch.cat([_nearest(cloud, k) for cloud in points.split(1)])


def _nearest(points: Tensor, k: int) -> Tensor:
    """Sort integers: the bits of a distance ≥ 0 keep its order; the point's place in the lower bits breaks ties."""
    squared = points.new_zeros(1)
    for axis in points.unbind(-1):
        difference = axis.unsqueeze(2) - axis.unsqueeze(1)
        squared = torch.addcmul(squared, difference, difference)
    place = torch.arange(points.shape[1], device=points.device)
    keys = squared.view(torch.int32).long().bitwise_left_shift_(32).add_(place)
    return keys.topk(k, largest=False, sorted=True).values.bitwise_and_(2**32 - 1)


@torch.no_grad()
def farthest_first(points: Tensor, count: int, start: Tensor | None = None) -> Tensor:
    """Return an order int64 (B, N) of the points of clouds (B, N, 3): each of the first `count` is the farthest from
    those before it, the first in place where several are; the others follow as they lie.

    `start` (B,) is the first point, 0 unless given. Of points in this order, the order is 0, 1, 2, …
    """
    points = points.detach().float()
    return farthest_first_op(points, count) if is_traced() else _in_turn(points, count, start)


def _in_turn(points: Tensor, count: int, start: Tensor | None) -> Tensor:
    clouds, total = points.shape[:2]
    rank = torch.arange(total, 2 * total, device=points.device).repeat(clouds, 1)
    distance = torch.full_like(points[..., 0], torch.inf)
    chosen = (rank.new_zeros(clouds) if start is None else start)[:, None]
    for number in range(min(count, total)):
        rank.scatter_(1, chosen, number)
        apart = (points - points.gather(1, chosen[..., None].expand(-1, -1, 3))).square().sum(-1)
        distance = torch.minimum(distance, apart).scatter_(1, chosen, -1.0)  # a chosen point is not chosen again
        chosen = distance.argmax(1, keepdim=True)
    return rank.argsort(1)


@torch.library.custom_op("spikecli::nearest", mutates_args=())
def nearest_op(points: Tensor, k: int) -> Tensor:
    """Return `nearest` as one operation of a graph: k neighbors, the last of them again where N < k."""
    index = _nearest_of_each(points, min(k, points.shape[1]))
    return torch.cat([index, index[..., -1:].expand(-1, -1, k - index.shape[2])], 2)


@torch.library.custom_op("spikecli::farthest_first", mutates_args=())
def farthest_first_op(points: Tensor, count: int) -> Tensor:
    """Return `farthest_first` as one operation of a graph."""
    return _in_turn(points, count, None)


@nearest_op.register_fake
def _(points: Tensor, k: int) -> Tensor:
    return points.new_empty((*points.shape[:2], k), dtype=torch.int64)


@farthest_first_op.register_fake
def _(points: Tensor, count: int) -> Tensor:
    return points.new_empty(points.shape[:2], dtype=torch.int64)
