"""An adapter with CLIP's image tower as one network: pictures in, logits out; the texts are constants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikecli.export.membranes import Box
from spikecli.weights.adapted import Adapted

SUMS = ("products", "squares")  # over the steps so far, carried beside the membranes


class ClipHead(nn.Module):
    """Logits (T, 1, K) of the T pictures (T, 3, S, S), in 0 … 1, of one recording.

    The mean over T is exp(s)·⟨F/‖F‖, (g, …, g)⟩ with F all steps' features in a row (2306.12073).
    """

    texts: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, adapter: nn.Module, adapted: Adapted) -> None:
        super().__init__()
        clip = adapted.clip
        self.adapter, self.tower = adapter, clip.module.visual
        self.scale = adapted.scale
        paper = adapted.viewing.normalization == "paper"
        ones = (1.0,) * len(clip.std)
        self.register_buffer("texts", adapted.texts.clone())
        self.register_buffer("mean", torch.tensor((0.5,) * 3 if paper else clip.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(ones if paper else clip.std)[:, None, None])

    def forward(self, pictures: Tensor, timesteps: int = 1) -> Tensor:
        features = self.features(pictures)
        length = features.square().sum(dim=(0, 2), keepdim=True).sqrt()
        return self.scale * features.shape[0] * (features @ self.texts.T) / length

    def features(self, pictures: Tensor) -> Tensor:
        """Return the adapted features (T, 1, D)."""
        adapted: Tensor = self.adapter(self.tower((pictures - self.mean) / self.std).unsqueeze(1))
        return adapted


class GrowingHead(ClipHead):
    """Logits (1, 1, K) of all steps so far, from one picture and the sums over the steps before.

    exp(s)·Σ⟨F_t, g⟩/√(Σ‖F_t‖²), which after the last step is the answer of `ClipHead` to all steps (2306.12073).
    """

    def __init__(self, adapter: nn.Module, adapted: Adapted) -> None:
        super().__init__(adapter, adapted)
        self.box = Box()

    def forward(self, pictures: Tensor, timesteps: int = 1) -> Tensor:
        features = self.features(pictures)[0]  # (1, D)
        sums = features @ self.texts.T, features.square().sum(1, keepdim=True)
        for name, value in zip(SUMS, sums, strict=True):
            self.box.left[name] = self.box.given[name] + value if name in self.box.given else value
        products, squares = (self.box.left[name] for name in SUMS)
        return (self.scale * products / squares.sqrt()).unsqueeze(0)

    def sums(self) -> dict[str, tuple[int, int]]:
        """Return the shapes of the sums: (1, K) and (1, 1)."""
        return dict(zip(SUMS, ((1, len(self.texts)), (1, 1)), strict=True))
