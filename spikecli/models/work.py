"""The work of a layer: the number of products its inputs enter, and the matrix products that compute them.

Each layer is asked; one with weights that does not say is refused by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from spikecli.errors import SpikeError
from spikecli.neurons.answers import called
from spikecli.neurons.neuron import Neuron


@runtime_checkable
class Multiplies(Protocol):
    """A layer that multiplies its input by weights."""

    def products(self, amounts: Tensor) -> Tensor:
        """Return by step (T,) in float64, on the CPU, the sum over inputs of amount · products that an input enters.

        `amounts` (T, B, ..., inputs) marks the inputs that take part: with 1 each it counts the multiply-adds, with
        the spikes' sizes the additions.
        """


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
        """Return how many multiply-adds these products take."""
        return self.count * self.rows * self.inner * self.columns

    @property
    def values(self) -> int:
        """Return how many values these products read at least: each factor once, of one on the right that all share."""
        return self.inner * (self.count * self.rows + self.columns)


@runtime_checkable
class Matrices(Protocol):
    """A layer that reports the matrix products that a pass needs at least."""

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the products of a pass from x to `output`; with those of the backward pass if gradients are on."""


def multiplying(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that multiply, by name; raise SpikeError for one with weights that cannot say its products.

    Modules inside a layer that answers, or inside a neuron, are not asked.
    """
    return _answering(model, Multiplies, "products(amounts)")


def factored(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that multiply, by name; raise SpikeError for one with weights that cannot say its matrices."""
    return _answering(model, Matrices, "matrices(x, output)")


def _answering(model: nn.Module, question: type, method: str) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    closed: list[str] = []  # beginnings of names that were answered for
    for name, module in model.named_modules():
        if any(name.startswith(each) for each in closed):
            continue
        # Torch's own linear layer has no such method: `products_of` and `matrices_of` know it.
        answers, is_neuron = isinstance(module, question) or type(module) is nn.Linear, isinstance(module, Neuron)
        if answers or is_neuron:
            closed.append(f"{name}." if name else "")
            found |= {name: module} if answers else {}
        elif any(parameter.dim() > 1 for parameter in module.parameters(recurse=False)):
            raise SpikeError(
                f"the layer {called(module, name)} has weights and does not say its operations; give its class a "
                f"method {method}"
            )
    return found


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


def moved(products: Sequence[Product], size: int) -> int:
    """Return the bytes of the products' factors, of `size` bytes a value: read once, with no result written."""
    return size * sum(product.values for product in products)


def products_of(layer: nn.Module, amounts: Tensor) -> Tensor:
    """Return `layer.products(amounts)` (T,), also for torch's linear layer; raise SpikeError if it cannot say."""
    if isinstance(layer, Multiplies):
        return layer.products(amounts)
    if isinstance(layer, nn.Linear):
        return linear_products(amounts, layer.out_features)
    raise SpikeError(f"the layer {called(layer, '')} does not say its operations; give it a method products(amounts)")


def matrices_of(layer: nn.Module, x: Tensor, output: Tensor) -> list[Product]:
    """Return `layer.matrices(x, output)`, also for torch's linear layer; raise SpikeError if it cannot say."""
    if isinstance(layer, Matrices):
        return layer.matrices(x, output)
    if isinstance(layer, nn.Linear):
        return linear_matrices(x, output)
    raise SpikeError(f"the layer {called(layer, '')} does not say its operations; give it a method matrices(x, output)")


def linear_products(amounts: Tensor, outputs: int) -> Tensor:
    """Return the products (T,) of a layer in which each input meets `outputs` weights."""
    return amounts.flatten(1).sum(1, dtype=torch.float64).cpu() * outputs


def nonzero_products(layer: nn.Module, active: Tensor) -> Tensor:
    """Return the products (T,) of active inputs (T, B, ..., inputs) with weights that are not 0, as NeuroBench counts.

    A layer with other weights than one kernel or one matrix counts all of them.
    """
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() not in (2, 4) or not (weight == 0).any():
        return products_of(layer, active)
    kept = (weight != 0).double()
    if isinstance(layer, nn.Conv2d):
        maps = active.sum(1, dtype=torch.float64).permute(0, 3, 1, 2)  # (T, inputs, H, W), over samples
        return nn.functional.conv2d(maps, kept, None, layer.stride, layer.padding).sum((1, 2, 3)).cpu()
    return (active.flatten(1, -2).sum(1, dtype=torch.float64) @ kept.sum(0)).cpu()


def conv_products(layer: nn.Conv2d, amounts: Tensor) -> Tensor:
    """Return the products (T,) of a convolution on maps (T, B, H, W, C): fewer at the border, where windows end."""
    places = amounts.movedim((-3, -2), (1, 2)).flatten(3).sum(3, dtype=torch.float64)  # (T, H, W)
    kernel = places.new_ones(1, 1, *layer.kernel_size)
    seen = nn.functional.conv2d(places[:1, None], kernel, None, layer.stride, layer.padding)
    windows = conv2d_input(places[:1, None].shape, kernel, torch.ones_like(seen), layer.stride, layer.padding)[0, 0]
    return (places * windows).sum((1, 2)).cpu() * layer.out_channels


def linear_matrices(x: Tensor, output: Tensor) -> list[Product]:
    """Return the products of a layer that multiplies each row of x (..., inputs) by one weight matrix.

    With gradients on, the weight's gradient is a second one, and the input's a third where the input has a gradient.
    """
    rows, inputs = x.shape[:-1].numel(), x.shape[-1]
    outputs = output.numel() // rows  # not its last axis: what a T-Net's last layer gives is a matrix
    return trained(x, Product(rows, inputs, outputs))


def conv_matrices(layer: nn.Conv2d, x: Tensor, output: Tensor) -> list[Product]:
    """Return the products of a convolution (..., H, W, C) → (..., H', W', C'): its windows as rows."""
    return trained(x, Product(output.shape[:-1].numel(), layer.weight[0].numel(), output.shape[-1]))


def trained(x: Tensor, forward: Product) -> list[Product]:
    """Return a forward product and, if gradients are on, the products for the gradients of the weight and of x."""
    products, rows, inputs, outputs = [forward], forward.rows, forward.inner, forward.columns
    if torch.is_grad_enabled():
        products.append(Product(outputs, rows, inputs, forward.count, over_samples=True))
        if x.requires_grad:
            products.append(Product(rows, outputs, inputs, forward.count))
    return products


def pooled_matrices(x: Tensor, weight: Tensor, moments: bool) -> list[Product]:
    """Return the products of a layer that ends in a maximum over the points of x (T, B, N, inputs).

    The gradient reaches the winning points alone and takes none. Where the norm acts before the maximum, the two that
    the covariance of the inputs takes remain: `moments`.
    """
    outputs, inputs = weight.shape
    clouds, points = x.shape[:-2].numel(), x.shape[-2]
    tiles = [Product(points, inputs, outputs, count=clouds)]
    if not moments or not torch.is_grad_enabled():
        return tiles
    rows = clouds * points
    return [*tiles, Product(inputs, rows, inputs, over_samples=True), Product(rows, inputs, inputs)]


@runtime_checkable
class Sums(Protocol):
    """A mean over places: spikes that go through it are additions for the layer that reads it."""

    def sums(self, amounts: Tensor) -> Tensor:
        """Return the sums of `amounts` (T, B, H, W, C) over the places that the mean of each output is of."""


@runtime_checkable
class Adds(Protocol):
    """A sum of two trains of spikes: each spike of either is an addition for the layer that reads the sum."""

    def sum_of(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the additions (T, B, ...) of the sum, from those of its two inputs."""
