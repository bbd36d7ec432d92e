"""Spiking PointNet (2310.06232); with ReLU neurons at T = 1, the PointNet that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikecli import neurons
from spikecli.models import work
from spikecli.models.layers import (
    CoordinateLinearNorm,
    FireThenMax,
    LinearNorm,
    MaxThenNorm,
    NormThenMax,
    PointLinearNorm,
)
from spikecli.models.plain import Linear, MatrixLinear, MaxThenFire, TransformLinear
from spikecli.models.work import Product
from spikecli.settings.networks import PointNetConfig

NeuronFactory = Callable[[int], nn.Module]
Widths = tuple[int, int, int, int, int]
POOLS: dict[str, type[MaxThenNorm | FireThenMax]] = {"pooled": MaxThenNorm, "paper": FireThenMax}
PLACE = 3  # numbers of a position
WIDTHS: Widths = (64, 128, 1024, 512, 256)  # the paper's: two shared layers, the maximum, two layers of the head


class TNet(nn.Module):
    """A learned k × k transform of a cloud's features, one per time step; of positions, normals may be read too."""

    def __init__(
        self, k: int, neuron: NeuronFactory, order: str, widths: Widths = WIDTHS, inputs: int | None = None
    ) -> None:
        super().__init__()
        first, second, highest, third, last = widths
        self.point1: nn.Module = (CoordinateLinearNorm if k == PLACE else PointLinearNorm)(inputs or k, first)
        self.fire1 = neuron(first)
        self.point2 = PointLinearNorm(first, second)
        self.fire2 = neuron(second)
        self.pool: MaxThenNorm | FireThenMax | MaxThenFire = POOLS[order](second, highest, neuron(highest))
        self.head1 = LinearNorm(highest, third)
        self.fire4 = neuron(third)
        self.head2 = LinearNorm(third, last)
        self.fire5 = neuron(last)
        self.out: TransformLinear | MatrixLinear = TransformLinear(last, k)
        if POOLS[order].begin_as_identity:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (1 or T, B, N, k) → (1 or T, B, k, k)
        x = self.fire1(self.point1(x), timesteps)  # (T, B, N, 64)
        x = self.fire2(self.point2(x), timesteps)  # (T, B, N, 128)
        x = self.pool(x, timesteps)  # (T, B, 1024)
        x = self.fire4(self.head1(x), timesteps)
        x = self.fire5(self.head2(x), timesteps)
        with torch.autocast(x.device.type, enabled=False):
            return self.out(x.to(self.out.weight.dtype))

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire1", ("point2",)
        yield "fire2", ("pool",)
        yield "pool.neuron", (*(f"pool.{name}" for name in self.pool.between), "head1")
        yield "fire4", ("head2",)
        yield "fire5", ("out",)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the T-Net whose transform of s is diag(gain)·A, with A this one's transform of gain·s."""
        assert isinstance(self.point1, Linear) and isinstance(self.out, MatrixLinear)
        self.point1.scale_inputs(gain)
        self.out.scale_rows(gain)
        return self


class Transform(nn.Module):
    """x·A, each cloud by its own A; coordinates (k = 3) in full precision."""

    def forward(self, x: Tensor, a: Tensor) -> Tensor:  # (T, B, N, k) · (T, B, k, k)
        with torch.autocast(x.device.type, enabled=torch.is_autocast_enabled(x.device.type) and a.shape[-1] > 3):
            return x @ a.to(x.dtype)

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that features of these amounts (T, B, N, k) enter: k each."""
        return work.linear_products(amounts, amounts.shape[-1])

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`: one matrix a cloud, and a step."""
        rows, outputs = output.shape[-2:]
        return work.trained(x, Product(rows, x.shape[-1], outputs, output.shape[:-2].numel()))


class PointNet(nn.Module):
    """Logits (T, B, K) of clouds (B, N, inputs); trained with one number of time steps, evaluated with any.

    With 6 inputs each point has its normal. As released with normals, the first T-Net reads both and turns positions.
    """

    def __init__(
        self,
        classes: int,
        neuron: NeuronFactory,
        tnet: str = "pooled",
        dropout: float = 0.4,
        widths: Widths = WIDTHS,
        inputs: int = PLACE,
    ) -> None:
        super().__init__()
        first, second, highest, third, last = widths
        self.inputs = inputs
        self.input_tnet = TNet(PLACE, neuron, tnet, widths, inputs) if tnet != "none" else None
        self.feature_tnet = TNet(first, neuron, tnet, widths) if tnet != "none" else None
        self.transform = Transform()
        self.point1 = CoordinateLinearNorm(inputs, first)
        self.fire1 = neuron(first)
        self.point2 = PointLinearNorm(first, second)
        self.fire2 = neuron(second)
        self.pool = NormThenMax(second, highest)
        self.head1 = LinearNorm(highest, third)
        self.fire4 = neuron(third)
        self.head2 = LinearNorm(third, last, dropout)
        self.fire5 = neuron(last)
        self.out = Linear(last, classes)

    def forward(self, points: Tensor, timesteps: int = 1) -> Tensor:
        x = points.unsqueeze(0)  # (1, B, N, 3 or 6): the cloud is the same at every step until a neuron has fired
        places = points if self.inputs == PLACE else points[..., :PLACE]
        if self.input_tnet is not None:
            x = self._turned(x, self.input_tnet(x, timesteps))
        x = self.fire1(self.point1(x), timesteps, places)  # (T, B, N, 64)
        if self.feature_tnet is not None:
            x = self.transform(x, self.feature_tnet(x, timesteps))  # real values again
        x = self.fire2(self.point2(x), timesteps, places)  # (T, B, N, 128)
        x = self.pool(x)  # (T, B, 1024), real values
        x = self.fire4(self.head1(x), timesteps)
        x = self.fire5(self.head2(x), timesteps)
        with torch.autocast(x.device.type, enabled=False):
            return self.out(x.to(self.out.weight.dtype))

    def _turned(self, x: Tensor, a: Tensor) -> Tensor:
        """Return x (1, B, N, inputs) with positions times A (T, B, 3, 3): (T, B, N, inputs); normals as they are."""
        if self.inputs == PLACE:
            return self.transform(x, a)
        turned = self.transform(x[..., :PLACE], a)
        return torch.cat([turned, x[..., PLACE:].expand(len(turned), *x.shape[1:3], -1)], -1)

    def trunk(self) -> tuple[str, ...]:
        """Return the names of the neurons that see one point alone, before the maximum: 64 and 128 channels."""
        return "fire1", "fire2"

    def watch_winners(self, on_winners: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `on_winners` in each pass with the point (T, B, channels) that wins each channel of the maximum."""
        return self.pool.register_forward_hook(lambda pool, inputs, output: on_winners(pool.winners(inputs[0])))

    def head_layers(self) -> tuple[str, ...]:
        """Return the names of the parts that read the features of the whole sample."""
        return "head1", "fire4", "head2", "fire5", "out"

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire1", ("point2",) if self.feature_tnet is None else ("feature_tnet",)
        yield "fire2", ("pool",)
        yield "fire4", ("head2",)
        yield "fire5", ("out",)
        for name, part in self.named_children():
            if isinstance(part, TNet):
                for neuron, readers in part.wiring():
                    yield f"{name}.{neuron}", tuple(f"{name}.{reader}" for reader in readers)


def build(config: PointNetConfig) -> PointNet:
    """Return the PointNet that `config` describes, with fresh weights from torch's generator."""
    neuron = partial(neurons.build, config.neuron)
    return PointNet(config.classes, neuron, config.tnet, config.dropout, inputs=config.inputs)
