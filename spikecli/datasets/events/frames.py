"""Turn events into frames (counts by slice and polarity) and frames into images for CLIP; no event is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spikecli.datasets.events.recording import Recording
from spikecli.errors import SpikeError
from spikecli.settings.config import Resize

if TYPE_CHECKING:
    import torch


class Slicing(Protocol):
    """A rule that divides the events of a recording into `timesteps` slices."""

    @property
    def timesteps(self) -> int: ...

    def assign(self, t: np.ndarray) -> np.ndarray:
        """Return a new int64 array, the slice 0 … timesteps − 1 of each event; t (N,) in µs, in order of time."""


@dataclass(frozen=True)
class EqualCount:
    """Slices of ⌊N/T⌋ events each, the last with the rest (NeuroCLIP, arXiv 2306.12073)."""

    timesteps: int

    def __post_init__(self) -> None:
        _check_timesteps(self.timesteps)

    def assign(self, t: np.ndarray) -> np.ndarray:
        """Return the slice of each event; raise SpikeError if there are fewer events than slices."""
        _check_enough(len(t), self.timesteps)
        sizes = np.full(self.timesteps, len(t) // self.timesteps)
        sizes[-1] += len(t) % self.timesteps
        return np.repeat(np.arange(self.timesteps), sizes)


@dataclass(frozen=True)
class EqualTime:
    """Slices of equal duration from the first event to the last; a slice may be empty."""

    timesteps: int

    def __post_init__(self) -> None:
        _check_timesteps(self.timesteps)

    def assign(self, t: np.ndarray) -> np.ndarray:
        """Return the slice of each event; raise SpikeError if there are fewer events than slices."""
        _check_enough(len(t), self.timesteps)
        since = np.asarray(t, np.int64) - int(t[0])
        return since * self.timesteps // (int(since[-1]) + 1)


def _check_timesteps(timesteps: int) -> None:
    if timesteps < 1:
        raise SpikeError(f"found {timesteps} time steps; wanted at least 1; change the number of time steps")


def _check_enough(events: int, timesteps: int) -> None:
    if events < timesteps:
        raise SpikeError(
            f"found a recording of {events} events; wanted at least one for each of {timesteps} slices; "
            "use fewer time steps"
        )


SLICINGS: dict[str, Callable[[int], Slicing]] = {"count": EqualCount, "time": EqualTime}


def to_frames(recording: Recording, slicing: Slicing, height: int = 0, width: int = 0) -> np.ndarray:
    """Return the counts (T, 2, H, W) int32 of `recording`; channel 0 holds p = 0; they sum to the number of events.

    Height and width are the sensor's unless given. Raise SpikeError if an event lies outside them or there are fewer
    events than slices.
    """
    height, width, events = height or recording.height, width or recording.width, recording.events
    if len(events) and (int(events["x"].max()) >= width or int(events["y"].max()) >= height):
        raise SpikeError(
            f"found events out to x = {events['x'].max()}, y = {events['y'].max()}; wanted a sensor of "
            f"{width} x {height} pixels to hold them; give the recording's own size"
        )
    return count_frames(events["x"], events["y"], events["t"], events["p"], slicing, height, width)


def count_frames(
    x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray, slicing: Slicing, height: int, width: int
) -> np.ndarray:
    """Return the counts (T, 2, H, W) int32 of events given as columns that are known to lie inside the sensor."""
    timesteps = slicing.timesteps
    place = slicing.assign(t)
    for side, axis in ((2, p), (height, y), (width, x)):  # ((slice · 2 + p) · H + y) · W + x, without new arrays
        place *= side
        place += axis.astype(np.int64)  # added as it is, each addition would cast in small blocks
    counts = np.bincount(place, minlength=timesteps * 2 * height * width)
    return counts.astype(np.int32).reshape(timesteps, 2, height, width)


def to_images(frames: np.ndarray, preset: str = "gray", size: int = 224, threshold: int = 0) -> torch.Tensor:
    """Return images (…, 3, S, S) float32 in 0 … 1 of frames (…, 2, H, W); any number of axes may stand in front.

    A sensor that is not square gets a margin of the preset's ground, so that nothing is squeezed; then it is scaled
    bilinearly. `threshold` is m of the gray image: a pixel is drawn where more than m events fell.
    Raise SpikeError for an unknown preset.
    """
    import torch

    drawing = PRESETS.get(preset)
    if drawing is None:
        raise SpikeError(f"found no image preset {preset!r}; wanted one of {', '.join(PRESETS)}")
    *front, _, height, width = frames.shape
    counts = torch.from_numpy(np.ascontiguousarray(frames, np.float32)).reshape(-1, 2, height, width)
    pictures = fitted(drawing.draw(counts, threshold), drawing.ground, (size, size)).clamp_(0, 1)
    return pictures.expand(-1, 3, -1, -1).reshape(*front, 3, size, size)


def fitted(pictures: torch.Tensor, ground: float, size: tuple[int, int], resize: Resize = "bilinear") -> torch.Tensor:
    """Return pictures (B, C, H, W) at `size`: centered on a ground of its proportions, then scaled.

    Bilinearly, or by the nearest pixel, which keeps counts whole and drops those between (CIFAR10-DVS as released).
    """
    from torch.nn import functional

    height, width = pictures.shape[-2:]
    scale = max(height / size[0], width / size[1])
    more = max(0, round(size[0] * scale) - height), max(0, round(size[1] * scale) - width)
    top, left = more[0] // 2, more[1] // 2
    whole = functional.pad(pictures, (left, more[1] - left, top, more[0] - top), value=ground)
    if resize == "nearest":
        return functional.interpolate(whole, size=size, mode="nearest")
    # Shrinking without the antialias would drop single pixels, and a frame is made of single pixels.
    return functional.interpolate(whole, size=size, mode="bilinear", antialias=scale > 1)


def _gray(counts: torch.Tensor, threshold: int) -> torch.Tensor:
    """Return the paper's canvas of 127: 255 where channel 0 > m, then 0 where channel 1 > m (arXiv 2306.12073)."""
    import torch

    off, on = counts.split(1, dim=1)
    return torch.where(on > threshold, 0.0, torch.where(off > threshold, 255.0, 127.0)) / 255


