"""The roofline: what a device multiplies and moves in a second, and the least time that work takes at these rates."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch

from spikecli.speed.clock import timed

SIDE = {"cpu": 512}  # of the square matrices that are multiplied, by kind of device; others
LARGE_SIDE = 8192
COPIED = {"cpu": 2**26}  # bytes that are copied; others
LARGE_COPY = 2**30
WARM_UP, ROUNDS = 1, 3


@dataclass(frozen=True)
class Rates:
    """What a device does in a second at its best: multiply-adds of a type, and bytes read and written."""

    multiply_adds: float
    bytes: float

    def least(self, multiply_adds: int, moved: int) -> float:
        """Return the seconds that so many multiply-adds and bytes take at least, where the two overlap."""
        return max(multiply_adds / self.multiply_adds, moved / self.bytes)


def rates_of(dtype: torch.dtype, device: torch.device) -> Rates:
    """Return the rates of a device: of a product of large square matrices in `dtype`, and of a large copy."""
    side = SIDE.get(device.type, LARGE_SIDE)
    left, right = torch.rand(2, side, side, device=device).to(dtype)
    source = torch.zeros(COPIED.get(device.type, LARGE_COPY), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = [timed(lambda: left @ right, device) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    copy = [timed(lambda: target.copy_(source), device) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    return Rates(side**3 / statistics.median(product), 2 * len(source) / statistics.median(copy))
