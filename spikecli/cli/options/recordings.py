"""The options of `view` for recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from spikecli.cli.options import clip as clip_options
from spikecli.cli.options import common as options

Slicing = Annotated[str, typer.Option(help="Slices of equal count or time.")]
Speed = Annotated[float, typer.Option(min=1e-6, help="Of a film: 1 is real time, 0.1 ten times slower.")]
Fps = Annotated[int, typer.Option(min=1, max=50, help="Frames a second of a film.")]


@dataclass(frozen=True)
class RecordingOptions:
    """Options of slices and films."""

    panel: ClassVar[str] = "Recordings"

    slicing: Slicing = "count"
    speed: Speed = 1.0
    fps: Fps = 20


@dataclass(frozen=True)
class ThroughClip:
    """Options of CLIP: the model, the style of pictures, and the question."""

    panel: ClassVar[str] = "What CLIP sees of recordings (--show clip)"

    image_preset: clip_options.ImagePreset = "gray"
    normalization: clip_options.Normalization = "clip"
    clip: clip_options.Clip = None
    weights: clip_options.Weights = None
    quick_gelu: clip_options.QuickGelu = None
    classes: clip_options.Classes = None
    templates: clip_options.Templates = None
    device: options.Device = "auto"
