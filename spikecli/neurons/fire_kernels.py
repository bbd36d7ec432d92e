"""Triton kernels, imported by `fire` alone and only where Triton is installed."""

# mypy: ignore-errors
# Triton reads the annotations of a kernel's arguments, so they are not made into strings here.

from functools import lru_cache

import torch
import triton
import triton.language as tl

BLOCK = 2048  # potentials of one program


@triton.jit
def _staircase(u, spikes, count, BARS: tl.constexpr, SIGNED: tl.constexpr, BLOCK: tl.constexpr):
    """Write the spikes of BLOCK potentials."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    value = tl.load(u + at, mask=inside, other=0.0).to(tl.float32)
    fired = tl.zeros((BLOCK,), tl.float32)
    for rise in tl.static_range(len(BARS)):
        if SIGNED:
            fired += (value >= BARS[rise]).to(tl.float32) - (value <= -BARS[rise]).to(tl.float32)
        else:
            fired += (value > BARS[rise]).to(tl.float32)
    tl.store(spikes + at, fired.to(spikes.dtype.element_ty), mask=inside)


def staircase(u: torch.Tensor, threshold: float, rises: int, signed: bool) -> torch.Tensor:
    """Return Σₖ 1[u > k + θ] for k = 0 … rises − 1 of a contiguous u, in its type; `signed`, 1[u ≥ θ] − 1[u ≤ −θ]."""
    spikes = torch.empty_like(u)
    if u.numel():
        grid = (triton.cdiv(u.numel(), BLOCK),)
        _staircase[grid](u, spikes, u.numel(), BARS=_bars(threshold, rises, u.dtype), SIGNED=signed, BLOCK=BLOCK)
    return spikes


@lru_cache(maxsize=256)
def _bars(threshold: float, rises: int, kind: torch.dtype) -> tuple[float, ...]:
    """Return the thresholds, rounded to the potentials' type as torch rounds a number that it compares with."""
    return tuple(torch.tensor([rise + threshold for rise in range(rises)], dtype=kind).tolist())
