# mypy: ignore-errors
# (onnxscript compiles the functions below; Python never runs them)
"""Neighbors of points in ONNX: the nearest ones by TopK, the farthest-first order by a Loop over points, maxima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import FLOAT, INT64, opset18, script

from spikecli.models import neighbours as operations  # noqa: F401  (torch.ops knows them once it is imported)

op: Any = opset18  # that of the exporter, which raises the whole model


@script(default_opset=op)
def nearest(points: FLOAT[...], k: INT64) -> INT64[...]:
    """Return the index (B, N, k) of points (B, N, 3): TopK takes the lower index of equal distances.

    Each sum is rounded once, as a fused multiply-add rounds it. A cloud of fewer than k points repeats the last one.
    """
    apart = op.Cast(op.Sub(op.Unsqueeze(points, [2]), op.Unsqueeze(points, [1])), to=11)  # float64 (B, N, N, 3)
    square = op.Mul(apart, apart)
    x, y, z = op.Split(square, axis=-1, num_outputs=3)
    one = op.Cast(x, to=1)
    two = op.Cast(op.Add(op.Cast(one, to=11), y), to=1)
    three = op.Cast(op.Add(op.Cast(two, to=11), z), to=1)
    distance = op.Squeeze(three, [3])
    total = op.Shape(points, start=1, end=2)
    _distances, sorted_places = op.TopK(distance, op.Min(op.Reshape(k, [1]), total), axis=-1, largest=0, sorted=1)
    places = op.Range(op.Constant(value_int=0), k, op.Constant(value_int=1))
    return op.Gather(sorted_places, op.Min(places, op.Sub(total, op.Constant(value_ints=[1]))), axis=2)


@script(default_opset=op)
def farthest_first(points: FLOAT[...], count: INT64) -> INT64[...]:
    """Return the order (B, N) of points (B, N, 3).

    A point's rank is its turn, or N and its place if it has none; the order sorts the ranks.
    """
    clouds = op.Shape(points, start=0, end=1)
    total = op.Shape(points, start=1, end=2)
    shape = op.Concat(clouds, total, axis=0)
    places = op.Range(op.Constant(value_int=0), op.Squeeze(total), op.Constant(value_int=1))
    rank = op.Expand(op.Add(places, total), shape)
    distance = op.Expand(op.Constant(value_float=3.0e38), shape)
    column = op.Concat(clouds, op.Constant(value_ints=[1]), axis=0)
    chosen = op.Expand(op.Constant(value_int=0), column)
    for number in range(count):
        turn = op.Expand(number, column)
        taken = op.Expand(op.Constant(value_float=-1.0), column)
        rank = op.ScatterElements(rank, chosen, turn, axis=1)
        apart = op.Sub(points, op.GatherND(points, op.Unsqueeze(chosen, [2]), batch_dims=1))
        nearer = op.Min(distance, op.ReduceSum(op.Mul(apart, apart), [2], keepdims=0))
        distance = op.ScatterElements(nearer, chosen, taken, axis=1)
        chosen = op.ArgMax(distance, axis=1, keepdims=1)
    _ranks, order = op.TopK(rank, total, axis=-1, largest=0, sorted=1)
    return order


@script(default_opset=op)
def neighbor_max(y: FLOAT[...], index: INT64[...]) -> FLOAT[...]:
    """Return max over neighbors j of y_j − y_i, (T, B, Q, C), for y (T, B, N, C) and an index (B, Q, k)."""
    clouds = op.Squeeze(op.Shape(y, start=1, end=2))
    points = op.Shape(y, start=2, end=3)
    first = op.Mul(op.Range(op.Constant(value_int=0), clouds, op.Constant(value_int=1)), points)
    places = op.Add(index, op.Reshape(first, op.Constant(value_ints=[-1, 1, 1])))  # among the points of all clouds
    flat = op.Concat(op.Shape(y, start=0, end=1), op.Constant(value_ints=[-1]), op.Shape(y, start=3, end=4), axis=0)
    near = op.Gather(op.Reshape(y, flat), places, axis=1)  # (T, B, Q, k, C)
    highest = op.ReduceMax(near, op.Constant(value_ints=[3]), keepdims=0)
    own = op.Slice(y, op.Constant(value_ints=[0]), op.Shape(index, start=1, end=2), op.Constant(value_ints=[2]))
    return op.Sub(highest, own)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.spikecli.nearest.default: nearest,
    torch.ops.spikecli.farthest_first.default: farthest_first,
    torch.ops.spikecli.neighbor_max.default: neighbor_max,
}
