"""Convolutions and pools on maps with channels last, (..., H, W, C), as neurons and batch norms expect.

A permuted view of such a map is torch's channels_last format, so that a convolution reads and writes it as it lies.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.models import work
from spikecli.models.map_norm import MapNorm
from spikecli.models.plain import Linear
from spikecli.models.unshared import UnsharedConvolution
from spikecli.models.work import Product

Size = tuple[int, int]  # height, width
NeuronFactory = Callable[[int, Size], nn.Module]


def scaled(channels: int, width: float) -> int:
    """Return `channels` · `width`, rounded to a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


def after(size: Size, stride: int) -> Size:
    """Return the size of a map after a stride, rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)


def as_maps(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) as maps (1, B, H, W, C), and frames (T, B, C, H, W) as (T, B, H, W, C)."""
    x = x.unsqueeze(0) if x.dim() == 4 else x
    return x.permute(0, 1, 3, 4, 2).contiguous()


def _nchw(maps: Tensor) -> Tensor:
    return maps.flatten(0, -4).permute(0, 3, 1, 2)


def _maps(nchw: Tensor, front: torch.Size) -> Tensor:
    return nchw.permute(0, 2, 3, 1).contiguous().unflatten(0, front)


class Convolution(nn.Conv2d):
    """torch's convolution on maps, padded so that stride 1 keeps their size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, inputs) → (..., H', W', outputs)
        return self.convolve(x, self.weight, self.bias)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that gives for s what this one gives for gain·s: K̃ = a·K, the bias untouched."""
        if gain.dim() > 1:
            return UnsharedConvolution.of(self, gain)
        self.weight = nn.Parameter(self.weight * gain[:, None, None])
        return self

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that inputs of these amounts (T, B, H, W, inputs) enter."""
        return work.conv_products(self, amounts)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.conv_matrices(self, x, output)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return x (..., H, W, inputs) convolved with `weight`, as (..., H', W', outputs)."""
        y = functional.conv2d(_nchw(x), weight, bias, self.stride, self.padding)
        return _maps(y, x.shape[:-3])


class ConvNorm(Convolution):
    """Convolution → batch norm; statistics pooled over steps, samples, places and processes.

    In evaluation the norm goes into the convolution's weights.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, scale: float = 1.0) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)
        self.norm = MapNorm(outputs)
        nn.init.constant_(self.norm.weight, scale)

    def effective(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias (outputs,) that equal convolution and running norm together."""
        scale, shift = self.norm.running()
        return scale[:, None, None, None] * self.weight, shift

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, inputs) → (..., H', W', outputs)
        if self.training:
            return self.norm(self.convolve(x, self.weight, None))
        return self.convolve(x, *self.effective())

    @torch.no_grad()
    def folded(self) -> Convolution:
        """Return the plain convolution with bias that equals this one in evaluation."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        plain = Convolution(self.in_channels, self.out_channels, kernel, stride).to(self.weight)
        weight, bias = self.effective()
        plain.weight.copy_(weight)
        assert plain.bias is not None
        plain.bias.copy_(bias)
        return plain.train(self.training)

    @torch.no_grad()
    def unfold(self, plain: Convolution) -> None:
        """Take the weights of a folded convolution, which this one then equals in evaluation."""
        assert plain.bias is not None
        self.weight.copy_(plain.weight)
        self.norm.unfold(plain.bias)


class ConvFire(nn.Module):
    """(pool →) convolution → batch norm → neurons."""

    def __init__(self, pool: nn.Module, conv: ConvNorm, fire: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.conv = conv
        self.fire = fire

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (1 or T, B, H, W, C) → (T, B, H', W', C')
        return self.fire(self.conv(self.pool(x)), timesteps)


class Edge(nn.Identity):
    """A connection without weights; folding stores here the gain of the spikes that pass."""

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the edge that gives for s what this one gives for gain·s."""
        return WeightedEdge(gain)


class WeightedEdge(nn.Module):
    """A connection with a weight for all, for each channel (C,) or for each neuron (H, W, C)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, C)
        return x * self.weight.to(x.dtype)

    def products(self, amounts: Tensor) -> Tensor:
        """Return zeros (T,): each passing spike is added to one neuron, as on an edge without weights."""
        return torch.zeros(len(amounts), dtype=torch.float64)


class AveragePool(nn.Module):
    """Means over `side` × `side` places; at the border, over the places inside the map."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, C) → (..., ⌈H/side⌉, ⌈W/side⌉, C)
        return _maps(functional.avg_pool2d(_nchw(x), self.side, ceil_mode=True), x.shape[:-3])

    def sums(self, amounts: Tensor) -> Tensor:
        """Return the sums (T, B, H', W', C) over the places of each mean."""
        nchw = _nchw(amounts.to(torch.get_default_dtype()))
        pooled = functional.avg_pool2d(nchw, self.side, ceil_mode=True, divisor_override=1)
        return _maps(pooled, amounts.shape[:-3])

    def joined(self, layer: Convolution, gain: Tensor) -> tuple[nn.Module, nn.Module]:
        """Return a pool and a layer with pool'(s), layer' equal to these for gain·s, for a gain (H, W, C) that no mean
        lets through: the layer reads the spikes themselves."""
        return Edge(), UnsharedConvolution.of(layer, gain, self.side)

    def extra_repr(self) -> str:
        return f"side={self.side}"


class Entry(nn.Module):
    """A mean between a network's stem and its stages; folding stores here the gain of the spikes before it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.edge = Edge()
        self.mean = AveragePool(side)

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, C) → (..., ⌈H/side⌉, ⌈W/side⌉, C)
        return self.mean(self.edge(x))


class GlobalPool(nn.Module):
    """The mean over all places."""

    def forward(self, x: Tensor) -> Tensor:  # (..., H, W, C) → (..., C)
        return x.mean((-3, -2))

    def sums(self, amounts: Tensor) -> Tensor:
        """Return the sums (T, B, C) over all places."""
        return amounts.sum((-3, -2))

    def joined(self, layer: Classifier, gain: Tensor) -> tuple[nn.Module, nn.Module]:
        """Return a pool and a layer that give for s what these give for gain·s, with a gain (H, W, C)."""
        height, width, _ = gain.shape
        weight = layer.weight[:, None, None, :] * gain / (height * width)
        return nn.Flatten(-3), Classifier.of(weight.flatten(1), layer.bias)


class Classifier(Linear):
    """The last layer; it keeps the weights' precision under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def pool_before(model: nn.Module, consumer: str) -> nn.Module | None:
    """Return the pool in front of the layer named `consumer`, None if there is no pool.

    In these networks it is the sibling module named `pool`.
    """
    parent = model.get_submodule(consumer.rpartition(".")[0])
    pool = getattr(parent, "pool", None)
    return None if isinstance(pool, Edge) else pool
