"""Batch norm of rows in Triton: two passes over the rows forward, two backward, each sum in a fixed order.

Imported by `batch_norm` alone, and only where Triton is installed.
"""

# mypy: ignore-errors
# Triton reads the annotations of a kernel's arguments, so they are not made into strings here.

import torch
import triton
import triton.language as tl

TILE = 4096  # elements that a program of a sum reads at a time
PROGRAMS = 512  # that share the rows of a sum, at most
FLAT = 2048  # elements of a program that writes
JOINED = tl.constexpr(64)  # partial sums that are read at a time


@triton.jit
def _moments(x, first, second, count, channels, programs, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Write the sums over a program's rows of x − x₀ and of its square: about the first row, nothing cancels."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    pivot = tl.load(x + channel, mask=there, other=0.0).to(tl.float32)
    one = tl.zeros((ROWS, BLOCK), tl.float32)
    two = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(program * ROWS, count, programs * ROWS):
        row = (start + tl.arange(0, ROWS)).to(tl.int64)
        both = (row < count)[:, None] & there[None, :]
        value = tl.load(x + row[:, None] * channels + channel[None, :], mask=both, other=0.0).to(tl.float32)
        apart = tl.where(both, value - pivot[None, :], 0.0)
        one += apart
        two += apart * apart
    tl.store(first + program * channels + channel, tl.sum(one, axis=0), mask=there)
    tl.store(second + program * channels + channel, tl.sum(two, axis=0), mask=there)


@triton.jit
def _joined(partial, channel, there, channels, programs, BLOCK: tl.constexpr):
    """Return the sum of all programs' partial sums, (BLOCK,)."""
    total = tl.zeros((JOINED, BLOCK), tl.float32)
    for start in range(0, programs, JOINED):
        program = start + tl.arange(0, JOINED)
        both = (program < programs)[:, None] & there[None, :]
        total += tl.load(partial + program[:, None] * channels + channel[None, :], mask=both, other=0.0)
    return tl.sum(total, axis=0)


@triton.jit
def _statistics(
    x, first, second, weight, running_mean, running_var, mean, inverse, scale,
    count, channels, programs, momentum, eps, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write μ, 1/σ and the scale of each channel, and move the running statistics."""
    channel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    pivot = tl.load(x + channel, mask=there, other=0.0).to(tl.float32)
    apart = _joined(first, channel, there, channels, programs, BLOCK) / count
    square = _joined(second, channel, there, channels, programs, BLOCK) / count
    variance = tl.maximum(square - apart * apart, 0.0)
    middle = pivot + apart
    steep = 1.0 / tl.sqrt(variance + eps)
    tl.store(mean + channel, middle, mask=there)
    tl.store(inverse + channel, steep, mask=there)
    tl.store(scale + channel, tl.load(weight + channel, mask=there, other=0.0) * steep, mask=there)
    old = tl.load(running_mean + channel, mask=there, other=0.0)
    tl.store(running_mean + channel, old + momentum * (middle - old), mask=there)
    old = tl.load(running_var + channel, mask=there, other=0.0)
    unbiased = variance * (count / tl.maximum(count - 1.0, 1.0))
    tl.store(running_var + channel, old + momentum * (unbiased - old), mask=there)


@triton.jit
def _apply(x, y, mean, scale, bias, count, channels, BLOCK: tl.constexpr):
    """Write (x − μ) · scale + bias."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    channel = at % channels
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value = (value - tl.load(mean + channel, mask=inside)) * tl.load(scale + channel, mask=inside)
    value += tl.load(bias + channel, mask=inside)
    tl.store(y + at, value.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _pulls(
    gradient, x, mean, inverse, first, second, count, channels, programs, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the sums over a program's rows of the gradient, and of the gradient times (x − μ)/σ."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    middle = tl.load(mean + channel, mask=there, other=0.0)
    steep = tl.load(inverse + channel, mask=there, other=0.0)
    one = tl.zeros((ROWS, BLOCK), tl.float32)
    two = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(program * ROWS, count, programs * ROWS):
        row = (start + tl.arange(0, ROWS)).to(tl.int64)
        both = (row < count)[:, None] & there[None, :]
        where = row[:, None] * channels + channel[None, :]
        pull = tl.load(gradient + where, mask=both, other=0.0).to(tl.float32)
        value = tl.load(x + where, mask=both, other=0.0).to(tl.float32)
        one += pull
        two += pull * ((value - middle[None, :]) * steep[None, :])
    tl.store(first + program * channels + channel, tl.sum(one, axis=0), mask=there)
    tl.store(second + program * channels + channel, tl.sum(two, axis=0), mask=there)


@triton.jit
def _shares(
    first, second, weight, inverse, to_weight, to_bias, by, along, less,
    count, channels, programs, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradients of weight and bias, and what makes that of x: by · gradient + along · (x − μ) + less."""
    channel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    pull = _joined(first, channel, there, channels, programs, BLOCK)
    turn = _joined(second, channel, there, channels, programs, BLOCK)
    tl.store(to_bias + channel, pull, mask=there)
    tl.store(to_weight + channel, turn, mask=there)
    steep = tl.load(inverse + channel, mask=there, other=0.0)
    scale = tl.load(weight + channel, mask=there, other=0.0) * steep
    tl.store(by + channel, scale, mask=there)
    tl.store(along + channel, -scale * steep * turn / count, mask=there)
    tl.store(less + channel, -scale * pull / count, mask=there)


@triton.jit
def _back(gradient, x, out, mean, by, along, less, count, channels, BLOCK: tl.constexpr):
    """Write the gradient of x."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    channel = at % channels
    pull = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value -= tl.load(mean + channel, mask=inside)
    total = pull * tl.load(by + channel, mask=inside) + value * tl.load(along + channel, mask=inside)
    total += tl.load(less + channel, mask=inside)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)


class Plan:
    """How the rows and channels of a sum are shared out."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.count, self.channels = rows.shape
        self.block = min(triton.next_power_of_2(self.channels), 128)
        self.at_once = TILE // self.block
        self.programs = min(PROGRAMS, triton.cdiv(self.count, self.at_once))
        self.grid = (self.programs, triton.cdiv(self.channels, self.block))
        self.flat = (triton.cdiv(rows.numel(), FLAT),)
        self.ends = (triton.cdiv(self.channels, 32),)

    def sums(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return room for two partial sums of each program and channel."""
        first, second = torch.empty(2, self.programs, self.channels, dtype=torch.float32, device=like.device)
        return first, second


def forward(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, running: tuple[torch.Tensor, torch.Tensor],
    momentum: float, eps: float, kind: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return the normalized rows (M, C) in the type `kind`, μ and 1/σ (C,) in float32.

    The running statistics are moved in place.
    """
    plan = Plan(x)
    sums = plan.sums(x)
    mean, inverse, scale = torch.empty(3, plan.channels, dtype=torch.float32, device=x.device)
    given = {"ROWS": plan.at_once, "BLOCK": plan.block}
    _moments[plan.grid](x, *sums, plan.count, plan.channels, plan.programs, **given)
    _statistics[plan.ends](
        x, *sums, weight, *running, mean, inverse, scale,
        plan.count, plan.channels, plan.programs, momentum, eps, BLOCK=32,
    )  # fmt: skip
    y = torch.empty_like(x, dtype=kind)
    _apply[plan.flat](x, y, mean, scale, bias, x.numel(), plan.channels, BLOCK=FLAT)
    return y, mean, inverse


def backward(
    gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, inverse: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of the rows (M, C), of weight and of bias (C,)."""
    plan = Plan(x)
    sums = plan.sums(x)
    to_weight, to_bias, by, along, less = torch.empty(5, plan.channels, dtype=torch.float32, device=x.device)
    given = {"ROWS": plan.at_once, "BLOCK": plan.block}
    _pulls[plan.grid](gradient, x, mean, inverse, *sums, plan.count, plan.channels, plan.programs, **given)
    _shares[plan.ends](
        *sums, weight, inverse, to_weight, to_bias, by, along, less,
        plan.count, plan.channels, plan.programs, BLOCK=32,
    )  # fmt: skip
    out = torch.empty_like(x)
    _back[plan.flat](gradient, x, out, mean, by, along, less, x.numel(), plan.channels, BLOCK=FLAT)
    return out, to_weight, to_bias