def _strength(counts: torch.Tensor) -> torch.Tensor:
    """Return counts (B, C, H, W) as 0 … 1, full at mean + 2 deviations of the lit pixels' logarithms."""
    # Not at the maximum, nor by the plain mean: one hot pixel with thousands of events must not darken all others.
    logs = counts.clamp_min(1).log()
    lit = (counts > 0).sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    mean = logs.sum(dim=(1, 2, 3), keepdim=True) / lit
    spread = ((logs**2).sum(dim=(1, 2, 3), keepdim=True) / lit - mean**2).clamp_min(0).sqrt()
    return (counts / (mean + 2 * spread).exp()).clamp_max(1)


def _histogram(counts: torch.Tensor, threshold: int) -> torch.Tensor:
    """Return the count of both polarities, bright on black."""
    return _strength(counts.sum(dim=1, keepdim=True))


def _white(counts: torch.Tensor, threshold: int) -> torch.Tensor:
    """Return the count of both polarities, dark on white, as in EventCLIP."""
    return 1 - _histogram(counts, threshold)


def _redblue(counts: torch.Tensor, threshold: int) -> torch.Tensor:
    """Return brighter events in red and darker ones in blue on white, (B, 3, H, W)."""
    import torch

    off, on = _strength(counts).split(1, dim=1)
    return torch.cat([1 - off, (1 - off - on).clamp_min(0), 1 - on], dim=1)


@dataclass(frozen=True)
class Preset:
    """A style of picture: the function of counts (B, 2, H, W) and m to (B, 1 or 3, H, W) in 0 … 1, and the ground."""

    draw: Callable[[torch.Tensor, int], torch.Tensor]
    ground: float


PRESETS = {
    "gray": Preset(_gray, 127 / 255),
    "white": Preset(_white, 1.0),
    "redblue": Preset(_redblue, 1.0),
    "histogram": Preset(_histogram, 0.0),
}
