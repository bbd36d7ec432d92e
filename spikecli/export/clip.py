"""An adapter with CLIP's image tower as one network: pictures in, logits out; the texts are constants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikecli.weights.adapted import Adapted


class ClipHead(nn.Module):
    """Logits (T, 1, K) of the T pictures (T, 3, S, S), in 0 … 1, of one recording.

    The mean over T is exp(s)·⟨F/‖F‖, (g, …, g)⟩ with F all steps' features in a row (2306.12073). For one step alone
    ‖F‖ is that of the step.
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
        features = self.tower((pictures - self.mean) / self.std).unsqueeze(1)  # (T, 1, D)
        features = self.adapter(features)
        length = features.square().sum(dim=(0, 2), keepdim=True).sqrt()
        return self.scale * features.shape[0] * (features @ self.texts.T) / length
