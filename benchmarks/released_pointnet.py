"""Spiking PointNet in the structure of the code released with arXiv 2310.06232, written anew for comparison.

What that structure is: clouds channels first (T, B, C, N), repeated T times before the first layer; every shared
layer a `Conv1d` of kernel 1, called once a time step; every batch norm a `BatchNorm2d` between two permutes and a copy;
every neuron a chain of plain element-wise operations which autograd records one by one, firing straight through a
clamped tanh, its membrane beginning as U(0, ½); the maximum over points taken from the whole tensor.

The frame is the same for every peer: a network is this `PointNet` with other parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10


@dataclass(frozen=True)
class Parts:
    """What a peer builds a network of: shared layer, linear layer, norm of features, norm of points, neuron."""

    conv: Callable[[int, int], nn.Module]
    linear: Callable[[int, int], nn.Module]
    norm: Callable[[int], nn.Module]
    point_norm: Callable[[int], nn.Module]
    neuron: Callable[[], nn.Module]
    reset: Callable[[nn.Module], None] = lambda network: None  # before each forward pass
    spiking: bool = True

    def points(self, inputs: int, *widths: int) -> nn.Sequential:
        """Return conv, norm and neuron for each width, on points."""
        sizes = zip((inputs, *widths), widths, strict=False)
        return nn.Sequential(*[m for i, o in sizes for m in (self.conv(i, o), self.point_norm(o), self.neuron())])

    def features(self, inputs: int, *widths: int, outputs: int, dropout: float = 0.0) -> nn.Sequential:
        """Return linear, norm and neuron for each width, and a last linear layer; dropout before the last norm."""
        sizes = zip((inputs, *widths), widths, strict=False)
        blocks = [[self.linear(i, o), self.norm(o), self.neuron()] for i, o in sizes]
        if dropout:
            blocks[-1].insert(1, nn.Dropout(dropout))
        return nn.Sequential(*[module for block in blocks for module in block], self.linear(widths[-1], outputs))


class TNet(nn.Module):
    """A k × k transform for each cloud and step, from spikes whose maximum over points is taken."""

    def __init__(self, k: int, parts: Parts) -> None:
        super().__init__()
        self.k = k
        self.points = parts.points(k, 64, 128, 1024)
        self.features = parts.features(1024, 512, 256, outputs=k * k)

    def forward(self, x: Tensor) -> Tensor:  # (..., k, N) → (..., k, k)
        a = self.features(self.points(x).max(-1)[0])
        return (a + torch.eye(self.k, device=a.device).flatten()).unflatten(-1, (self.k, self.k))


class PointNet(nn.Module):
    """Log-probabilities (B, K), averaged over T, and the 64 × 64 transforms, of clouds (B, 3, N)."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.input_tnet = TNet(3, parts)
        self.feature_tnet = TNet(64, parts)
        self.first = parts.points(3, 64)
        self.second = parts.points(64, 128)
        self.third = nn.Sequential(parts.conv(128, 1024), parts.point_norm(1024))
        self.head = parts.features(1024, 512, 256, outputs=CLASSES, dropout=0.4)

    def forward(self, clouds: Tensor, timesteps: int) -> tuple[Tensor, Tensor]:
        self.parts.reset(self)
        x = clouds.repeat(timesteps, 1, 1, 1) if self.parts.spiking else clouds
        x = self.first(transformed(x, self.input_tnet(x)))
        a = self.feature_tnet(x)
        x = self.third(self.second(transformed(x, a)))
        scores = functional.log_softmax(self.head(x.max(-1)[0]), -1)
        return (scores.mean(0), a.mean(0)) if self.parts.spiking else (scores, a)


def transformed(x: Tensor, a: Tensor) -> Tensor:
    """Return every point of x (..., k, N) times its cloud's matrix a (..., k, k)."""
    rows = x.transpose(-1, -2)
    product = torch.bmm(rows.reshape(-1, *rows.shape[-2:]), a.reshape(-1, *a.shape[-2:]))
    return product.view(rows.shape).transpose(-1, -2)


class StepByStep(nn.Module):
    """A layer called once for each time step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.layer(step) for step in x])


class AllSteps(nn.Module):
    """A layer of features called once for all time steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:  # (T, B, C)
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class PermutedNorm(nn.Module):
    """Batch norm with time brought behind the channels and back, and a copy at the end."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:  # (T, B, C) or (T, B, C, N)
        return self.norm(x.movedim(0, 2)).movedim(2, 0).contiguous()


class ChainedLif(nn.Module):
    """v ← v/4 + x, spike where v > ½, back to 0; every operation by itself on autograd's tape."""

    slope = 5.0

    def forward(self, x: Tensor) -> Tensor:
        v = torch.rand_like(x[0]) * 0.5
        spikes = []
        for step in x:
            v = v * 0.25 + step
            spike = self.fire(v / 1.0)
            v = v * (1 - spike)
            spikes.append(spike)
        return torch.stack(spikes)

    def fire(self, v: Tensor) -> Tensor:
        """Return spikes whose gradient is that of a tanh on (0, 1)."""
        edge = math.tanh(self.slope / 2)
        soft = (torch.tanh(self.slope * (v.clamp(0, 1) - 0.5)) + edge) / (2 * edge)
        return (torch.gt(v, 0.5).float() - soft).detach() + soft


def spiking() -> PointNet:
    """Return the spiking network."""
    return PointNet(
        Parts(
            conv=lambda inputs, outputs: StepByStep(nn.Conv1d(inputs, outputs, 1)),
            linear=lambda inputs, outputs: AllSteps(nn.Linear(inputs, outputs)),
            norm=lambda channels: PermutedNorm(nn.BatchNorm1d(channels)),
            point_norm=lambda channels: PermutedNorm(nn.BatchNorm2d(channels)),
            neuron=ChainedLif,
        )
    )


def ann() -> PointNet:
    """Return the network of ReLUs, without time."""
    return PointNet(
        Parts(
            conv=lambda inputs, outputs: nn.Conv1d(inputs, outputs, 1),
            linear=nn.Linear,
            norm=nn.BatchNorm1d,
            point_norm=nn.BatchNorm1d,
            neuron=nn.ReLU,
            spiking=False,
        )
    )


class Load:
    """A peer's network, its optimizer and a batch, ready to take a training step or to answer."""

    def __init__(self, build: Callable[[], PointNet], timesteps: int, points: Tensor, labels: Tensor) -> None:
        torch.manual_seed(0)
        self.model = build().to(points.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, weight_decay=1e-4)
        self.timesteps = timesteps
        self.points = points.transpose(1, 2).contiguous()  # (B, 3, N)
        self.labels = labels

    def train(self) -> None:
        """Make one step of training."""
        self.model.train()
        self.optimizer.zero_grad()
        scores, a = self.model(self.points, self.timesteps)
        loss = functional.nll_loss(scores, self.labels)
        gap = torch.norm(torch.bmm(a, a.transpose(1, 2)) - torch.eye(64, device=a.device), dim=(1, 2)).mean()
        (loss + 0.001 * gap).backward()
        self.optimizer.step()

    def infer(self) -> None:
        """Answer for the batch."""
        self.model.eval()
        with torch.no_grad():
            self.model(self.points, self.timesteps)


def train_twice(build: Callable[[], PointNet], timesteps: int, points: Tensor, labels: Tensor, threads: int) -> None:
    """Build a network and train it for two steps, for the memory that this takes."""
    torch.set_num_threads(threads)
    load = Load(build, timesteps, points, labels)
    load.train()
    load.train()
