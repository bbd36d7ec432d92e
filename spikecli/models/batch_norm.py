"""Batch normalization in the last axis, over everything else; its form without a pass over the outputs is `layers`'."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.machine import processes
from spikecli.models.moments import output_moments
from spikecli.neurons import kernel_gate
from spikecli.neurons.answers import GoesInto

ONE_PASS = {"cuda"}  # kinds of devices
_KERNELS = "models.norm_kernels"


class BatchNorm(nn.Module):
    """Batch normalization over all axes but the last: statistics pooled over time steps, samples, points, processes."""

    goes_into = GoesInto("batch norm", "weight and bias")

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.momentum = momentum
        self.eps = eps
        self.measuring = False  # in training: take statistics, but compute as in evaluation
        self._measured = 0  # rows

    def scale_and_shift(self, mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Update the running statistics and return (scale, shift) for the batch statistics.

        While `measuring`, return (scale, shift) as `hold` has kept them.
        """
        if self.measuring:
            self._measure(mean, variance, count)
            return self.weight, self.bias
        with torch.no_grad():
            unbiased = variance * (count / max(count - 1, 1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return scale, self.bias - scale * mean

    def running(self) -> tuple[Tensor, Tensor]:
        """Return (scale, shift) for the running statistics."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - scale * self.running_mean

    @torch.no_grad()
    def hold(self) -> None:
        """Begin to measure: `weight` and `bias` become scale and shift of evaluation, by which the layer goes on."""
        scale, shift = self.running()
        self.weight.copy_(scale)
        self.bias.copy_(shift)
        self.measuring, self._measured = True, 0

    @torch.no_grad()
    def _measure(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Join the moments of `count` rows with those of all rows since `hold`."""
        share = count / (self._measured + count)
        apart = mean.to(self.running_mean.dtype) - self.running_mean
        self.running_var.lerp_(variance.to(self.running_var.dtype), share).add_(share * (1 - share) * apart.square())
        self.running_mean.add_(share * apart)
        self._measured += count

    @torch.no_grad()
    def release(self) -> None:
        """End measuring: with the statistics found, the layer computes in evaluation what it computed before.

        y·s + b = γ·(y − μ)/√(σ² + ε) + β for γ = s·√(σ² + ε) and β = b + s·μ.
        """
        self.bias.add_(self.weight * self.running_mean)
        self.weight.mul_((self.running_var + self.eps).sqrt())
        self.measuring = False

    @torch.no_grad()
    def unfold(self, shift: Tensor, sign: Tensor | None = None) -> None:
        """Become y·sign + shift in evaluation: what folding has left of a norm."""
        self.running_mean.zero_()
        self.running_var.fill_(1 - self.eps)
        self.weight.copy_(torch.ones_like(shift) if sign is None else sign)
        self.bias.copy_(shift)

    def forward(self, y: Tensor) -> Tensor:
        return self.normalized(y, y.dtype)

    def normalized(self, y: Tensor, kind: torch.dtype) -> Tensor:
        """Return the normalized y, in the type `kind`."""
        if self.training and not self.measuring and in_one_pass(y):
            rows = y.reshape(-1, y.shape[-1])
            running, how = (self.running_mean, self.running_var), (self.momentum, self.eps)
            if kernel_gate.usable(rows) and self.weight.dtype == torch.float32:
                output, _, _ = _RowNorm.apply(rows.contiguous(), self.weight, self.bias, running, *how, kind)
            else:
                output = torch.batch_norm(rows, self.weight, self.bias, *running, True, *how, False)  # not cuDNN's
            return output.view(y.shape).to(kind)
        scale, shift = self.scale_and_shift(*output_moments(y)) if self.training else self.running()
        return torch.addcmul(shift, y.to(scale.dtype), scale).to(kind)


def in_one_pass(y: Tensor) -> bool:
    """Return whether to normalize the outputs in few passes: on a GPU, in a single process.

    There a pass over the outputs costs less than the small kernels that would avoid it. Few rows do not use it.
    """
    return y.device.type in ONE_PASS and processes.world() == 1 and y.numel() > y.shape[-1]


class _RowNorm(torch.autograd.Function):
    """Batch norm of rows (M, C) by our own kernels."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running: tuple[Tensor, Tensor],
        momentum: float,
        eps: float,
        kind: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        forward = kernel_gate.kernels(_KERNELS).forward
        output: tuple[Tensor, Tensor, Tensor] = forward(x, weight, bias, running, momentum, eps, kind)
        return output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.save_for_backward(inputs[0], inputs[1], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        to_x, to_weight, to_bias = kernel_gate.kernels(_KERNELS).backward(gradient.contiguous(), *ctx.saved_tensors)
        return to_x, to_weight, to_bias, None, None, None, None
