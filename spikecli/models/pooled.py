"""The maximum over points of a linear map, without keeping the map's output: a backend for CPUs and one for GPUs.

A CPU takes cloud by cloud, or a few small clouds, so that a tile stays in its cache. A GPU takes as many clouds in one
product as fit a bound on memory, and never lets the host wait for a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from spikecli.models.tracing import is_traced

BLOCK = 16  # rows
PRODUCT_ROWS = 256  # that a CPU multiplies at a time where maxima alone are wanted: they are read while in its cache
TILE_BYTES = 2**28  # of the products that a GPU holds at a time
_FEW_POINTS = {True: 512, False: 128}  # of bfloat16 or not: a GPU multiplies a dense tile faster than it gathers rows


class _LinearMax(torch.autograd.Function):
    """max over n of W·x[r, n], cloud by cloud: one cloud's (N, C_out) tile lives in cache and is dropped. Small clouds
    share a tile.

    The gradient of a maximum reaches the winning points alone, so the backward pass is a gather and a scatter.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        values, winners = zip(*[column_max(part @ weight.T) for part in x.split(_group(x))], strict=True)
        return joined(values), joined(winners)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight, winners = ctx.saved_tensors
        grad_weight = torch.zeros(weight.shape, dtype=torch.promote_types(weight.dtype, torch.float32), device=x.device)
        grad_x = torch.zeros_like(x)
        for cloud, grad_cloud, grad, winner in zip(x, grad_x, gradient, winners, strict=True):
            grad = grad.unsqueeze(1)
            grad_weight.addcmul_(grad, cloud[winner])
            grad_cloud.index_add_(0, winner, grad * weight)
        return grad_x, grad_weight.to(weight.dtype)


