"""Linear layers with batch normalization in the weights, and their maxima over points; features in the last axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from spikecli.models import work
from spikecli.models.batch_norm import BatchNorm, in_one_pass
from spikecli.models.moments import input_moments
from spikecli.models.plain import CoordinateLinear, Linear, LinearMax, Maximum, MaxThenFire, SignedLinearMax
from spikecli.models.pooled import linear_max, linear_winners
from spikecli.models.tracing import is_traced
from spikecli.models.work import Product

ROWS_AT_ONCE = 1024  # of coordinates that a GPU multiplies in one of many products


def normed(weight: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, inputs) and bias (outputs,) that equal a linear layer and its norm in evaluation."""
    scale, shift = norm.running()
    return scale[:, None] * weight, shift


class _Weighted(nn.Module):
    """A layer that multiplies the last axis of its input by its `weight` (outputs, inputs)."""

    weight: nn.Parameter

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that inputs of these amounts (T, B, ..., inputs) enter."""
        return work.linear_products(amounts, len(self.weight))

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.linear_matrices(x, output)


class LinearNorm(_Weighted):
    """Linear → dropout → batch norm, for few rows: statistics come from the outputs."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = linear_weight(inputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.norm = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs) → (..., outputs)
        if self.training:
            return self.norm(self.dropout(functional.linear(x, self.weight)))
        return functional.linear(x, *normed(self.weight, self.norm))

    def folded(self) -> nn.Module:
        """Return the layer without a norm that equals this one in evaluation."""
        return Linear.of(*normed(self.weight, self.norm))

    @torch.no_grad()
    def unfold(self, plain: Linear) -> None:
        """Take the weights of a folded layer, which this one then equals in evaluation."""
        self.weight.copy_(plain.weight)
        self.norm.unfold(plain.bias)


class PointLinearNorm(_Weighted):
    """Linear → batch norm, for many rows: with μ = W·m and σ² = diag(W Σ Wᵀ) from the inputs' mean m and covariance Σ,
    the norm goes into the weights in training too, and no pass over the outputs is made."""

    plain: type[Linear] = Linear  # what folding leaves of it

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = linear_weight(inputs, outputs)
        self.norm = BatchNorm(outputs)

    def effective(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight (outputs, inputs) and bias (outputs,) that equal norm and linear together, for this input."""
        if self.training:
            mean, covariance, count = input_moments(x)
            with torch.autocast(x.device.type, enabled=False):
                variance = ((self.weight @ covariance) * self.weight).sum(1).clamp(min=0)
                scale, shift = self.norm.scale_and_shift(self.weight @ mean, variance, count)
            return scale[:, None] * self.weight, shift
        return normed(self.weight, self.norm)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs) → (..., outputs)
        if self.training and in_one_pass(x):
            return self.norm(functional.linear(x, self.weight))
        return functional.linear(x, *self.effective(x))

    def folded(self) -> nn.Module:
        """Return the layer without a norm that equals this one in evaluation."""
        return self.plain.of(*normed(self.weight, self.norm))

    @torch.no_grad()
    def unfold(self, plain: Linear) -> None:
        """Take the weights of a folded layer, which this one then equals in evaluation."""
        self.weight.copy_(plain.weight)
        self.norm.unfold(plain.bias)


class CoordinateLinearNorm(PointLinearNorm):
    """The same on real coordinates: computed in full precision, which three inputs allow; output in autocast's type."""

    plain = CoordinateLinear

    def _outputs(self, x: Tensor) -> Tensor:
        """Return x·Wᵀ as products of few rows each, whose gradients a GPU makes side by side: of all rows together, the
        gradient of so small a matrix is one long sum, which takes it ten times as long."""
        if x.shape[:-1].numel() % ROWS_AT_ONCE:
            return functional.linear(x, self.weight)
        parts = x.reshape(-1, ROWS_AT_ONCE, x.shape[-1])
        return (parts @ self.weight.T.expand(len(parts), -1, -1)).view(*x.shape[:-1], -1)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        wanted = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with torch.autocast(kind, enabled=False):
            if self.training and in_one_pass(x):
                return self.norm.normalized(self._outputs(x), wanted or x.dtype)
            y = super().forward(x)
        return y if wanted is None else y.to(wanted)


class NormThenMax(PointLinearNorm):
    """Linear → batch norm → maximum over points, exactly, without the big tensor: the trunk's last layer."""

    plain = LinearMax

    def forward(self, x: Tensor) -> Tensor:  # (..., N, inputs) → (..., outputs)
        weight, bias = self.effective(x)
        values = linear_max(x, weight)
        return values + bias.to(values.dtype)

    def winners(self, x: Tensor) -> Tensor:
        """Return which point (..., outputs) holds each maximum, for x (..., N, inputs)."""
        return linear_winners(x, self.effective(x)[0])

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.pooled_matrices(x, self.weight, moments=True)


class MaxThenNorm(_Weighted):
    """Linear → maximum over points → batch norm: the order that keeps a T-Net alive (`--tnet pooled`)."""

    begin_as_identity = True  # a live T-Net's first gradients are steep, and its transform noise for the trunk
    between: tuple[str, ...] = ()  # what stands between its neurons and those that read its output

    def __init__(self, inputs: int, outputs: int, neuron: nn.Module) -> None:
        super().__init__()
        self.weight = linear_weight(inputs, outputs)
        self.norm = BatchNorm(outputs)
        self.neuron = neuron

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, N, inputs) → spikes (T, B, outputs)
        values = linear_max(x, self.weight)
        return self.neuron(self.norm(values), timesteps)

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.pooled_matrices(x, self.weight, moments=False)

    def folded(self) -> nn.Module:
        """Return the layer without a norm that equals this one in evaluation; the sign of the factor is kept apart."""
        scale, shift = self.norm.running()
        linear = SignedLinearMax.of(scale.abs()[:, None] * self.weight, shift)
        linear.sign = torch.where(scale < 0, -torch.ones_like(scale), torch.ones_like(scale))
        return MaxThenFire(linear, self.neuron)

    @torch.no_grad()
    def unfold(self, plain: MaxThenFire) -> None:
        """Take the weights of a folded layer, which this one then equals in evaluation."""
        self.weight.copy_(plain.linear.weight)
        self.norm.unfold(plain.linear.bias, plain.linear.sign)


