"""The forward passes of the released networks, derived again in plain torch, under the names of the released files.

A pass over a fresh `Store` draws the weights that it meets; the store is then a state dict as the releases save it.
Written from the papers and from the names that the authors' code gives its layers; none of their code is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Fire = Callable[[Tensor], Tensor]


class Store(dict[str, Tensor]):
    """Tensors by name, drawn when they are first asked for; float32 numbers in float64."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.draws = torch.Generator().manual_seed(seed)

    def weight(self, name: str, *shape: int, gain: float = 1.7) -> Tensor:
        if name not in self:
            fan_in = shape[1] * (shape[2] * shape[3] if len(shape) > 3 else 1)
            self[name] = (torch.randn(shape, generator=self.draws) * gain / fan_in**0.5).double()
        return self[name]

    def uniform(self, name: str, size: tuple[int, ...], low: float, high: float) -> Tensor:
        if name not in self:
            self[name] = (low + (high - low) * torch.rand(size, generator=self.draws)).double()
        return self[name]

    def norm(self, x: Tensor, name: str, axis: int, factor: float = 1.0) -> Tensor:
        """Return x normalized along channels at `axis` with the running statistics of the norm `name`."""
        shape = [1] * x.dim()
        shape[axis] = -1
        size = (x.shape[axis],)
        mean, variance = (
            self.uniform(f"{name}.running_mean", size, -0.3, 0.3),
            self.uniform(f"{name}.running_var", size, 0.5, 1.5),
        )
        weight, bias = self.uniform(f"{name}.weight", size, 0.7, 1.4), self.uniform(f"{name}.bias", size, -0.1, 0.4)
        self.setdefault(f"{name}.num_batches_tracked", torch.tensor(3))
        scaled = factor * (x - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
        return scaled * weight.view(shape) + bias.view(shape)

    def saved(self) -> dict[str, Tensor]:
        """Return the state dict in float32, as files hold it."""
        return {name: value.float() if value.is_floating_point() else value for name, value in self.items()}


@dataclass(frozen=True)
class Neurons:
    """The neuron of a release: λ, spikes of either sign or not, reset, and the form of what fires."""

    decay: float = 0.25
    ternary: bool = False
    soft: bool = False
    inclusive: bool = False
    amplitude: str | None = None  # fire_ratio of this shape: scalar or channel

    def run(self, x: Tensor, store: Store, name: str, axis: int, membrane: bool) -> Tensor:
        """Return the output (T, ...) for currents x (T, ...); with `membrane`, a norm of v at `name`."""
        v, out = torch.zeros_like(x[0]), []
        for current in x:
            v = v * self.decay + current
            u = store.norm(v, f"{name}.bn", axis - 1) if membrane else v
            if self.ternary:
                s = (u >= 0.5).double() - (u <= -0.5).double()
            else:
                s = (u >= 0.5).double() if self.inclusive else (u > 0.5).double()
            v = v - s if self.soft else v * (1 - s.abs())
            out.append(s)
        spikes = torch.stack(out)
        if self.amplitude is None:
            return spikes
        channels = x.shape[axis]
        if self.amplitude == "scalar":
            return spikes * store.uniform(f"{name}.fire_ratio", (), 0.6, 1.6)
        return spikes * store.uniform(f"{name}.fire_ratio", (1, channels, 1, 1), 0.6, 1.6)


@dataclass(frozen=True)
class Maps:
    """How a release of a network of maps names and computes its layers."""

    store: Store
    neurons: Neurons
    membrane: bool = False
    stem_norm: str = "bn"  # the wrapper of the stem's norms: bn or conv
    td: bool = False  # tdBN in the blocks
    prefix: str = "model."

    def conv(self, x: Tensor, name: str, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> Tensor:
        weight = self.store.weight(f"{self.prefix}{name}.pool.weight", outputs, x.shape[2], kernel, kernel)
        shift = self.store.uniform(f"{self.prefix}{name}.pool.bias", (outputs,), -0.2, 0.2) if bias else None
        y = functional.conv2d(x.flatten(0, 1), weight, shift, stride, kernel // 2)
        return y.unflatten(0, x.shape[:2])

    def norm(self, x: Tensor, name: str, alpha: float = 1.0, stem: bool = False) -> Tensor:
        if self.td and not stem:
            return self.store.norm(x, f"{self.prefix}{name}", 2, alpha * 0.5)
        return self.store.norm(x, f"{self.prefix}{name}.{self.stem_norm if stem else 'bn'}", 2)

    def fire(self, x: Tensor, name: str) -> Tensor:
        return self.neurons.run(x, self.store, f"{self.prefix}{name}", 2, self.membrane)

    def block(self, x: Tensor, name: str, outputs: int, stride: int, pooled: bool) -> Tensor:
        changed = stride != 1 or x.shape[2] != outputs
        alpha = 0.5**0.5 if changed else 1.0
        y = self.fire(self.norm(self.conv(x, f"{name}.conv1", outputs, stride=stride), f"{name}.bn1"), f"{name}.relu1")
        y = self.norm(self.conv(y, f"{name}.conv2", outputs), f"{name}.bn2", alpha)
        way = x
        if changed:
            first = 0
            if pooled:
                first, way = 1, functional.avg_pool2d(x.flatten(0, 1), stride, ceil_mode=True).unflatten(0, x.shape[:2])
            way = self.conv(way, f"{name}.downsample.{first}", outputs, 1, 1 if pooled else stride)
            way = self.norm(way, f"{name}.downsample.{first + 1}", alpha)
        return self.fire(y + way, f"{name}.output_act")

    def head(self, x: Tensor, name: str, classes: int) -> Tensor:
        features = x.mean((-2, -1))
        weight = self.store.weight(f"{self.prefix}{name}.conv.weight", classes, features.shape[-1], gain=3)
        return features @ weight.T + self.store.uniform(f"{self.prefix}{name}.conv.bias", (classes,), -0.5, 0.5)


def resnet20(maps: Maps, x: Tensor, classes: int) -> Tensor:
    """Return logits (T, B, K) for x (T, B, C, H, W): three convolutions, a mean of 2 × 2, four stages of two blocks."""
    for number in range(3):
        x = maps.conv(x, f"conv1.{3 * number}", 64)
        x = maps.fire(maps.norm(x, f"conv1.{3 * number + 1}", stem=True), f"conv1.{3 * number + 2}")
    x = functional.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
    for stage, outputs in enumerate((64, 128, 256, 512), start=1):
        for number in range(2):
            stride = 2 if stage > 1 and number == 0 else 1
            x = maps.block(x, f"layer{stage}.{number}", outputs, stride, pooled=True)
    return maps.head(x, "fc", classes)


def resnet19(maps: Maps, x: Tensor, classes: int) -> Tensor:
    """Return logits (T, B, K): a stem of 128 channels, stages of 3, 3 and 2 blocks."""
    x = maps.fire(maps.norm(maps.conv(x, "conv1", 128), "bn1", stem=True), "relu")
    for stage, (outputs, blocks) in enumerate(((128, 3), (256, 3), (512, 2)), start=1):
        for number in range(blocks):
            stride = 2 if stage > 1 and number == 0 else 1
            x = maps.block(x, f"layer{stage}.{number}", outputs, stride, pooled=False)
    return maps.head(x, "fc", classes)


def vgg16(maps: Maps, x: Tensor, classes: int) -> Tensor:
    """Return logits (T, B, K): thirteen convolutions with biases, means of 2 × 2 between, one linear layer."""
    place = 0
    for stage, (outputs, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if stage:
            x, place = functional.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2]), place + 1
        for _ in range(count):
            x = maps.conv(x, f"features.{place}", outputs, bias=True)
            x = maps.fire(maps.norm(x, f"features.{place + 1}", stem=True), f"features.{place + 2}")
            place += 3
    return maps.head(x, "classifier", classes)


def joint_resnet18(store: Store, x: Tensor, classes: int) -> Tensor:
    """Return the spiking network's logits (T, B, K) of Joint A-SNN: W = U·diag(σ)·V at each kernel position."""
    neurons = Neurons(inclusive=True)

    def conv(x: Tensor, name: str, outputs: int, kernel: int = 3, stride: int = 1) -> Tensor:
        inputs = x.shape[2]
        rank = min(inputs, outputs)
        store.weight(f"{name}.weight", outputs, inputs, kernel, kernel)  # the file keeps it, and nothing reads it
        u = store.uniform(f"{name}.U", (kernel, kernel, outputs, rank), -1, 1)
        v = store.uniform(f"{name}.V", (kernel, kernel, rank, inputs), -1, 1)
        sigma = store.uniform(f"{name}.sigma_snn", (kernel, kernel, rank), 0.0, 2 / (kernel * rank))
        store.uniform(f"{name}.sigma_ann", (kernel, kernel, rank), 0.0, 1.0)
        weight = (u @ torch.diag_embed(sigma) @ v).permute(2, 3, 0, 1)
        return functional.conv2d(x.flatten(0, 1), weight, None, stride, kernel // 2).unflatten(0, x.shape[:2])

    def norm(x: Tensor, name: str) -> Tensor:
        store.norm(x, f"{name}.bn_ann", 2)
        return store.norm(x, f"{name}.bn_snn", 2)

    def fire(x: Tensor) -> Tensor:
        return neurons.run(x, store, "", 2, membrane=False)

    x = fire(norm(conv(x, "conv1", 64), "bn1"))
    for stage, outputs in enumerate((64, 128, 256, 512), start=1):
        for number in range(2):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            y = fire(norm(conv(x, f"{name}.conv1", outputs, stride=stride), f"{name}.bn1"))
            y = norm(conv(y, f"{name}.conv2", outputs), f"{name}.bn2")
            if stride > 1:
                x = norm(conv(x, f"{name}.downsample.0", outputs, 1, stride), f"{name}.downsample.1")
            x = fire(y + x)
    store.weight("bottleneck1_1.0.U", 1, 1, 8, 8)
    store.weight("middle_fc1.weight_snn", classes, 512)
    features = x.mean((-2, -1))
    store.weight("fc.weight_ann", classes, 512)
    return features @ store.weight("fc.weight_snn", classes, 512, gain=3).T + store.uniform(
        "fc.bias", (classes,), -1, 1
    )


def pointnet(store: Store, points: Tensor, timesteps: int, classes: int, start: Callable[[Tensor], Tensor]) -> Tensor:
    """Return logits (T, B, K) of Spiking PointNet for points (B, C, N); `start` gives v₀ for a step's current.

    With six channels the transform acts on the first three, coordinates, and leaves normals as they are.
    """
    prefix = "model."

    def fire(x: Tensor) -> Tensor:
        v, out = start(x[0]), []
        for current in x:
            v = v * 0.25 + current
            s = (v > 0.5).double()
            v = v * (1 - s)
            out.append(s)
        return torch.stack(out)

    def normed(x: Tensor, name: str, used: str) -> Tensor:
        other = "bn1" if used == "bn2" else "bn2"
        store.norm(x, f"{prefix}{name}.{other}", 2)
        return store.norm(x, f"{prefix}{name}.{used}", 2)

    def shared(x: Tensor, conv: str, norm: str, outputs: int) -> Tensor:  # (T, B, C, N)
        weight = store.weight(f"{prefix}{conv}.conv.weight", outputs, x.shape[2], 1)
        bias = store.uniform(f"{prefix}{conv}.conv.bias", (outputs,), -0.2, 0.2)
        return normed(torch.einsum("oc,tbcn->tbon", weight[..., 0], x) + bias[:, None], norm, "bn2")

    def linear(x: Tensor, name: str, outputs: int) -> Tensor:
        weight = store.weight(f"{prefix}{name}.linear.weight", outputs, x.shape[2])
        return x @ weight.T + store.uniform(f"{prefix}{name}.linear.bias", (outputs,), -0.2, 0.2)

    def transform(x: Tensor, name: str, k: int) -> Tensor:
        y = fire(shared(x, f"{name}.conv1", f"{name}.bn1", 64))
        y = fire(shared(y, f"{name}.conv2", f"{name}.bn2", 128))
        y = fire(shared(y, f"{name}.conv3", f"{name}.bn3", 1024)).amax(-1)
        y = fire(normed(linear(y, f"{name}.fc1", 512), f"{name}.bn4", "bn1"))
        y = fire(normed(linear(y, f"{name}.fc2", 256), f"{name}.bn5", "bn1"))
        return linear(y, f"{name}.fc3", k * k).unflatten(-1, (k, k)) + torch.eye(k, dtype=x.dtype)

    def apply(x: Tensor, matrix: Tensor) -> Tensor:  # xᵀ·A of each point
        return (x.transpose(-1, -2) @ matrix).transpose(-1, -2)

    x = points.expand(timesteps, *points.shape)
    x = torch.cat([apply(x[:, :, :3], transform(x, "feat.stn", 3)), x[:, :, 3:]], 2)
    x = fire(shared(x, "feat.conv1", "feat.bn1", 64))
    x = apply(x, transform(x, "feat.fstn", 64))
    x = fire(shared(x, "feat.conv2", "feat.bn2", 128))
    x = shared(x, "feat.conv3", "feat.bn3", 1024).amax(-1)
    x = fire(normed(linear(x, "fc1", 512), "bn1", "bn1"))
    x = fire(normed(linear(x, "fc2", 256), "bn2", "bn1"))
    return linear(x, "fc3", classes)
