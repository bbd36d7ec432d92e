"""NeuroCLIP's inter-timestep adapter (arXiv 2306.12073): it improves image features of T steps; CLIP stays frozen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli import neurons
from spikecli.models.plain import Linear
from spikecli.settings.config import NeuronConfig

# θ = ½, λ = ¼, hard reset, rectangle surrogate. The paper fires at v ≥ θ, our neuron at v > θ: the same but on a point.
SPIKING = NeuronConfig(decay=0.25, threshold=0.5, reset="hard", surrogate="rectangle")

NEURONS: dict[str, NeuronConfig | None] = {"spiking": SPIKING, "relu": None}


class InterTimestepAdapter(nn.Module):
    """F_t = blend·a_t + (1 − blend)·f_t, where a_t has passed a narrow layer of neurons that remember earlier steps."""

    def __init__(
        self,
        dim: int,
        neuron: NeuronConfig | None = SPIKING,
        blend: float = 0.6,
        dropout: float = 0.5,
        norms_by_step: bool = False,
    ) -> None:
        super().__init__()
        self.blend = blend
        self.norms_by_step = norms_by_step  # in training a norm takes each step's statistics by itself, as released
        self.norm_in: nn.Module = nn.BatchNorm1d(dim)
        self.down = nn.Linear(dim, dim // 8)
        self.norm_down: nn.Module = nn.BatchNorm1d(dim // 8)
        self.neuron = neurons.build(neuron, dim // 8)
        self.up = Linear(dim // 8, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return F (T, B, D) for CLIP's image features f (T, B, D), which are not normalized."""
        x = self._normed(self.norm_down, self.down(self.dropout(self._normed(self.norm_in, features))))
        h = self.neuron(x)  # (T, B, D/8), the membrane carried over T
        a = functional.relu(self.up(self.dropout(h)))  # (T, B, D)
        return self.blend * a + (1 - self.blend) * features

    def _normed(self, norm: nn.Module, x: Tensor) -> Tensor:  # (T, B, C) → (T, B, C)
        if self.norms_by_step and self.training:
            return torch.stack([norm(step) for step in x])
        return norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of its layer of neurons and that of the layer that reads the spikes."""
        yield "neuron", ("up",)

    def folded(self) -> nn.Module:
        """Return this adapter with both norms in the weight and bias of the layer between them."""
        (scale_in, shift_in), (scale, shift) = _running(self.norm_in), _running(self.norm_down)
        bias = scale * (self.down.weight @ shift_in + self.down.bias) + shift
        self.down = Linear.of(scale[:, None] * self.down.weight * scale_in, bias)
        self.norm_in, self.norm_down = nn.Identity(), nn.Identity()
        return self


def _running(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the factor and the summand (C,) that equal a batch norm in evaluation."""
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - scale * norm.running_mean


def growing_logits(features: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Return logits (T, B, K) whose mean over T is exp(s)·⟨F/‖F‖, (g, …, g)⟩, F being all steps' features in a row.

    The paper concatenates the T features (T, B, D), normalizes, and repeats the text features (K, D) T times. The
    inner product of the two is a sum over t, so neither is built. With features of length 1, ‖F‖ = √T, and the logits
    are exp(s)·√T·mean_t ⟨f_t, g_k⟩.
    """
    length = features.square().sum(dim=(0, 2), keepdim=True).sqrt()  # (1, B, 1)
    return scale * len(features) * (features @ texts.T) / length


def parameter_count(dim: int) -> int:
    """Return the number of parameters of an adapter for features of size `dim`: 265,600 for 1,024, 67,264 for 512."""
    return sum(parameter.numel() for parameter in InterTimestepAdapter(dim).parameters())
