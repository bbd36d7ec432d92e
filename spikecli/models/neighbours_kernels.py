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
def backward(
    gradient, won, starts, entries, out, points, queries, clouds, channels,
    K: tl.constexpr, BLOCK: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """Write the gradient of one point: the sum over those whose maximum it won, AT_ONCE at a time, less its own."""
    row = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    batch = row // points
    point = row % points
    place = (batch % clouds) * points + point
    begin = tl.load(starts + place)
    end = tl.load(starts + place + 1)
    first = batch * queries
    own = tl.load(gradient + (first + point) * channels + channel, mask=inside & (point < queries), other=0.0)
    total = tl.zeros((BLOCK,), tl.float32) - own.to(tl.float32)
    for number in range(begin, end, AT_ONCE):
        each = number + tl.arange(0, AT_ONCE)
        entry = tl.load(entries + each, mask=each < end, other=0)
        query = entry // K
        where = (first + query)[:, None] * channels + channel[None, :]
        here = ((each < end) & (query < queries))[:, None] & inside[None, :]
        winner = tl.load(won + where, mask=here, other=255).to(tl.int32)
        mine = here & (winner == (entry % K)[:, None])
        total += tl.sum(tl.load(gradient + where, mask=mine, other=0.0).to(tl.float32), axis=0)
    tl.store(out + row * channels + channel, total.to(out.dtype.element_ty), mask=inside)
