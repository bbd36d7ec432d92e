"""RMP-Loss (2308.06787): pull the fire function's input toward its output; and measure the quantization error.

The form is the one we recall; it was not checked against the paper: q(u) = |u| below the threshold and |1 − u| above,
the loss λ · mean(q^p) over steps, layers and elements. We write q = |u − s| with s the spike that u gives, held fixed,
which is the distance to −1, 0 or 1 for ternary spikes; u is what fire sees, after a membrane norm or rectifier.
Inference is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons.watch import watched
from spikecli.training.fire_loss import FireLoss


class _Distance(torch.autograd.Function):
    """Means over the elements of |u − s|^p and of |u − s|; the first has a gradient, to u alone."""

    @staticmethod
    def forward(u: Tensor, spikes: Tensor, power: int) -> tuple[Tensor, Tensor]:
        difference = u - spikes
        error = mean_power(difference, 1)
        return error.clone() if power == 1 else mean_power(difference, power), error

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, Tensor]) -> None:
        u, spikes, ctx.power = inputs
        ctx.save_for_backward(u, spikes)  # which fire and the next layer keep anyway
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        u, spikes = ctx.saved_tensors
        scale = (gradient * ctx.power / u.numel()).to(u.dtype)
        difference = u - spikes
        return (difference.sign_() if ctx.power == 1 else difference).mul_(scale), None, None


def mean_power(x: Tensor, power: int) -> Tensor:
    """Return the mean of |x|^p, p 1 or 2, in float32 at least; row by row: one long sum would lose small terms."""
    kind = torch.promote_types(x.dtype, torch.float32)
    if power == 1:  # several times as fast as the norm in bfloat16
        return x.abs().sum(-1, dtype=kind).mean() / x.shape[-1]
    return torch.linalg.vector_norm(x, 2, dim=-1, dtype=kind).square().mean() / x.shape[-1]


def distance(u: Tensor, spikes: Tensor, power: int) -> tuple[Tensor, Tensor]:
    """Return the means of |u − s|^p and of |u − s|, in float32 at least; spikes are held fixed, p is 1 or 2."""
    penalty, error = _Distance.apply(u, spikes.detach(), power)
    return penalty, error


class MembraneLoss(FireLoss):
    """The penalty of each forward pass of a network in training, read by hooks on its fire functions.

    With several processes each takes the mean over its own share of the batch; the shares are of one size, so averaging
    the gradients makes it the mean over the whole batch.
    """

    def __init__(self, model: nn.Module, power: int) -> None:
        super().__init__(model)
        self._power = power

    def terms(self, u: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of |u − s|^p and of |u − s|."""
        return distance(u, spikes, self._power)

    def take(self) -> tuple[Tensor, Tensor]:
        """Return the penalty and the mean |u − s| of the forward pass just made, each layer's steps and tiles averaged
        before the layers are, and let go of them."""
        means = [torch.stack([torch.stack(pair) for pair in pairs]).mean(0) for pairs in self._terms.values()]
        self._terms.clear()
        penalty, error = torch.stack(means).mean(0)
        return penalty, error.detach()


class Quantization:
    """Sums of |u − s| by layer and step, over the forward passes seen."""

    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps
        self.layers: dict[str, Tensor] = {}  # (2, T): sums of |u − s|, and of how many

    def error(self, timesteps: int, name: str | None = None) -> float | None:
        """Return the mean |u − s| over the first `timesteps` steps, of a layer or as the mean over the layers; None
        where there are no neurons."""
        chosen = self.layers.values() if name is None else [self.layers[name]] if name in self.layers else []
        means = [sums[0, :timesteps].sum() / sums[1, :timesteps].sum() for sums in chosen]
        return torch.stack(means).mean().item() if means else None


@contextmanager
def quantization(model: nn.Module, timesteps: int) -> Iterator[Quantization]:
    """Yield the quantization error of the block's forward passes; the hooks are removed afterwards."""
    seen = Quantization(timesteps)

    def on_fire(name: str, step: int, u: Tensor, spikes: Tensor) -> None:
        sums = seen.layers.setdefault(name, torch.zeros(2, timesteps, dtype=torch.float64))
        sums[0, step] += mean_power(u - spikes, 1).double().cpu() * spikes.numel()
        sums[1, step] += spikes.numel()

    with watched(model, on_fire):
        yield seen
