"""Convolutions with a separate kernel at each place, into which an amplitude per neuron of a map is folded."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, int]  # height, width


class UnsharedConvolution(nn.Module):
    """(..., H, W, inputs) → (..., H', W', outputs) with a kernel for each of the H'·W' places (2210.06686)."""

    def __init__(self, weight: Tensor, bias: Tensor, size: Size, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # (H'·W', outputs, inputs·kernel·kernel)
        self.bias = nn.Parameter(bias)  # (outputs,)
        self.size, self.kernel, self.stride, self.padding = size, kernel, stride, padding

    @classmethod
    def of(cls, layer: nn.Conv2d, gain: Tensor, side: int = 1) -> Self:
        """Return the layer that maps s to what `layer` gives for means of gain·s over `side` × `side` places.

        K̃ = K ⊙ unfold(a) at each place. A mean before it spreads a weight over its places, divided by their number.
        """
        assert layer.bias is not None
        kernel, stride, padding = (side * pair[0] for pair in (layer.kernel_size, layer.stride, _pair(layer.padding)))
        size = output_size(layer, gain.shape, side)
        spread = layer.weight.repeat_interleave(side, 2).repeat_interleave(side, 3).flatten(1)
        patches = _patches(gain / _cells(gain.shape, side).to(gain), size, kernel, stride, padding)
        weight = spread * patches.flatten(0, 1)[:, None, :]
        return cls(weight, layer.bias, size, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.patches(x).flatten(0, -4).flatten(1, 2).transpose(0, 1)  # (H'·W', rows, inputs·k·k)
        y = (rows @ self.weight.mT.to(rows.dtype)).transpose(0, 1) + self.bias  # (rows, H'·W', outputs)
        return y.unflatten(1, self.size).unflatten(0, x.shape[:-3])

    def patches(self, x: Tensor) -> Tensor:
        """Return the input patch of each output place, for maps (..., H, W, inputs): (..., H', W', inputs·kernel²)."""
        return _patches(x, self.size, self.kernel, self.stride, self.padding)

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that inputs of these amounts (T, B, H, W, inputs) enter: as those of one kernel."""
        seen = self.patches(amounts.sum(1, dtype=torch.float64))
        return seen.flatten(1).sum(1).cpu() * len(self.bias)

    def extra_repr(self) -> str:
        return f"size={self.size}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


def output_size(layer: nn.Conv2d, shape: tuple[int, ...], side: int = 1) -> Size:
    """Return the size of a convolution's output for maps of `shape` (H, W, C), after means over `side` × `side`."""
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], _pair(layer.padding)[0]
    height, width = ((-(-length // side) + 2 * padding - kernel) // stride + 1 for length in shape[:2])
    return height, width


def unshared_numel(layer: nn.Conv2d, shape: tuple[int, ...], side: int = 1) -> int:
    """Return the number of weights of `UnsharedConvolution.of` for a convolution."""
    height, width = output_size(layer, shape, side)
    return height * width * layer.weight.numel() * side * side


def _patches(x: Tensor, size: Size, kernel: int, stride: int, padding: int) -> Tensor:
    """Return the input patch of each output place, for maps (..., H, W, C): (..., H', W', C·kernel·kernel)."""
    after = [
        (places - 1) * stride + kernel - padding - length for places, length in zip(size, x.shape[-3:-1], strict=True)
    ]
    x = functional.pad(x, (0, 0, padding, after[1], padding, after[0]))
    return x.unfold(-3, kernel, stride).unfold(-3, kernel, stride).flatten(-3)


def _cells(shape: tuple[int, ...], side: int) -> Tensor:
    """Return (H, W, 1): the number of places in the mean that each place enters; fewer at the border."""
    heights, widths = ((length - torch.arange(length) // side * side).clamp(max=side) for length in shape[:2])
    return torch.outer(heights, widths)[..., None]


def _pair(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    assert not isinstance(padding, str)
    return padding