class FireThenMax(nn.Module):
    """Linear → batch norm → neuron at every point → maximum over spikes: the paper's order (`--tnet paper`).

    Each point keeps its own membrane, so the loop over time runs inside one cloud's tile; in training the tile is
    dropped and made again in the backward pass.
    """

    begin_as_identity = False  # as published; from zeros, evaluation with running statistics stays at chance
    between: tuple[str, ...] = ("maximum",)

    def __init__(self, inputs: int, outputs: int, neuron: nn.Module) -> None:
        super().__init__()
        self.point: PointLinearNorm | Linear = PointLinearNorm(inputs, outputs)
        self.neuron = neuron
        self.maximum = Maximum()

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, N, inputs) → spikes (T, B, outputs)
        weight, bias = self.point.effective(x)

        def fire(clouds: Tensor) -> Tensor:
            return self.maximum(self.neuron(functional.linear(clouds, weight, bias), timesteps))

        # A GPU has room for all clouds and one launch for them; a checkpoint would make its host wait as well.
        if not self.neuron.separable or x.device.type == "cuda" or is_traced():
            return fire(x)
        if not torch.is_grad_enabled():
            return torch.cat([fire(cloud) for cloud in x.split(1, dim=1)], 1)
        return torch.cat([checkpoint(fire, cloud, use_reentrant=False) for cloud in x.split(1, dim=1)], 1)

    def products(self, amounts: Tensor) -> Tensor:
        """Return the products (T,) that inputs of these amounts (T, B, N, inputs) enter."""
        return work.linear_products(amounts, len(self.point.weight))

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.pooled_matrices(x, self.point.weight, moments=True)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that maps s to what this one gives for gain·s, once its norm is folded."""
        assert isinstance(self.point, Linear)
        self.point.scale_inputs(gain)
        return self


def linear_weight(inputs: int, outputs: int) -> nn.Parameter:
    """Return an initial weight (outputs, inputs), uniform within ±1/√inputs as in torch's linear layers."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
