"""Residual blocks: neurons after the sum, spikes that are added (SEW), or membranes that are added (MS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from spikecli.models.convolution import AveragePool, ConvNorm, Edge, NeuronFactory, Size
from spikecli.models.map_norm import MEETING
from spikecli.models.step_norm import conv_norms
from spikecli.settings.networks import ResNetConfig

Wires = Iterator[tuple[str, tuple[str, ...]]]  # a layer of neurons, and the layers and edges that read its spikes


@dataclass(frozen=True)
class Place:
    """Where a block stands: channels in and out, stride, the sizes of the map before and after, whether a shortcut
    pools."""

    inputs: int
    outputs: int
    stride: int
    before: Size
    size: Size
    pooled: bool

    @property
    def unchanged(self) -> bool:
        """True if the output has the input's shape, so that the shortcut is an identity."""
        return self.stride == 1 and self.inputs == self.outputs


class Shortcut(nn.Module):
    """The shortcut of a block that changes the map: 1 × 1 convolution with its stride → batch norm; or, if `pooled`,
    average pool → 1 × 1 convolution → batch norm."""

    def __init__(self, place: Place, convolution: Callable[..., ConvNorm], alpha: float) -> None:
        super().__init__()
        self.pool = AveragePool(place.stride) if place.pooled else Edge()
        stride = 1 if place.pooled else place.stride
        self.conv = convolution(place.inputs, place.outputs, kernel=1, stride=stride, alpha=alpha)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.pool(x))


class SpikeFed(nn.Module):
    """A block of two convolutions, conv1 → fire1 → conv2 → fire2, that spikes enter and leave, beside a shortcut."""

    shortcut: nn.Module

    def readers(self, name: str) -> tuple[str, ...]:
        """Return the names of the layers that read the spikes that enter this block, called `name`."""
        way = f"{name}.shortcut" if isinstance(self.shortcut, Edge) else f"{name}.shortcut.conv"
        return f"{name}.conv1", way

    def wires(self, name: str, later: tuple[str, ...]) -> Wires:
        """Yield the wiring of this block, called `name`, whose output the layers `later` read."""
        yield f"{name}.fire1", (f"{name}.conv2",)
        yield f"{name}.fire2", later


class Block(SpikeFed):
    """out = fire(norm(conv(fire(norm(conv(x))))) + shortcut(x)): the neuron sits after the sum."""

    def __init__(self, place: Place, neuron: NeuronFactory, config: ResNetConfig) -> None:
        super().__init__()
        convolution = conv_norms(config)
        # tdBN (2307.04356): α = 1/√2 where two norms meet; an identity brings none of its own, so α = 1.
        alone = place.unchanged and config.layout == "released"
        meeting = 1.0 if alone else MEETING
        self.conv1 = convolution(place.inputs, place.outputs, stride=place.stride)
        self.fire1 = neuron(place.outputs, place.size)
        self.conv2 = convolution(place.outputs, place.outputs, alpha=meeting)
        self.shortcut = Edge() if place.unchanged else Shortcut(place, convolution, meeting)
        self.fire2 = neuron(place.outputs, place.size)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, H, W, C) → (T, B, H', W', C')
        y = self.fire1(self.conv1(x), timesteps)
        return self.fire2(self.conv2(y) + self.shortcut(x), timesteps)


class SpikeSum(nn.Module):
    """The sum of two trains of spikes: whoever reads it adds a weight once for each spike of either."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def sum_of(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the additions that an output takes, from those that the two inputs take."""
        return first + second


class SewShortcut(Shortcut):
    """The shortcut of an SEW block that changes the map: it ends in neurons of its own."""

    def __init__(self, place: Place, convolution: Callable[..., ConvNorm], neuron: NeuronFactory) -> None:
        super().__init__(place, convolution, 1.0)
        self.fire = neuron(place.outputs, place.size)

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        return self.fire(super().forward(x), timesteps)


class SewBlock(SpikeFed):
    """out = fire(norm(conv(fire(norm(conv(x)))))) + x: spikes are added, g(A, S) = A + S (2102.04159).

    Where the map changes, the shortcut is fire(norm(conv(x))). Sums of spikes are whole numbers.
    """

    def __init__(self, place: Place, neuron: NeuronFactory, config: ResNetConfig) -> None:
        super().__init__()
        convolution = conv_norms(config)
        self.conv1 = convolution(place.inputs, place.outputs, stride=place.stride)
        self.fire1 = neuron(place.outputs, place.size)
        self.conv2 = convolution(place.outputs, place.outputs)
        self.fire2 = neuron(place.outputs, place.size)
        self.shortcut = Edge() if place.unchanged else SewShortcut(place, convolution, neuron)
        self.sum = SpikeSum()

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, H, W, C) → (T, B, H', W', C')
        y = self.fire2(self.conv2(self.fire1(self.conv1(x), timesteps)), timesteps)
        way = self.shortcut(x) if isinstance(self.shortcut, Edge) else self.shortcut(x, timesteps)
        return self.sum(y, way)

    def wires(self, name: str, later: tuple[str, ...]) -> Wires:
        """Yield the wiring of this block, called `name`, whose output the layers `later` read."""
        yield from super().wires(name, later)
        if not isinstance(self.shortcut, Edge):
            yield f"{name}.shortcut.fire", later


class MsBlock(nn.Module):
    """out = norm(conv(fire(norm(conv(fire(x)))))) + shortcut(x): membranes are added, no spike (2112.08954).

    Where the map changes, the shortcut is a convolution of the real values with its norm, as released.
    """

    def __init__(self, place: Place, neuron: NeuronFactory, config: ResNetConfig) -> None:
        super().__init__()
        convolution = conv_norms(config)
        meeting = 1.0 if place.unchanged else MEETING
        self.fire1 = neuron(place.inputs, place.before)
        self.conv1 = convolution(place.inputs, place.outputs, stride=place.stride)
        self.fire2 = neuron(place.outputs, place.size)
        self.conv2 = convolution(place.outputs, place.outputs, alpha=meeting)
        self.shortcut = Edge() if place.unchanged else Shortcut(place, convolution, meeting)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (1 or T, B, H, W, C) → (T, B, H', W', C')
        y = self.fire2(self.conv1(self.fire1(x, timesteps)), timesteps)
        return self.conv2(y) + self.shortcut(x)

    def readers(self, name: str) -> tuple[str, ...]:
        """Return nothing: real values enter this block, no spikes."""
        return ()

    def wires(self, name: str, later: tuple[str, ...]) -> Wires:
        """Yield the wiring of this block, called `name`."""
        yield f"{name}.fire1", (f"{name}.conv1",)
        yield f"{name}.fire2", (f"{name}.conv2",)


class Passing(nn.Module):
    """In the place of a layer of neurons: real values pass as they are."""

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor:
        return x


BLOCKS: dict[str, Callable[[Place, NeuronFactory, ResNetConfig], nn.Module]] = {
    "plain": Block,
    "sew": SewBlock,
    "ms": MsBlock,
}
