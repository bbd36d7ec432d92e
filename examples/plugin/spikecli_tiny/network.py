"""A small network for point clouds, built of spikecli's own layers: they fold and count their operations."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.layers import CoordinateLinearNorm, LinearNorm, NormThenMax
from spikecli.models.plain import Linear
from spikecli_tiny.settings import TinyConfig


class Tiny(nn.Module):
    """Logits (T, B, K) of clouds (B, N, 3)."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        width = config.hidden
        self.point = CoordinateLinearNorm(3, width)
        self.fire1 = neurons.build(config.neuron, width)
        self.pool = NormThenMax(width, 4 * width)
        self.head = LinearNorm(4 * width, width)
        self.fire2 = neurons.build(config.neuron, width)
        self.out = Linear(width, config.classes)

    def forward(self, points: Tensor, timesteps: int = 1) -> Tensor:
        x = self.point(points.unsqueeze(0))  # (1, B, N, hidden): the cloud is the same at every step
        x = self.fire1(x, timesteps, points)  # (T, B, N, hidden)
        x = self.pool(x)  # (T, B, 4·hidden), real values
        x = self.fire2(self.head(x), timesteps)
        logits: Tensor = self.out(x.to(self.out.weight.dtype))
        return logits

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each layer of neurons and the layers that its spikes go into: `reparameterize` asks for it."""
        yield "fire1", ("pool",)
        yield "fire2", ("out",)


def build(config: TinyConfig) -> Tiny:
    """Return the network that `config` describes, with fresh weights from torch's generator."""
    return Tiny(config)
