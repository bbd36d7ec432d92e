"""A lower bound of a network's time: the matrix products that it needs at least, counted and timed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from spikecli.models.work import matrices_of
from spikecli.neurons.answers import Product, factored


@contextmanager
def necessary(model: nn.Module) -> Iterator[list[Product]]:
    """Yield a list that holds, after one forward pass in the block, the products that this pass needs at least.

    Where gradients are recorded, those of the backward pass are in it: two for a layer, its weight's and its input's,
    the latter where the input has a gradient. A layer whose output ends in a maximum over points needs neither: the
    gradient reaches the winning points alone. Where its norm acts before the maximum, the two products that the
    covariance of the inputs takes remain (C_in · C_in a point). Raise SpikeError for a layer that cannot say its
    products.
    """
    products: list[Product] = []

    def on_layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        products.extend(matrices_of(module, inputs[0], output))

    handles = [module.register_forward_hook(on_layer) for module in factored(model).values()]
    try:
        yield products
    finally:
        for handle in handles:
            handle.remove()


def multiply_adds(products: Sequence[Product]) -> int:
    """Return the sum of the products' multiply-adds."""
    return sum(product.multiply_adds for product in products)


class Floor:
    """The products, each as a `torch.mm` into an allocated output."""

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
        """Compute all products once."""
        for left, right, out in self._work:
            if out.device.type == "cuda":  # one launch for all, as a network makes it there
                torch.matmul(left, right)
                continue
            for one in left:
                torch.mm(one, right, out=out)
