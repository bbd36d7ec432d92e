"""Layers over a point's neighbors: a linear map, the maximum over neighbors, a norm; features in the last axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.models import neighbours_triton, work
from spikecli.models.layers import BatchNorm
from spikecli.models.neighbours import Neighborhood, neighbor_max, running_max
from spikecli.models.plain import Linear
from spikecli.models.pooled import joined
from spikecli.models.tracing import is_traced
from spikecli.models.work import Product
from spikecli.neurons import kernel_gate

WEIGHT_DEVIATION = 0.02  # of fresh weights, normal and cut off at two deviations
TILE = 4096  # rows of a product on a CPU that stay in cache until their maximum is taken


class _Rows(Linear):
    """A bias-free linear map of every row, followed by a maximum over rows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        begin(self.weight)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.trained(x, Product(x.shape[:-1].numel(), self.in_features, self.out_features))


class NeighborMax(_Rows):
    """max over neighbors j of y_j − y_i with y = x·Wᵀ: spikes meet W alone, the maximum real products."""

    def forward(self, x: Tensor, neighbors: Neighborhood) -> Tensor:  # type: ignore[override]  # (T, B, N, inputs) → (T, B, Q, outputs)
        return neighbor_max(functional.linear(x, self.weight), neighbors)


class PairMax(_Rows):
    """max over the pairs of a point of x·Wᵀ: (..., k, inputs) → (..., outputs), without the big tensor on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return pair_max(x, self.weight)


class MaxNorm(nn.Module):
    """One of the two maxima above → batch norm, on real values."""

    def __init__(self, product: NeighborMax | PairMax, gain: float) -> None:
        super().__init__()
        self.product = product
        self.norm = BatchNorm(product.out_features)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, x: Tensor, *neighbors: Neighborhood) -> Tensor:
        return self.norm(self.product(x, *neighbors))

    def folded(self) -> nn.Module:
        """Return the layer without a norm that equals this one in evaluation; the sign of the factor is kept apart."""
        scale, shift = self.norm.running()
        self.product.weight = nn.Parameter(scale.abs()[:, None] * self.product.weight)
        return SignedMax(self.product, torch.where(scale < 0, -torch.ones_like(scale), torch.ones_like(scale)), shift)

    @torch.no_grad()
    def unfold(self, plain: SignedMax) -> None:
        """Take the weights of a folded layer, which this one then equals in evaluation."""
        self.product.weight.copy_(plain.product.get_parameter("weight"))
        self.norm.unfold(plain.bias, plain.sign)


class SignedMax(nn.Module):
    """sign · (a maximum of a linear map) + bias: a norm's negative factor cannot move into the maximum."""

    sign: Tensor  # (outputs,), 1 or −1

    def __init__(self, product: nn.Module, sign: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.product = product
        self.register_buffer("sign", sign)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor, *neighbors: Neighborhood) -> Tensor:
        values = self.product(x, *neighbors)
        if values.dtype == self.bias.dtype:  # a graph would hold even a cast that changes nothing
            return torch.addcmul(self.bias, values, self.sign)
        return torch.addcmul(self.bias, values.to(self.bias.dtype), self.sign).to(values.dtype)


def begin(weight: Tensor) -> None:
    """Initialize a weight in place."""
    nn.init.trunc_normal_(weight, std=WEIGHT_DEVIATION, a=-2 * WEIGHT_DEVIATION, b=2 * WEIGHT_DEVIATION)


def pair_max(x: Tensor, weight: Tensor) -> Tensor:
    """Return max over the k pairs of x·Wᵀ (..., C_out), for x (..., k, C_in) and W (C_out, C_in).

    Under autocast the products are in its type, as `linear`'s are. Of equal pairs the first wins.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x, weight = (tensor.to(torch.get_autocast_dtype(kind)) for tensor in (x, weight))
    if is_traced():
        return functional.linear(x, weight).amax(-2)
    groups = x.reshape(-1, *x.shape[-2:])
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        values, _ = _PairMax.apply(groups, weight)
    else:
        values = joined([_tile_max(tile, weight, False)[0] for tile in _tiles(groups)])
    return values.view(*x.shape[:-2], -1)


class _PairMax(torch.autograd.Function):
    """Saves inputs and winners; the gradient is put at the winners of a dense tile, so two products remain."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        parts = [_tile_max(tile, weight, True) for tile in _tiles(x)]
        values, winners = zip(*parts, strict=True)
        return joined(values), joined(winners)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        x, weight, winners = ctx.saved_tensors
        grad_weight = torch.zeros(weight.shape, dtype=torch.promote_types(weight.dtype, torch.float32), device=x.device)
        grad_x = []
        for tile, grad, won in zip(_tiles(x), _tiles(gradient, x.shape[1]), _tiles(winners, x.shape[1]), strict=True):
            dense = _spread(grad, won, x.shape[1]).flatten(0, 1)
            grad_weight += dense.T @ tile.flatten(0, 1)
            grad_x.append((dense @ weight).view(tile.shape))
        return joined(grad_x), grad_weight.to(weight.dtype)


def _spread(gradient: Tensor, winners: Tensor, pairs: int) -> Tensor:
    """Return (G, k, C): the gradient (G, C) in the rows that won, 0 in the others."""
    if kernel_gate.usable(gradient):
        return neighbours_triton.pair_spread(gradient.contiguous(), winners, pairs)
    slots = torch.arange(pairs, dtype=torch.uint8, device=gradient.device)[:, None]
    return gradient[:, None] * (winners[:, None] == slots)


def _tiles(tensor: Tensor, pairs: int | None = None) -> tuple[Tensor, ...]:
    """Return groups of rows to process at once: all on a GPU, a tile of TILE pairs on a CPU."""
    if tensor.device.type != "cpu":
        return (tensor,)
    return tensor.split(max(1, TILE // (pairs or tensor.shape[1])))


def _tile_max(x: Tensor, weight: Tensor, winners: bool) -> tuple[Tensor, Any]:
    y = functional.linear(x, weight)
    if kernel_gate.usable(y):
        return neighbours_triton.pair_max(y, winners)
    if y.device.type != "cpu":
        values, places = y.max(1)
        return values, places.to(torch.uint8)
    return running_max(lambda slot: y[:, slot], x.shape[1], winners)
