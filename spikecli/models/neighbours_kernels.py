"""Triton kernels, imported by `neighbours_triton` alone and only where Triton is installed."""

# mypy: ignore-errors
# Triton reads the annotations of a kernel's arguments, so they are not made into strings here.

import triton
import triton.language as tl

LAST = tl.constexpr(2**63 - 1)  # larger than every key
PLACE = tl.constexpr(2**32 - 1)  # the bits of a key that hold a point's place


@triton.jit
def nearest(axes, index, total, K: tl.constexpr, BLOCK: tl.constexpr, QUERIES: tl.constexpr):
    """Write the K nearest of QUERIES points: the bits of the squared distance, then the place, are the key."""
    cloud = tl.program_id(0).to(tl.int64)
    query = tl.program_id(1) * QUERIES + tl.arange(0, QUERIES)
    place = tl.arange(0, BLOCK)
    here, there = query < total, place < total
    squared = tl.zeros((QUERIES, BLOCK), tl.float32)
    for axis in tl.static_range(3):
        row = axes + (cloud * 3 + axis) * total
        own = tl.load(row + query, mask=here, other=0.0)
        other = tl.load(row + place, mask=there, other=0.0)
        difference = own[:, None] - other[None, :]
        squared += difference * difference
    keys = (squared.to(tl.int32, bitcast=True).to(tl.int64) << 32) + place[None, :]
    keys = tl.where(there[None, :], keys, LAST)
    for slot in range(K):
        least = tl.min(keys, axis=1)
        tl.store(index + (cloud * total + query) * K + slot, least & PLACE, mask=here)
        keys = tl.where(keys == least[:, None], LAST, keys)


@triton.jit
def forward(
    y, index, out, won, count, points, queries, clouds, channels,
    K: tl.constexpr, WINNERS: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Write max over j of y_j − y_i, and the first j that holds it, for ROWS points and BLOCK channels."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    both = inside[:, None] & (channel < channels)[None, :]
    batch = row // queries
    query = row % queries
    neighbors = index + ((batch % clouds) * queries + query) * K
    features = y + batch * points * channels
    best = tl.full((ROWS, BLOCK), float("-inf"), tl.float32)
    place = tl.zeros((ROWS, BLOCK), tl.int32)
    for slot in range(K):
        neighbor = tl.load(neighbors + slot, mask=inside, other=0)
        where = (features + neighbor * channels)[:, None] + channel[None, :]
        value = tl.load(where, mask=both, other=0.0).to(tl.float32)
        better = value > best
        best = tl.where(better, value, best)
        place = tl.where(better, slot, place)
    own = tl.load((features + query * channels)[:, None] + channel[None, :], mask=both, other=0.0).to(tl.float32)
    target = row[:, None] * channels + channel[None, :]
    tl.store(out + target, (best - own).to(out.dtype.element_ty), mask=both)
    if WINNERS:
        tl.store(won + target, place.to(tl.uint8), mask=both)


@triton.jit
def scatter(
    gradient, won, index, largest, sums, count, points, queries, clouds, channels,
    K: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, ONE: tl.constexpr,
):  # fmt: skip
    """Add each gradient to the point that won, as a whole number of largest/ONE: whole numbers add up to the same sum
    in any order, so atomics give the same bits each time."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    both = inside[:, None] & (channel < channels)[None, :]
    batch = row // queries
    neighbors = index + ((batch % clouds) * queries + row % queries) * K
    source = row[:, None] * channels + channel[None, :]
    value = tl.load(gradient + source, mask=both, other=0.0).to(tl.float32)
    winner = tl.load(won + source, mask=both, other=0).to(tl.int64)
    point = tl.load(neighbors[:, None] + winner, mask=both, other=0)
    whole = (value * (ONE / tl.maximum(tl.load(largest), 1e-30))).to(tl.int64)
    target = (batch * points)[:, None] * channels + point * channels + channel[None, :]
    tl.atomic_add(sums + target, whole, mask=both, sem="relaxed")


@triton.jit
def finish(
    gradient, largest, sums, out, count, points, queries, channels,
    BLOCK: tl.constexpr, ROWS: tl.constexpr, ONE: tl.constexpr,
):  # fmt: skip
    """Write the sum that each point won, minus its own gradient."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    both = (row < count)[:, None] & (channel < channels)[None, :]
    batch, point = row // points, row % points
    target = row[:, None] * channels + channel[None, :]
    total = tl.load(sums + target, mask=both, other=0).to(tl.float32) * (tl.load(largest) / ONE)
    own = (batch * queries + point)[:, None] * channels + channel[None, :]
    here = both & (point < queries)[:, None]
    total -= tl.load(gradient + own, mask=here, other=0.0).to(tl.float32)
    tl.store(out + target, total.to(out.dtype.element_ty), mask=both)


@triton.jit
def pair_max(y, out, won, count, channels, K: tl.constexpr, WINNERS: tl.constexpr, BLOCK: tl.constexpr):
    """Write max over slots of y (groups, K, channels), and the first slot that holds it, for BLOCK of the results."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    first = y + (at // channels) * K * channels + at % channels
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    place = tl.zeros((BLOCK,), tl.int32)
    for slot in range(K):
        value = tl.load(first + slot * channels, mask=inside, other=0.0).to(tl.float32)
        better = value > best
        best = tl.where(better, value, best)
        place = tl.where(better, slot, place)
    tl.store(out + at, best.to(out.dtype.element_ty), mask=inside)
    if WINNERS:
        tl.store(won + at, place.to(tl.uint8), mask=inside)


@triton.jit
def pair_spread(gradient, won, out, count, channels, K: tl.constexpr, BLOCK: tl.constexpr):
    """Write each gradient to the slot that won, and 0 to the others, of out (groups, K, channels)."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    first = out + (at // channels) * K * channels + at % channels
    value = tl.load(gradient + at, mask=inside, other=0.0)
    winner = tl.load(won + at, mask=inside, other=0).to(tl.int32)
    for slot in range(K):
        tl.store(first + slot * channels, tl.where(winner == slot, value, 0.0).to(out.dtype.element_ty), mask=inside)
