"""Spiking PointNet (2310.06232), and with ReLU neurons at T = 1 the PointNet it is measured against."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from spikecli import neurons
from spikecli.config import ModelConfig
from spikecli.models.layers import (
    CoordinateLinearNorm,
    FireThenMax,
    LinearNorm,
    MaxThenNorm,
    NormThenMax,
    PointLinearNorm,
)

NeuronFactory = Callable[[int], nn.Module]
POOLS = {"pooled": MaxThenNorm, "paper": FireThenMax}


class TNet(nn.Module):
    """A learned k × k transform of a cloud's features, one per time step."""

    def __init__(self, k: int, neuron: NeuronFactory, order: str) -> None:
        super().__init__()
        self.k = k
        self.point1 = (CoordinateLinearNorm if k == 3 else PointLinearNorm)(k, 64)
        self.fire1 = neuron(64)
        self.point2 = PointLinearNorm(64, 128)
        self.fire2 = neuron(128)
        self.pool = POOLS[order](128, 1024, neuron(1024))
        self.head1 = LinearNorm(1024, 512)
        self.fire4 = neuron(512)
        self.head2 = LinearNorm(512, 256)
        self.fire5 = neuron(256)
        self.out = nn.Linear(256, k * k)
        if self.pool.begin_as_identity:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (1 or T, B, N, k) → (1 or T, B, k, k)
        x = self.fire1(self.point1(x), timesteps)  # (T, B, N, 64)
        x = self.fire2(self.point2(x), timesteps)  # (T, B, N, 128)
        x = self.pool(x, timesteps)  # (T, B, 1024)
        x = self.fire4(self.head1(x), timesteps)
        x = self.fire5(self.head2(x), timesteps)
        with torch.autocast(x.device.type, enabled=False):
            x = self.out(x.to(self.out.weight.dtype)).unflatten(-1, (self.k, self.k))
            return x + torch.eye(self.k, dtype=x.dtype, device=x.device)


class Transform(nn.Module):
    """x·A, each cloud by its own A; coordinates (k = 3) in full precision."""

    def forward(self, x: Tensor, a: Tensor) -> Tensor:  # (T, B, N, k) · (T, B, k, k)
        with torch.autocast(x.device.type, enabled=torch.is_autocast_enabled(x.device.type) and a.shape[-1] > 3):
            return x @ a.to(x.dtype)


class PointNet(nn.Module):
    """Logits (T, B, K) of clouds (B, N, 3); trained with one number of time steps, evaluated with any."""

    def __init__(self, classes: int, neuron: NeuronFactory, tnet: str = "pooled", dropout: float = 0.4) -> None:
        super().__init__()
        self.input_tnet = TNet(3, neuron, tnet) if tnet != "none" else None
        self.feature_tnet = TNet(64, neuron, tnet) if tnet != "none" else None
        self.transform = Transform()
        self.point1 = CoordinateLinearNorm(3, 64)
        self.fire1 = neuron(64)
        self.point2 = PointLinearNorm(64, 128)
        self.fire2 = neuron(128)
        self.pool = NormThenMax(128, 1024)
        self.head1 = LinearNorm(1024, 512)
        self.fire4 = neuron(512)
        self.head2 = LinearNorm(512, 256, dropout)
        self.fire5 = neuron(256)
        self.out = nn.Linear(256, classes)

    def forward(self, points: Tensor, timesteps: int = 1) -> Tensor:
        x = points.unsqueeze(0)  # (1, B, N, 3): the cloud is the same at every step until a neuron has fired
        if self.input_tnet is not None:
            x = self.transform(x, self.input_tnet(x, timesteps))
        x = self.fire1(self.point1(x), timesteps)  # (T, B, N, 64)
        if self.feature_tnet is not None:
            x = self.transform(x, self.feature_tnet(x, timesteps))  # real values again
        x = self.fire2(self.point2(x), timesteps)  # (T, B, N, 128)
        x = self.pool(x)  # (T, B, 1024), real values
        x = self.fire4(self.head1(x), timesteps)
        x = self.fire5(self.head2(x), timesteps)
        with torch.autocast(x.device.type, enabled=False):
            return self.out(x.to(self.out.weight.dtype))


def build(config: ModelConfig) -> PointNet:
    """Return the PointNet that `config` describes, with fresh weights from torch's generator."""
    return PointNet(config.classes, partial(neurons.build, config.neuron), config.tnet, config.dropout)
