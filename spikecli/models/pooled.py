"""The maximum over points of a linear map, without ever holding the map's output for all clouds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _LinearMax(torch.autograd.Function):
    """max over n of W·x[r, n], cloud by cloud: one cloud's (N, C_out) tile lives in cache and is dropped.

    The gradient of a maximum reaches the winning points alone, so the backward pass is a gather and a scatter.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        values = x.new_empty(x.shape[0], weight.shape[0])
        winners = torch.empty(values.shape, dtype=torch.int64, device=x.device)
        for cloud, value, winner in zip(x, values, winners, strict=True):
            value[:], winner[:] = column_max(cloud @ weight.T)
        return values, winners

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


def column_max(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each column of y (N, C) and a row that holds it (C,).

    The plain maximum is vectorized and the one with indices is not: both ways here get by with the plain one.
    """
    if y.dtype == torch.bfloat16 and len(y) <= 2**16:
        return _packed_max(y)
    return _block_max(y)


def _packed_max(y: Tensor) -> tuple[Tensor, Tensor]:
    """A bfloat16 is the upper half of a float32: with the row's number in the lower half, the order of unequal values
    stays and the maximum brings its row along."""
    rows = torch.arange(len(y), dtype=torch.int32, device=y.device)[:, None]
    highest = torch.add(rows, y.view(torch.int16), alpha=2**16).view(torch.float32).amax(0).view(torch.int32)
    return (highest >> 16).to(torch.int16).view(torch.bfloat16), (highest & (2**16 - 1)).long()


def _block_max(y: Tensor) -> tuple[Tensor, Tensor]:
    """The block of rows that holds the maximum is found first and searched afterwards; the last block overlaps the one
    before it where the blocks do not divide N.

    Points with the same spikes tie, and rounding may tell them apart by where they lie in memory: of rows equal within
    rounding the first wins, so that the gradient takes the same way in two processes as in one.
    """
    rows, columns = y.shape
    block = max(1, int(rows**0.5))
    whole = rows // block
    highest = y[: whole * block].view(whole, block, columns).amax(1)
    if whole * block < rows:
        highest = torch.cat([highest, y[rows - block :].amax(0, keepdim=True)])
    values = highest.amax(0)
    least = values - 8 * torch.finfo(y.dtype).eps * (1 + values.abs())
    blocks = (highest >= least).to(torch.uint8).argmax(0)
    first = (blocks * block).clamp_(max=rows - block)
    candidates = first + torch.arange(block, device=y.device)[:, None]
    within = (y.gather(0, candidates) >= least).to(torch.uint8).argmax(0)
    return values, first + within


def column_highest(y: Tensor) -> Tensor:
    """Return the maximum of each column of y (N, C), in the fewest passes."""
    if y.dtype != torch.bfloat16 or y.device.type != "cpu":
        return y.amax(0)
    # Read as integers, which vectorize better, floats keep their order from 0 up and have it turned around below 0.
    bits = y.view(torch.int16)
    highest = bits.amax(0)
    return torch.where(highest >= 0, highest, bits.amin(0)).view(torch.bfloat16)


def linear_max(x: Tensor, weight: Tensor) -> Tensor:
    """Return max over points of x·Wᵀ (..., C_out), for x (..., N, C_in) and W (C_out, C_in).

    Under autocast the products are in its type, as `linear`'s are. Where points tie, one of them gets the gradient.
    """
    x, weight = _cast(x), _cast(weight)
    clouds = x.flatten(0, -3)
    if torch.is_grad_enabled():
        values, _ = _LinearMax.apply(clouds, weight)
    else:
        values = torch.stack([column_highest(cloud @ weight.T) for cloud in clouds])
    return values.view(*x.shape[:-2], -1)


def linear_winners(x: Tensor, weight: Tensor) -> Tensor:
    """Return which point (..., C_out) holds each maximum of `linear_max`."""
    x, weight = _cast(x), _cast(weight)
    _, winners = _LinearMax.apply(x.flatten(0, -3), weight)
    return winners.view(*x.shape[:-2], -1)


def _cast(tensor: Tensor) -> Tensor:
    kind = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else tensor
