"""The kernels of `neighbours` for a GPU, in Triton: gather and reduce at once, and a backward pass in a fixed order.

`neurons.kernel_gate` says where they run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikecli.neurons.kernel_gate import kernels

MOST_POINTS = 4096  # of a cloud, whose distances one program sorts
KEYS_A_WARP = 1024  # that the 32 threads of a warp keep in registers: across warps each minimum would wait for all
FLAT = 1024  # results of a program of the maximum over pairs
ONE = float(2**40)  # the largest gradient as a whole number: 2²³ of them add up without overflow
_KERNELS = "models.neighbours_kernels"


def nearest(points: Tensor, k: int) -> Tensor:
    """Return the k nearest (B, N, k) of each point of float32 clouds (B, N, 3), as `neighbours.nearest` does."""
    clouds, total = points.shape[:2]
    axes = points.transpose(1, 2).contiguous()
    index = torch.empty(clouds, total, k, dtype=torch.int64, device=points.device)
    block = _power_of_2(total)
    queries, warps = max(1, KEYS_A_WARP // block), max(1, block // KEYS_A_WARP)
    grid = (clouds, -(-total // queries))
    kernels(_KERNELS).nearest[grid](axes, index, total, K=k, BLOCK=block, QUERIES=queries, num_warps=warps)
    return index


def forward(y: Tensor, index: Tensor, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return max over neighbors of y_j − y_i (R, Q, C) for rows y (R, N, C), and as a byte which neighbor won."""
    rows, points, channels = y.shape
    clouds, queries, k = index.shape
    out = torch.empty(rows, queries, channels, dtype=y.dtype, device=y.device)
    won = torch.empty(out.shape if winners else (1,), dtype=torch.uint8, device=y.device)
    block, at_once = _tile(channels)
    grid = (-(-rows * queries // at_once), -(-channels // block))
    kernels(_KERNELS).forward[grid](
        y, index, out, won, rows * queries, points, queries, clouds, channels,
        K=k, WINNERS=winners, BLOCK=block, ROWS=at_once,
    )  # fmt: skip
    return out, won if winners else None


def backward(gradient: Tensor, winners: Tensor, index: Tensor, points: int) -> Tensor:
    """Return the gradient (R, N, C) of the rows: each point's sum of what it won, the same bits each time."""
    rows, queries, channels = gradient.shape
    clouds, _, k = index.shape
    least, most = gradient.aminmax()  # in one pass, and not finite if a gradient is not: then neither is any result
    largest = torch.maximum(most, -least).float()
    sums = torch.zeros(rows, points, channels, dtype=torch.int64, device=gradient.device)
    out = torch.empty(rows, points, channels, dtype=gradient.dtype, device=gradient.device)
    block, at_once = _tile(channels)
    across = -(-channels // block)
    given = {"BLOCK": block, "ROWS": at_once, "ONE": ONE}
    kernels(_KERNELS).scatter[(-(-rows * queries // at_once), across)](
        gradient, winners, index, largest, sums, rows * queries, points, queries, clouds, channels, K=k, **given
    )
    kernels(_KERNELS).finish[(-(-rows * points // at_once), across)](
        gradient, largest, sums, out, rows * points, points, queries, channels, **given
    )
    return out


def pair_max(y: Tensor, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return the maximum (G, C) over the K rows of each group of y (G, K, C), and as a byte the first that holds it."""
    groups, k, channels = y.shape
    out = torch.empty(groups, channels, dtype=y.dtype, device=y.device)
    won = torch.empty(out.shape if winners else (1,), dtype=torch.uint8, device=y.device)
    grid = (-(-out.numel() // FLAT),)
    kernels(_KERNELS).pair_max[grid](y, out, won, out.numel(), channels, K=k, WINNERS=winners, BLOCK=FLAT)
    return out, won if winners else None


def pair_spread(gradient: Tensor, winners: Tensor, k: int) -> Tensor:
    """Return (G, K, C): the gradient (G, C) in the rows that won, 0 in the others."""
    out = torch.empty(len(gradient), k, gradient.shape[1], dtype=gradient.dtype, device=gradient.device)
    grid = (-(-gradient.numel() // FLAT),)
    kernels(_KERNELS).pair_spread[grid](gradient, winners, out, gradient.numel(), gradient.shape[1], K=k, BLOCK=FLAT)
    return out


def _tile(channels: int) -> tuple[int, int]:
    """Return how many channels and how many points one program of the forward pass takes."""
    block = min(_power_of_2(channels), 128)
    return block, max(1, 2048 // block)


def _power_of_2(number: int) -> int:
    return 1 << max(number - 1, 1).bit_length()
