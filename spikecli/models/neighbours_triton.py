"""The kernels of `neighbours` for a GPU, in Triton: gather and reduce at once, and a backward pass in a fixed order.

torch's CPU wheels come without Triton, so the kernels are made at the first use; without it a GPU runs torch's own
operations, which are slower and as exact.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

MOST_POINTS = 4096  # of a cloud, whose distances one program sorts
INTERPRETED = "TRITON_INTERPRET"  # set: Triton runs the kernels on a CPU, for tests
KEYS_A_PROGRAM = 4096
ONE = float(2**40)  # the largest gradient as a whole number: 2²³ of them add up without overflow


@cache
def _installed() -> bool:
    return find_spec("triton") is not None


def usable(tensor: Tensor) -> bool:
    """Return whether the kernels run where a tensor lies, and on its type."""
    place = tensor.is_cuda or (tensor.device.type == "cpu" and os.environ.get(INTERPRETED) == "1")
    return place and tensor.dtype in (torch.float32, torch.bfloat16) and _installed()


def nearest(points: Tensor, k: int) -> Tensor:
    """Return the k nearest (B, N, k) of each point of float32 clouds (B, N, 3), as `neighbours.nearest` does."""
    clouds, total = points.shape[:2]
    axes = points.transpose(1, 2).contiguous()
    index = torch.empty(clouds, total, k, dtype=torch.int64, device=points.device)
    block = _power_of_2(total)
    queries = max(1, KEYS_A_PROGRAM // block)
    grid = (clouds, -(-total // queries))
    _kernels().nearest[grid](axes, index, total, K=k, BLOCK=block, QUERIES=queries)
    return index


def forward(y: Tensor, index: Tensor, winners: bool) -> tuple[Tensor, Tensor | None]:
    """Return max over neighbors of y_j − y_i (R, Q, C) for rows y (R, N, C), and as a byte which neighbor won."""
    rows, points, channels = y.shape
    clouds, queries, k = index.shape
    out = torch.empty(rows, queries, channels, dtype=y.dtype, device=y.device)
    won = torch.empty(out.shape if winners else (1,), dtype=torch.uint8, device=y.device)
    block, at_once = _tile(channels)
    grid = (-(-rows * queries // at_once), -(-channels // block))
    _kernels().forward[grid](
        y, index, out, won, rows * queries, points, queries, clouds, channels,
        K=k, WINNERS=winners, BLOCK=block, ROWS=at_once,
    )  # fmt: skip
    return out, won if winners else None


def backward(gradient: Tensor, winners: Tensor, index: Tensor, points: int) -> Tensor:
    """Return the gradient (R, N, C) of the rows: each point's sum of what it won, the same bits each time."""
    rows, queries, channels = gradient.shape
    clouds, _, k = index.shape
    largest = gradient.abs().amax().float()  # not finite if a gradient is not: then neither is any result
    sums = torch.zeros(rows, points, channels, dtype=torch.int64, device=gradient.device)
    out = torch.empty(rows, points, channels, dtype=gradient.dtype, device=gradient.device)
    block, at_once = _tile(channels)
    across = -(-channels // block)
    given = {"BLOCK": block, "ROWS": at_once, "ONE": ONE}
    _kernels().scatter[(-(-rows * queries // at_once), across)](
        gradient, winners, index, largest, sums, rows * queries, points, queries, clouds, channels, K=k, **given
    )
    _kernels().finish[(-(-rows * points // at_once), across)](
        gradient, largest, sums, out, rows * points, points, queries, channels, **given
    )
    return out


def _tile(channels: int) -> tuple[int, int]:
    """Return how many channels and how many points one program of the forward pass takes."""
    block = min(_power_of_2(channels), 128)
    return block, max(1, 2048 // block)


def _power_of_2(number: int) -> int:
    return 1 << max(number - 1, 1).bit_length()


@cache
def _kernels() -> Any:
    from spikecli.models import neighbours_kernels

    return neighbours_kernels
