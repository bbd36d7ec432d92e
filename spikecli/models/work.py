"""The work of a layer: the number of products its inputs enter, and the matrix products that compute them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from spikecli.errors import SpikeError
from spikecli.neurons.answers import Matrices, Multiplies, Product, called


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
