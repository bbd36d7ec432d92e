"""Means and covariances of a batch, over all rows of all processes, with their exact gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikecli.machine import processes

EXACT = 256  # bfloat16 holds every whole number up to here


class _Sums(torch.autograd.Function):
    """The sum of rows x (M, C) and xᵀx, in float32 or wider; the gradient of both is a single product.

    Of bfloat16 rows, EXACT at a time are multiplied and the products added in float32: of spikes, which are whole
    numbers, nothing is rounded.
    """

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        first = x.sum(0, dtype=torch.promote_types(x.dtype, torch.float32))
        if x.dtype != torch.bfloat16:
            return first, x.T @ x
        whole = len(x) // EXACT * EXACT
        blocks, rest = x[:whole].unflatten(0, (-1, EXACT)), x[whole:]
        return first, (blocks.mT @ blocks).sum(0, dtype=first.dtype).add_(rest.T @ rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.addmm(first.to(x.dtype), x, (second + second.T).to(x.dtype))


def input_moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the mean (C,), the covariance (C, C) and the number of rows of x (..., C), in float32 or wider."""
    rows = x.reshape(-1, x.shape[-1])
    with torch.autocast(x.device.type, enabled=False):
        first, second = _Sums.apply(rows)
        count = len(rows) * processes.world()
        first, second = across_processes(first, second)
        mean = first / count
        return mean, second / count - torch.outer(mean, mean), count


def output_moments(y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the mean (C,), the variance (C,) and the number of rows of y (..., C), in float32 or wider.

    Each process takes both of its own rows. One exchange brings together the means, the sums of squares about them, and
    the squares of the means: what the latter two lack is how far the means lie apart.
    """
    rows = y.reshape(-1, y.shape[-1])
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    count = len(rows)
    mean = rows.sum(0) / count
    second = (rows - mean).square().sum(0)
    if processes.world() == 1:
        return mean, second / count, count
    world, wide = processes.world(), mean.double()  # float64: squares of means are subtracted
    means, seconds, squares = (part / world for part in across_processes(wide, second.double(), wide.square()))
    variance = seconds / count + (squares - means.square())
    return means.to(mean.dtype), variance.to(mean.dtype), count * world


def across_processes(*sums: Tensor) -> tuple[Tensor, ...]:
    """Return the sums over all training processes, in one exchange; in a single process, the input.

    All processes hold as many rows: a batch is shared equally among them.
    """
    if processes.world() == 1:
        return sums
    packed = processes.summed_with_gradient(torch.cat([part.reshape(-1) for part in sums]))
    parts = packed.split([part.numel() for part in sums])
    return tuple(part.view_as(like) for part, like in zip(parts, sums, strict=True))
