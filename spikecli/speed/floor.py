"""The floor under a network's speed: the matrix products that it cannot do without, counted and timed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.models.layers import FireThenMax, LinearNorm, MaxThenNorm, NormThenMax, PointLinearNorm
from spikecli.models.pointnet import Transform

POOLED = NormThenMax | MaxThenNorm | FireThenMax


@dataclass(frozen=True)
class Product:
    """`count` products, one after the other, of (rows, inner) and (inner, columns)."""

    rows: int
    inner: int
    columns: int
    count: int = 1
    over_samples: bool = False  # the sum runs over the batch, as in a weight's gradient

    @property
    def multiply_adds(self) -> int:
        return self.count * self.rows * self.inner * self.columns


@contextmanager
def necessary(model: nn.Module) -> Iterator[list[Product]]:
    """Yield a list that holds, after one forward pass in the block, the products which that pass cannot do without.

    Where gradients are recorded, those of the backward pass are in it: two for a layer, its weight's and its input's,
    the latter where the input has a gradient. A layer whose output ends in a maximum over points needs neither: the
    gradient reaches the winning points alone. Where its norm acts before the maximum, the two products that the
    covariance of the inputs takes remain (C_in · C_in a point).
    """
    products: list[Product] = []

    def on_layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        products.extend(_pooled(module, inputs[0]) if isinstance(module, POOLED) else _plain(module, inputs, output))

    kinds = LinearNorm | PointLinearNorm | MaxThenNorm | FireThenMax | nn.Linear | Transform
    handles = [module.register_forward_hook(on_layer) for module in model.modules() if isinstance(module, kinds)]
    try:
        yield products
    finally:
        for handle in handles:
            handle.remove()


def multiply_adds(products: Sequence[Product]) -> int:
    """Return the sum of the products' multiply-adds."""
    return sum(product.multiply_adds for product in products)


def _pooled(module: nn.Module, x: Tensor) -> list[Product]:  # x: (T, B, N, C_in)
    weight: Any = (module.point if isinstance(module, FireThenMax) else module).weight
    outputs, inputs = weight.shape
    clouds, points = x.shape[:-2].numel(), x.shape[-2]
    tiles = [Product(points, inputs, outputs, count=clouds)]
    if isinstance(module, MaxThenNorm) or not torch.is_grad_enabled():
        return tiles
    rows = clouds * points
    return [*tiles, Product(inputs, rows, inputs, over_samples=True), Product(rows, inputs, inputs)]


def _plain(module: nn.Module, tensors: tuple[Tensor, ...], output: Tensor) -> list[Product]:
    x = tensors[0]
    inputs = x.shape[-1]
    if isinstance(module, Transform):  # one matrix a cloud, and a step
        count, rows, outputs = output.shape[:-2].numel(), output.shape[-2], output.shape[-1]
    else:
        count, rows = 1, x.shape[:-1].numel()
        outputs = output.numel() // rows  # not its last axis: what a T-Net's last layer gives is a matrix
    products = [Product(rows, inputs, outputs, count)]
    if torch.is_grad_enabled():
        products.append(Product(outputs, rows, inputs, count, over_samples=True))
        if x.requires_grad:
            products.append(Product(rows, outputs, inputs, count))
    return products


class Floor:
    """The products as nothing but `torch.mm` into outputs that are there already."""

    def __init__(self, products: Sequence[Product], dtype: torch.dtype, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator).to(device, dtype)

        self._work: list[tuple[Tensor, Tensor, Tensor]] = []
        for product in products:
            rows, inner, columns, count = product.rows, product.inner, product.columns, product.count
            if product.over_samples:
                left, right = random(count, inner, rows).mT, random(inner, columns)
            else:
                left, right = random(count, rows, inner), random(columns, inner).T
            self._work.append((left, right, torch.empty(rows, columns, dtype=dtype, device=device)))

    def run(self) -> None:
        """Make all products once."""
        for left, right, out in self._work:
            for one in left:
                torch.mm(one, right, out=out)
