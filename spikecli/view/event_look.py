"""What can be asked of pictures of recordings, beside what can be asked of every picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spikecli.datasets.frames import SLICINGS, Slicing
from spikecli.errors import SpikeError

MOST_FRAMES = 1500  # of a film: a GIF is put together in memory


@dataclass(frozen=True)
class EventLook:
    """How a recording is sliced and filmed: `speed` 1 is real time, 0.1 ten times slower; `fps` frames a second."""

    slicing: str = "count"
    speed: float = 1.0
    fps: int = 20

    def slices(self, timesteps: int) -> Slicing:
        """Return how the events are shared out; SpikeError when there is no such slicing."""
        if self.slicing not in SLICINGS:
            raise SpikeError(f"found slicing {self.slicing!r}; wanted one of {', '.join(SLICINGS)}")
        return SLICINGS[self.slicing](timesteps)

    def frames(self, name: str, duration: float) -> int:
        """Return how many frames a film of `duration` ms has; SpikeError when these are too few or too many."""
        count = round(duration / 1000 / self.speed * self.fps)
        if count < 2:
            raise SpikeError(
                f"{name} lasts {duration:g} ms, at speed {self.speed:g} and {self.fps} frames a second a film of "
                f"{max(count, 1)} frame; wanted at least 2; lower --speed, or name a .png"
            )
        if count > MOST_FRAMES:
            raise SpikeError(
                f"{name} lasts {duration / 1000:,.1f} s, at speed {self.speed:g} and {self.fps} frames a second a film "
                f"of {count:,} frames; wanted at most {MOST_FRAMES:,}; raise --speed or lower --fps"
            )
        return count


@dataclass(frozen=True)
class ClipLook:
    """Which CLIP looks at the slices of a recording, at what pictures of them, and what it is asked."""

    image_preset: str = "gray"
    normalization: str = "clip"
    clip: str | None = None
    weights: str | None = None
    quick_gelu: bool | None = None
    classes: str | None = None
    templates: Path | None = None
    device: str = "auto"
