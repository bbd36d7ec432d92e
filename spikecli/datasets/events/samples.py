"""Prepared recordings as network input: frames of counts, sliced for each number of time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikecli.datasets.events.frames import SLICINGS, fitted, to_frames
from spikecli.datasets.events.recording import Recording
from spikecli.datasets.events.split import EventSplit, split_frames
from spikecli.progress import Progress
from spikecli.settings.config import Resize, TrainConfig
from spikecli.settings.networks import map_size

Size = tuple[int, int]  # height, width
_AT_ONCE = 64  # recordings whose frames are held as the sensor has them
_NARROW = (np.uint8, np.int16)


@dataclass(frozen=True)
class Framing:
    """Settings that turn events into frames: slices by count or time, maps of `size`.

    `reference` is the T that a network was trained with. Frames are plain counts, up to that T; with a larger one they
    are multiplied by T / reference, so that a frame holds as much as the network has learned to expect. With a smaller
    one the fuller frames make up for what the membrane does not get to add up: docs/networks.md has both measured.
    """

    slicing: str
    size: Size
    reference: int
    resize: Resize = "bilinear"

    @classmethod
    def of_config(cls, config: TrainConfig) -> Framing:
        """Return the framing of a trained network's settings."""
        return cls(config.slicing, map_size(config.model), config.timesteps, config.resize)

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return counts (S, T, 2, H, W) of a sensor as frames of `size`, in the narrowest type that holds them."""
        timesteps = counts.shape[1]
        if counts.shape[-2:] != self.size:
            import torch

            pictures = torch.from_numpy(counts.reshape(-1, *counts.shape[2:]).astype(np.float32))
            counts = fitted(pictures, 0.0, self.size, self.resize).numpy().reshape(*counts.shape[:3], *self.size)
        if timesteps > self.reference:
            return counts * np.float32(timesteps / self.reference)
        if counts.dtype == np.int32:
            most = counts.max(initial=0)
            return counts.astype(next((kind for kind in _NARROW if most <= np.iinfo(kind).max), np.int32))
        return counts

    def of_recording(self, recording: Recording, timesteps: int) -> np.ndarray:
        """Return the frames (T, 2, H, W) of one recording."""
        return self.of(to_frames(recording, SLICINGS[self.slicing](timesteps))[None])[0]


@dataclass(frozen=True, eq=False)
class EventSamples:
    """A split of recordings; the network input depends on the number of time steps."""

    source: EventSplit
    framing: Framing
    progress: Progress

    static: ClassVar[bool] = False
    unit_name: ClassVar[str] = "recordings"
    kind: ClassVar[str] = "events"

    @property
    def labels(self) -> np.ndarray:
        return self.source.labels

    @property
    def classnames(self) -> tuple[str, ...]:
        return self.source.classnames

    @property
    def dataset(self) -> str:
        return self.source.dataset

    @property
    def fingerprint(self) -> str:
        return self.source.fingerprint

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return the frames (S, T, 2, H, W) of all or the chosen recordings; progress is reported for each part."""
        chosen = np.arange(len(self.labels)) if chosen is None else chosen
        slicing = SLICINGS[self.framing.slicing](timesteps)
        self.progress.on_phase(f"slicing {self.dataset}", len(chosen))
        parts = []
        for start in range(0, len(chosen), _AT_ONCE):
            indices = chosen[start : start + _AT_ONCE]
            parts.append(self.framing.of(split_frames(self.source, slicing, indices)))
            self.progress.on_step(len(indices))
        return np.concatenate(parts)
