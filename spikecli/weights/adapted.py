"""A few-shot adapter with the CLIP that it was fitted to: opened once, then handed on like any trained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from spikecli.models.adapter import growing_logits
from spikecli.weights.trained import Opened


class Encoder(Protocol):
    """A frozen CLIP; `neuroclip.clip.ClipModel` is one."""

    @property
    def module(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...  # pixels, both sides of a picture
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...

    def encode_images(self, images: Tensor, normalization: str) -> Tensor:
        """Return features (S, D) of pictures (S, 3, h, w) in 0…1."""


class Viewed(Protocol):
    """How a recording becomes T pictures; `neuroclip.features.Viewing` says it."""

    @property
    def timesteps(self) -> int: ...
    @property
    def slicing(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def normalization(self) -> str: ...
    @property
    def threshold(self) -> int: ...
    @property
    def slices(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Adapted(Opened):
    """An adapter, `network`, which maps CLIP's features (T, B, D) to (T, B, D), and what it was fitted to.

    `texts` are the features (K, D) of the class names, `scale` the factor of the logits.
    """

    clip: Encoder
    viewing: Viewed
    texts: Tensor
    scale: float

    def encode(self, pictures: Tensor) -> Tensor:
        """Return CLIP's features (S, D) of pictures (S, 3, h, w) in 0…1."""
        return self.clip.encode_images(pictures, self.viewing.normalization)

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (T, B, K) of CLIP's features (B, T, D)."""
        return growing_logits(self.network(features.transpose(0, 1)), self.texts, self.scale)