class _BatchedLinearMax(torch.autograd.Function):
    """The same in one product for many clouds. The backward pass is deterministic: no two threads add to one place.

    The gradient is put at the winners of a dense tile, which is multiplied by W: a product costs a GPU less than the
    atomic additions of a scatter, whose order changes from run to run.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        values, winners = zip(*[(part @ weight.T).max(dim=1) for part in _tiles(x, weight)], strict=True)
        return joined(values), joined(winners)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight, winners = ctx.saved_tensors
        wide = torch.promote_types(weight.dtype, torch.float32)
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=x.device)
        parts, size = [], len(_tiles(x, weight)[0])
        for cloud, grad, winner in zip(*(t.split(size) for t in (x, gradient, winners)), strict=True):
            tile = grad.new_zeros(*cloud.shape[:2], len(weight)).scatter_(1, winner.unsqueeze(1), grad.unsqueeze(1))
            if x.shape[1] <= _FEW_POINTS[grad.dtype == torch.bfloat16]:
                grad_weight += tile.flatten(0, 1).T @ cloud.flatten(0, 1)
            else:
                rows = cloud.gather(1, winner.unsqueeze(2).expand(-1, -1, x.shape[-1]))  # (r, C_out, C_in)
                grad_weight += (rows * grad.unsqueeze(2).to(wide)).sum(0)
            parts.append(tile @ weight)
        return joined(parts), grad_weight.to(weight.dtype)


def _group(x: Tensor) -> int:
    """Return how many clouds of x (R, N, C_in) a CPU multiplies at a time."""
    return max(1, PRODUCT_ROWS // max(1, x.shape[1]))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts as one tensor; one part alone is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts))


def _tiles(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Return x (R, N, C_in) in parts of at least one cloud whose products with `weight` take at most TILE_BYTES."""
    a_cloud = x.shape[1] * len(weight) * x.element_size()
    return x.split(max(1, TILE_BYTES // a_cloud))


def column_max(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each column of y (..., N, C) and the row that holds it (..., C)."""
    if y.dtype != torch.bfloat16:
        return _block_max(y)
    # Read as integers, which vectorize better, floats keep their order from 0 up and have it turned around below 0.
    bits = y.view(torch.int16)
    values, winners = _block_max(bits)
    below = (values < 0).view(-1, values.shape[-1]).any(0)
    if below.any():
        part = bits[..., below]
        lowest = part.amin(-2)
        negative = values[..., below] < 0
        values[..., below] = torch.where(negative, lowest, values[..., below])
        winners[..., below] = torch.where(negative, _first_row(part == lowest.unsqueeze(-2)), winners[..., below])
    return values.view(torch.bfloat16), winners


def _block_max(y: Tensor) -> tuple[Tensor, Tensor]:
    """The plain maximum is vectorized and the one with indices is not: so the block of rows that holds the maximum is
    found first and searched afterwards. The last block overlaps the one before it where the blocks do not divide N.

    Points with the same spikes tie, and rounding may tell them apart by where they lie in memory: of rows equal within
    rounding the first wins, so that the gradient takes the same way in two processes as in one.
    """
    rows = y.shape[-2]
    block = min(rows, BLOCK)
    whole = rows // block * block
    highest = y[..., :whole, :].unflatten(-2, (-1, block)).amax(-2)
    if whole < rows:
        highest = torch.cat([highest, y[..., rows - block :, :].amax(-2, keepdim=True)], -2)
    values = highest.amax(-2)
    least = values - 8 * torch.finfo(y.dtype).eps * (1 + values.abs()) if y.is_floating_point() else values
    least = least.unsqueeze(-2)
    first = (_first_row(highest >= least) * block).clamp_(max=rows - block)
    candidates = first.unsqueeze(-2) + torch.arange(block, device=y.device)[:, None]
    return values, first + _first_row(y.gather(-2, candidates) >= least)


def _first_row(marks: Tensor) -> Tensor:
    """Return the first row of marks (..., N, C) that is true (..., C), or the last; vectorized, as argmax is not."""
    rows = marks.shape[-2]
    countdown = torch.arange(rows, 0, -1, dtype=torch.int16 if rows < 2**15 else torch.int32, device=marks.device)
    return (rows - (marks * countdown[:, None]).amax(-2).long()).clamp_(max=rows - 1)


def column_highest(y: Tensor) -> Tensor:
    """Return the maximum of each column of y (..., N, C), in the fewest passes."""
    if y.dtype != torch.bfloat16:
        return y.amax(-2)
    bits = y.view(torch.int16)
    highest = bits.amax(-2)
    if (highest < 0).any():
        highest = torch.where(highest >= 0, highest, bits.amin(-2))
    return highest.view(torch.bfloat16)


def _highest_by_cloud(x: Tensor, weight: Tensor) -> Tensor:
    """Return the maxima (R, C_out) in one small buffer, which is used again: a new tile would be cleared each time."""
    clouds = _group(x)
    buffer = x.new_empty(min(PRODUCT_ROWS, clouds * x.shape[1]), len(weight))

    def product(rows: Tensor) -> Tensor:
        return torch.mm(rows, weight.T, out=buffer[: len(rows)])

    if clouds > 1:
        parts = x.split(clouds)
        return joined([column_highest(product(part.flatten(0, 1)).unflatten(0, part.shape[:2])) for part in parts])
    tiles = (cloud.split(PRODUCT_ROWS) for cloud in x)
    return torch.stack([reduce(torch.maximum, (column_highest(product(rows)) for rows in some)) for some in tiles])


def _highest_batched(x: Tensor, weight: Tensor) -> Tensor:
    return torch.cat([(part @ weight.T).amax(dim=1) for part in _tiles(x, weight)])


# By the device's type: the maxima with winners and gradients, and the maxima alone.
_ON_CPU = _LinearMax, _highest_by_cloud
_ON_GPU = _BatchedLinearMax, _highest_batched
BACKENDS: dict[str, tuple[Any, Any]] = {"cpu": _ON_CPU}


def backend(x: Tensor) -> tuple[Any, Any]:
    """Return (autograd function, function for inference) for the device of x."""
    return BACKENDS.get(x.device.type, _ON_GPU)


def linear_max(x: Tensor, weight: Tensor) -> Tensor:
    """Return max over points of x·Wᵀ (..., C_out), for x (..., N, C_in) and W (C_out, C_in).

    Under autocast the products are in its type, as `linear`'s are. Where points tie, one of them gets the gradient.
    """
    x, weight = _cast(x), _cast(weight)
    if is_traced():  # points last: onnxruntime takes ten times as long for a maximum over any other axis
        return (weight @ x.transpose(-1, -2)).amax(-1)
    clouds = x.flatten(0, -3)
    function, highest = backend(x)
    values = function.apply(clouds, weight)[0] if torch.is_grad_enabled() else highest(clouds, weight)
    return values.view(*x.shape[:-2], -1)


def linear_winners(x: Tensor, weight: Tensor) -> Tensor:
    """Return which point (..., C_out) holds each maximum of `linear_max`."""
    x, weight = _cast(x), _cast(weight)
    _, winners = backend(x)[0].apply(x.flatten(0, -3), weight)
    return winners.view(*x.shape[:-2], -1)


def _cast(tensor: Tensor) -> Tensor:
    kind = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else tensor
