"""The parts of DeLA (2308.16532): neighborhood embedding, local propagation, MLP, level and transition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from spikecli.models.layers import CoordinateLinearNorm, PointLinearNorm
from spikecli.models.local import MaxNorm, NeighborMax, PairMax, begin
from spikecli.models.neighbours import Neighborhood, farthest_first, neighborhood
from spikecli.models.tracing import is_traced

NeuronFactory = Callable[[int], nn.Module]
Wires = Iterator[tuple[str, tuple[str, ...]]]
HIDDEN = ((24, 48, 96), (12, 24, 48), (12, 24, 48))  # of the embeddings, and how many channels their maxima have
FIRST_GAIN, TRANSITION_GAIN = 0.2, 0.3
SCALE = 40.0  # of coordinates in the unit sphere, so that offsets to neighbors are near 1
HEIGHT, HEIGHT_SHIFT = 10.0, 0.8  # the height is divided by the one and shifted, in training, by U(−0.8, 0.8)


def scaled(channels: int, width: float) -> int:
    """Return a number of channels times `width`, rounded to a multiple of 4, at least 8."""
    return max(8, 4 * round(channels * width / 4))


class Order(nn.Module):
    """The order in which a cloud's points go on to the next levels, which take the first of them: as they come in
    training; in evaluation, farthest first for the first `count`."""

    random_in_training = True

    def forward(self, x: Tensor, near: Neighborhood, count: int) -> tuple[Tensor, Neighborhood]:
        """Return features (T, B, N, C) and neighbors in that order."""
        if self.training:
            return x, near
        order = farthest_first(near.place, count)[..., None]
        points = near.place.gather(1, order.expand(-1, -1, 3))
        return x.gather(2, order.expand(*x.shape)), neighborhood(points, near.index.shape[2])


class HeightShift(nn.Module):
    """In training, a shift of each cloud's heights by U(−0.8, 0.8)."""

    random_in_training = True

    def forward(self, height: Tensor) -> Tensor:  # (B, N)
        if not self.training:
            return height
        shift = torch.rand(len(height), 1, dtype=height.dtype, device=height.device)
        return height + HEIGHT_SHIFT * (2 * shift - 1)


