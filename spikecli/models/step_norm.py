"""Batch norms that tell the time steps apart: TEBN and BNTT. Folding leaves a kernel and a bias for each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.models import work
from spikecli.models.convolution import ConvNorm, Convolution
from spikecli.models.map_norm import BY_STEP, MapNorm, norm_scale
from spikecli.models.moments import output_moments
from spikecli.models.work import Product
from spikecli.settings.networks import MapConfig


def of_steps(values: Tensor, count: int) -> Tensor:
    """Return the values (T, ...) of `count` steps: those beyond T have the last one's."""
    return values[torch.arange(count, device=values.device).clamp(max=len(values) - 1)]


class EffectiveNorm(MapNorm):
    """TEBN: p_t·BN(y_t), with a trained factor p_t for each of the T steps, 1 at first (NeurIPS 2022, pages
    34377–34390; not on arXiv).

    Statistics, γ and β are common to all steps. Steps beyond T have the last one's factor.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__(channels)
        self.factor = nn.Parameter(torch.ones(steps))

    def forward(self, y: Tensor) -> Tensor:  # (T, B, H, W, C)
        return super().forward(y) * of_steps(self.factor, len(y)).to(y.dtype).view(-1, *[1] * (y.dim() - 1))

    def by_step(self) -> tuple[Tensor, Tensor]:
        """Return (scale, shift) of evaluation, each (T, C)."""
        scale, shift = self.running()
        return self.factor[:, None] * scale, self.factor[:, None] * shift


class NormThroughTime(MapNorm):
    """BNTT: γ_t·(y_t − μ_t)/√(σ_t² + ε) with statistics and a trained γ of each step, no β (2010.01729).

    Steps beyond T have the last one's γ, μ and σ.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__(steps * channels, eps=1e-4)
        self.steps, self.channels = steps, channels
        del self.bias
        self.register_buffer("bias", torch.zeros(steps * channels))

    def forward(self, y: Tensor) -> Tensor:
        """Return the normed maps (T, B, H, W, C); raise SpikeError if training gives fewer steps than there are."""
        if self.training and len(y) < self.steps:
            raise SpikeError(
                f"a norm of {self.steps} time steps was given {len(y)} in training; train with all of them"
            )
        scale, shift = self._measured_scale(y) if self.training else self.running()
        scale, shift = (
            of_steps(each.view(self.steps, self.channels), len(y)).view(len(y), *[1] * (y.dim() - 2), self.channels)
            for each in (scale, shift)
        )
        return torch.addcmul(shift, y.to(scale.dtype), scale).to(y.dtype)

    def _measured_scale(self, y: Tensor) -> tuple[Tensor, Tensor]:
        steps = y[: self.steps].movedim(0, -2)  # (B, H, W, T, C): a step and a channel are one feature
        return self.scale_and_shift(*output_moments(steps.flatten(-2)))

    def by_step(self) -> tuple[Tensor, Tensor]:
        """Return (scale, shift) of evaluation, each (T, C)."""
        scale, shift = self.running()
        return scale.view(self.steps, -1), shift.view(self.steps, -1)


class ByStep(Protocol):
    """A norm of maps (T, B, H, W, C) with a scale and a shift of its own at each step."""

    weight: nn.Parameter

    def by_step(self) -> tuple[Tensor, Tensor]:
        """Return (scale, shift) of evaluation, each (T, C)."""

    def __call__(self, y: Tensor) -> Tensor: ...


class StepConvNorm(ConvNorm):
    """Convolution → a batch norm that tells the time steps apart."""

    norm: ByStep  # type: ignore[assignment]
    tells_steps = True

    def forward(self, x: Tensor) -> Tensor:  # (T, B, H, W, inputs) → (T, B, H', W', outputs)
        return self.norm(self.convolve(x, self.weight, None))

    @torch.no_grad()
    def folded(self) -> Convolution:
        """Return the convolution with a kernel for each step that equals this one in evaluation."""
        return StepConvolution.of(self)

    def unfold(self, plain: Convolution) -> None:
        """Raise SpikeError: kernels of single steps do not become one kernel and its norm again."""
        raise SpikeError(
            f"a network with {named('batch_norm')} tebn or bntt cannot be trained on from its folded form; give the "
            "run that it was folded from"
        )


class StepConvolution(Convolution):
    """A convolution with a kernel and a bias for each time step; steps beyond the last have its own."""

    tells_steps = True

    @classmethod
    def of(cls, layer: StepConvNorm) -> StepConvolution:
        """Return the layer that equals `layer` in evaluation: K_t = s_t·K and b_t, with s and b of its norm."""
        scale, shift = layer.norm.by_step()
        plain = cls(layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        plain.weight = nn.Parameter(scale[:, :, None, None, None] * layer.weight)
        plain.bias = nn.Parameter(shift)
        return plain.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:  # (T, B, H, W, inputs) → (T, B, H', W', outputs)
        assert self.bias is not None
        last = len(self.weight) - 1
        steps = [self.convolve(x[t : t + 1], self.weight[min(t, last)], self.bias[min(t, last)]) for t in range(len(x))]
        return torch.cat(steps)

    def scale_inputs(self, gain: Tensor) -> nn.Module:
        """Return the layer that gives for s what this one gives for gain·s; raise SpikeError for a gain a place."""
        if gain.dim() > 1:
            raise SpikeError(
                f"it has a kernel for each time step ({named('batch_norm')}), and an amplitude for each place would "
                f"need one for each place too; train with {named('amplitude')} channel"
            )
        self.weight = nn.Parameter(self.weight * gain[:, None, None])
        return self

    def matrices(self, x: Tensor, output: Tensor) -> list[Product]:
        """Return the matrix products of a pass from x to `output`."""
        return work.trained(x, Product(output.shape[:-1].numel(), self.weight[0, 0].numel(), output.shape[-1]))


# What follows a convolution, by the setting batch_norm; the others are MapNorm with another scale or scope.
NORMS_BY_STEP: dict[str, Callable[[int, int], nn.Module]] = {"tebn": EffectiveNorm, "bntt": NormThroughTime}


def conv_norms(config: MapConfig) -> Callable[..., ConvNorm]:
    """Return the maker (inputs, outputs, kernel=3, stride=1, alpha=1.0) of a network's convolutions with a norm."""

    def make(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, alpha: float = 1.0) -> ConvNorm:
        shape, scale = (inputs, outputs, kernel, stride), norm_scale(config, alpha)
        if config.batch_norm not in NORMS_BY_STEP:
            layer = ConvNorm(*shape, scale=scale)
            layer.norm.by_itself = config.batch_norm in BY_STEP
            return layer
        layer = StepConvNorm(*shape)
        norm = NORMS_BY_STEP[config.batch_norm](outputs, config.steps)
        nn.init.constant_(norm.weight, scale)  # type: ignore[arg-type]
        layer.norm = norm  # type: ignore[assignment]
        return layer

    return make


def at_each_step(x: Tensor, timesteps: int, config: MapConfig) -> Tensor:
    """Return maps (1, B, ...) as (T, B, ...) where the norms tell the steps apart: no step's work serves another."""
    return x.expand(timesteps, *x.shape[1:]) if config.tells_steps and len(x) == 1 else x


def demand_every_step(network: nn.Module) -> None:
    """Raise SpikeError, with its name, if a layer needs to know which time step it computes."""
    for name, module in network.named_modules():
        if getattr(module, "tells_steps", False):
            raise SpikeError(
                f"{name} has weights of its own for each time step ({named('batch_norm')} tebn or bntt), and a single "
                "step does not say which one it is; give all steps at once"
            )
