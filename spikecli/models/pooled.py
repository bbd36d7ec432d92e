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

    The plain maximum is vectorized and the one with indices is not, so the block of rows that holds it is found first
    and searched afterwards. The last block overlaps the one before it where the blocks do not divide N.
    """
    rows, columns = y.shape
    block = max(1, int(rows**0.5))
    whole = rows // block
    highest = y[: whole * block].view(whole, block, columns).amax(1)
    if whole * block < rows:
        highest = torch.cat([highest, y[rows - block :].amax(0, keepdim=True)])
    values, blocks = highest.max(0)
    first = (blocks * block).clamp_(max=rows - block)
    candidates = first + torch.arange(block, device=y.device)[:, None]
    within = y.gather(0, candidates).argmax(0)
    return values, first + within


def linear_max(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return max over points of x·Wᵀ (..., C_out) and the winners' indices, for x (..., N, C_in) and W (C_out, C_in).

    Under autocast the products are in its type, as `linear`'s are. Where points tie, one of them wins.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x, weight = x.to(torch.get_autocast_dtype(kind)), weight.to(torch.get_autocast_dtype(kind))
    values, winners = _LinearMax.apply(x.flatten(0, -3), weight)
    shape = (*x.shape[:-2], weight.shape[0])
    return values.view(shape), winners.view(shape)