class DropPath(nn.Module):
    """Add a term to the stream; in training, drop a sample's with probability `rate` and scale up the others."""

    random_in_training = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor, term: Tensor) -> Tensor:  # (T, B, ...)
        if not self.training or not self.rate:
            return x + term
        kept = torch.rand(1, x.shape[1], *(1 for _ in x.shape[2:]), device=x.device) >= self.rate
        return torch.addcmul(x, term, kept.to(x.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        return f"rate={self.rate:.4f}"


class Embedding(nn.Module):
    """Features of a neighborhood: offsets to the neighbors, three linear layers a pair, the maximum over pairs.

    At level 0 the height of each neighbor above the cloud's lowest point is an input too, and its normal if there are
    `more` = 3 inputs.
    """

    def __init__(
        self, level: int, channels: int, width: float, neuron: NeuronFactory, gain: float, more: int = 0
    ) -> None:
        super().__init__()
        first, second, highest = (scaled(number, width) for number in HIDDEN[level])
        self.shift = HeightShift() if level == 0 else None
        self.first = CoordinateLinearNorm((4 if level == 0 else 3) + more, first)
        self.fire1 = neuron(first)
        self.second = PointLinearNorm(first, second)
        self.fire2 = neuron(second)
        self.pairs: PairMax | None = None
        self.out: MaxNorm | PointLinearNorm
        if level == 0:
            self.out = MaxNorm(PairMax(second, channels), gain)
        else:
            self.pairs = PairMax(second, highest)
            self.out = PointLinearNorm(highest, channels)
            begin(self.out.weight)
            nn.init.constant_(self.out.norm.weight, gain)
        begin(self.first.weight)
        begin(self.second.weight)

    def forward(self, near: Neighborhood, timesteps: int, normals: Tensor | None = None) -> Tensor:  # → (T, B, N, C)
        pairs = self._inputs(SCALE * near.place, near, normals)
        separable = getattr(self.fire1, "separable", True) and getattr(self.fire2, "separable", True)
        if self.training or pairs.device.type != "cpu" or not separable or is_traced():
            return self._embed(pairs, timesteps)
        return torch.cat([self._embed(cloud, timesteps) for cloud in pairs.split(1, dim=1)], 1)

    def _embed(self, pairs: Tensor, timesteps: int) -> Tensor:  # (1, B, N, k, 3, 4 or 7)
        x = self.fire1(self.first(pairs), timesteps)  # offsets are the same at every step: multiplied once
        x = self.fire2(self.second(x), timesteps)
        return self.out(x if self.pairs is None else self.pairs(x))

    def _inputs(self, points: Tensor, near: Neighborhood, normals: Tensor | None) -> Tensor:
        clouds = torch.arange(points.shape[0], device=points.device)[:, None, None]
        offsets = points[clouds, near.index] - points.unsqueeze(2)  # (B, N, k, 3)
        if self.shift is not None:
            height = self.shift((points[..., 2] - points[..., 2].amin(1, keepdim=True)) / HEIGHT)
            offsets = torch.cat([offsets, height[clouds, near.index].unsqueeze(-1)], -1)
        if normals is not None:
            offsets = torch.cat([offsets, normals[clouds, near.index]], -1)
        return offsets.unsqueeze(0)

    def wiring(self) -> Wires:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire1", ("second",)
        yield "fire2", ("out.product" if self.pairs is None else "pairs",)


class Local(nn.Module):
    """Local propagation: neurons, a linear map, the maximum over neighbors of differences, a norm."""

    def __init__(self, channels: int, neuron: NeuronFactory) -> None:
        super().__init__()
        self.fire = neuron(channels)
        self.local = MaxNorm(NeighborMax(channels, channels), 0.0)

    def forward(self, x: Tensor, near: Neighborhood, timesteps: int) -> Tensor:  # (T, B, N, C)
        return self.local(self.fire(x, timesteps, near.place), near)

    def wiring(self) -> Wires:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire", ("local.product",)


class Mlp(nn.Module):
    """Neurons, a linear layer to twice the channels, neurons, a linear layer back; each with its norm."""

    def __init__(self, channels: int, neuron: NeuronFactory, gain: float) -> None:
        super().__init__()
        self.fire1 = neuron(channels)
        self.up = PointLinearNorm(channels, 2 * channels)
        self.fire2 = neuron(2 * channels)
        self.down = PointLinearNorm(2 * channels, channels)
        begin(self.up.weight)
        begin(self.down.weight)
        nn.init.constant_(self.down.norm.weight, gain)

    def forward(self, x: Tensor, near: Neighborhood, timesteps: int) -> Tensor:  # (T, B, N, C)
        x = self.fire1(x, timesteps, near.place)
        return self.down(self.fire2(self.up(x), timesteps, near.place))

    def wiring(self) -> Wires:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire1", ("up",)
        yield "fire2", ("down",)


class Level(nn.Module):
    """x + MLP, then blocks of local propagation added one by one, an MLP after each second; with drop path."""

    def __init__(self, channels: int, neuron: NeuronFactory, rates: Sequence[float]) -> None:
        super().__init__()
        self.mlp = Mlp(channels, neuron, FIRST_GAIN)
        self.locals = nn.ModuleList(Local(channels, neuron) for _ in rates)
        self.mlps = nn.ModuleList(Mlp(channels, neuron, 0.0) for _ in rates[1::2])
        self.drops = nn.ModuleList(DropPath(rate) for rate in rates)

    def forward(self, x: Tensor, near: Neighborhood, timesteps: int) -> Tensor:  # (T, B, N, C)
        x = self.drops[0](x, self.mlp(x, near, timesteps))
        for number, (local, drop) in enumerate(zip(self.locals, self.drops, strict=True)):
            x = drop(x, local(x, near, timesteps))
            if number % 2 == 1:
                x = drop(x, self.mlps[number // 2](x, near, timesteps))
        return x


class Transition(nn.Module):
    """From one level to the next: a linear layer plus local propagation among the old points, for the new points."""

    def __init__(self, below: int, above: int, neuron: NeuronFactory) -> None:
        super().__init__()
        self.fire = neuron(below)
        self.skip = PointLinearNorm(below, above)
        self.local = MaxNorm(NeighborMax(below, above), TRANSITION_GAIN)
        begin(self.skip.weight)
        nn.init.constant_(self.skip.norm.weight, TRANSITION_GAIN)

    def forward(self, x: Tensor, near: Neighborhood, timesteps: int) -> Tensor:  # (T, B, N, C) → (T, B, Q, C')
        x = self.fire(x, timesteps, near.place)
        return self.skip(x[:, :, : near.index.shape[1]]) + self.local(x, near)

    def wiring(self) -> Wires:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        yield "fire", ("skip", "local.product")
