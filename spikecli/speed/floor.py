"""A lower bound of a network's time: the matrix products that it needs at least, counted and timed alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikecli.models.work import Product


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
