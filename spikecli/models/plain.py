"""Layers without a norm: weight, bias and, for some, a maximum. Folding turns every other layer into one of these."""

from __future__ import annotations

import math
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.models import work
from spikecli.models.pooled import linear_max, linear_winners
from spikecli.models.work import Product


@runtime_checkable
class Reader(Protocol):
    """A plain layer that reads spikes and can take over their amplitude."""

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that maps s to what this one gives for gain·s; raise SpikeError if none exists."""


@runtime_checkable
class Pool(Protocol):
    """A mean through which spikes reach their reader: amplitudes of channels pass, those of single neurons do not."""

    def joined(self, layer: Any, gain: Tensor) -> tuple[nn.Module, nn.Module]:
        """Return a pool and a layer that give for s what this and `layer` give for gain·s, with a gain (H, W, C)."""


class Linear(nn.Linear):
    """x·Wᵀ + b for features in the last axis; can take over the amplitude of the spikes that it reads."""

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Self:
        """Return the layer with this weight (outputs, inputs) and bias (outputs,)."""
        layer = cls(weight.shape[1], weight.shape[0], device="meta")  # nothing is drawn for weights that are replaced
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer

    def effective(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias; they do not depend on the input."""
        return self.weight, self.bias

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that inputs of these amounts (T, B, ..., inputs) enter."""
        return work.linear_products(amounts, self.out_features)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.linear_matrices(x, output)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that gives for s what this one gives for gain·s: K̃ = a·K, the bias untouched."""
        self.weight = nn.Parameter(self.weight * per_channel(gain, self.in_features))
        return self


class TransformLinear(Linear):
    """The last layer of a T-Net: a k × k matrix (..., k, k) that is the identity where weight and bias are 0."""

    def __init__(self, inputs: int, k: int) -> None:
        super().__init__(inputs, k * k)
        self.k = k

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs) → (..., k, k)
        y = super().forward(x).unflatten(-1, (self.k, self.k))
        return y + torch.eye(self.k, dtype=y.dtype, device=y.device)

    def folded(self) -> nn.Module:
        """Return the layer whose bias holds the identity: its matrix can be scaled."""
        eye = torch.eye(self.k, dtype=self.bias.dtype, device=self.bias.device)
        return MatrixLinear.of(self.weight, self.bias + eye.flatten())

    @torch.no_grad()
    def unfold(self, plain: MatrixLinear) -> None:
        """Take the weights of a folded layer, which this one then equals."""
        eye = torch.eye(self.k, dtype=self.bias.dtype, device=self.bias.device)
        self.weight.copy_(plain.weight)
        self.bias.copy_(plain.bias - eye.flatten())


class MatrixLinear(Linear):
    """A k × k matrix (..., k, k) that depends linearly on the input, for x·A."""

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs) → (..., k, k)
        return super().forward(x).unflatten(-1, (math.isqrt(self.out_features), -1))

    def scale_rows(self, gain: Tensor) -> None:
        """Turn A into diag(gain)·A, so that x gives what gain·x gave."""
        k = math.isqrt(self.out_features)
        rows = per_channel(gain, k).expand(k).repeat_interleave(k)
        self.weight, self.bias = nn.Parameter(rows[:, None] * self.weight), nn.Parameter(rows * self.bias)


class CoordinateLinear(Linear):
    """The same on real coordinates: computed in full precision, output in autocast's type."""

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        with torch.autocast(kind, enabled=False):
            y = super().forward(x)
        return y.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else y


class LinearMax(Linear):
    """The maximum over points of a linear map: (..., N, inputs) → (..., outputs), without the big tensor."""

    def forward(self, x: Tensor) -> Tensor:
        values = linear_max(x, self.weight)
        return values + self.bias.to(values.dtype)

    def winners(self, x: Tensor) -> Tensor:
        """Return which point (..., outputs) holds each maximum, for x (..., N, inputs)."""
        return linear_winners(x, self.weight)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.pooled_matrices(x, self.weight, moments=False)


class SignedLinearMax(Linear):
    """sign · (maximum over points of a linear map) + bias: a norm's negative factor cannot move into the maximum."""

    sign: Tensor  # (outputs,), 1 or −1

    def __init__(self, inputs: int, outputs: int, **place: Any) -> None:
        super().__init__(inputs, outputs, **place)
        self.register_buffer("sign", torch.ones_like(self.bias))

    def forward(self, x: Tensor) -> Tensor:  # (..., N, inputs) → (..., outputs)
        values = linear_max(x, self.weight)
        return torch.addcmul(self.bias, values.to(self.bias.dtype), self.sign).to(values.dtype)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.pooled_matrices(x, self.weight, moments=False)


class MaxThenFire(nn.Module):
    """Linear → maximum over points → neuron."""

    between: tuple[str, ...] = ()

    def __init__(self, linear: SignedLinearMax, neuron: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.neuron = neuron

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, N, inputs) → spikes (T, B, outputs)
        return self.neuron(self.linear(x), timesteps)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that gives for s what this one gives for gain·s."""
        self.linear.scale_inputs(gain)
        return self


class Maximum(nn.Module):
    """The maximum over points (..., N, C) → (..., C); of tied points one gets the gradient, as was released."""

    def forward(self, x: Tensor) -> Tensor:
        return x.max(-2).values if x.requires_grad else x.amax(-2)  # amax would share the gradient out

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return this layer, since a gain ≥ 0 passes unchanged; raise SpikeError for a negative gain."""
        if (gain < 0).any():
            raise SpikeError(
                f"a maximum is taken of spikes with a negative amplitude ({gain.min().item():.3g} is the lowest), and "
                "max(a·s) = a·max(s) holds for a ≥ 0 alone"
            )
        return self


def per_channel(gain: Tensor, channels: int) -> Tensor:
    """Return the gain for a last axis of `channels`; raise SpikeError if its shape does not fit."""
    if gain.dim() > 1 or gain.numel() not in (1, channels):
        raise SpikeError(f"it reads {channels} channels and cannot take an amplitude of shape {tuple(gain.shape)}")
    return gain
