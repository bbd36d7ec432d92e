"""How each kind of data enters a graph: the first input, and the preprocessing in front of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.export.fronts import Canvas, Pixels, Raw, Slices, Sphere
from spikecli.export.subject import Subject
from spikecli.export.wanted import Wanted

BATCH, POINTS = 2, 48  # of the example that is traced; both are free in the graph
SHARE = 16  # membranes hold all points, a quarter or a sixteenth of them


@dataclass(frozen=True)
class Input:
    """An input of a graph: an example of it, the names of its free axes, and what it holds."""

    name: str
    example: Tensor
    axes: dict[int, str]
    holds: str
    fewest: int = 1  # points

    @property
    def shape(self) -> str:
        """The shape and type for people: float32 (batch, points, 3)."""
        sizes = (self.axes.get(axis, str(size)) for axis, size in enumerate(self.example.shape))
        return f"{str(self.example.dtype).removeprefix('torch.')} ({', '.join(sizes)})"


@dataclass(frozen=True)
class Shown:
    """How a kind of data enters a graph: the module in front, the first input, and what preprocessing it does."""

    front: nn.Module
    input: Input
    preprocessing: str
    batched: bool = True


def shown_as(subject: Subject, wanted: Wanted) -> Shown:
    """Return the front of a kind of data; raise SpikeError for a kind that has none."""
    maker = FRONTS.get(subject.kind)
    if maker is None:
        raise SpikeError(f"{subject.name} takes {subject.kind}; an export is of {', '.join(FRONTS)}")
    return maker(subject, wanted)


def _points(subject: Subject, wanted: Wanted) -> Shown:
    fewest = getattr(subject.network, "fewest_points", 1)
    inputs = getattr(subject.trained and subject.trained.config.model, "inputs", 3)
    cloud = torch.randn(BATCH, POINTS, inputs, generator=torch.Generator().manual_seed(0)) / 3
    least = ", each point with its normal" * (inputs > 3) + f", {fewest} points or more" * (fewest > 1)
    axes = {0: "batch", 1: "points"}
    if wanted.raw:
        return Shown(Raw(), Input("points", cloud, axes, f"clouds centered in the unit sphere{least}", fewest), "none")
    done = "each cloud is centered on its mean and scaled so that its farthest point is at distance 1"
    return Shown(Sphere(), Input("points", cloud, axes, f"clouds of any place and scale{least}", fewest), done)


def _frames(subject: Subject, wanted: Wanted) -> Shown:
    assert subject.trained is not None
    config, sensor = subject.trained.config, subject.sensor(wanted.sensor) or (0, 0)
    size, steps = getattr(config.model, "size"), 1 if wanted.step else wanted.timesteps  # noqa: B009
    if wanted.raw:
        counts, kept = frames_in_words(subject, wanted), {0: "batch"}
        if wanted.step:
            return Shown(
                _Unsqueezed(), Input("frame", torch.ones(BATCH, 2, *size), kept, f"one of them: {counts}"), "none"
            )
        return Shown(Raw(swap=True), Input("frames", torch.ones(BATCH, steps, 2, *size), kept, counts), "none")
    side = (sensor[1], sensor[0])
    front = Slices(steps, config.slicing, side, size, _scale(config, wanted), config.resize == "nearest")
    done = f"events of a {sensor[0]} x {sensor[1]} sensor are {_counted(subject, wanted, steps)}"
    return Shown(front, _events(sensor, steps), done, batched=False)


def frames_in_words(subject: Subject, wanted: Wanted) -> str:
    """Return how the frames that a network takes are made of events: channels, slices, size, factor."""
    return f"counts of events, channel 0 darker and 1 brighter, {_counted(subject, wanted, wanted.timesteps)}"


def _counted(subject: Subject, wanted: Wanted, steps: int) -> str:
    assert subject.trained is not None
    config, sensor = subject.trained.config, subject.sensor(wanted.sensor)
    size, scale = getattr(config.model, "size"), _scale(config, wanted)  # noqa: B009
    how = "bilinear, with antialiasing where that shrinks them" if config.resize == "bilinear" else config.resize
    done = f"counted in {steps} slices of equal {config.slicing}"
    done += f", scaled to {size[1]} x {size[0]} pixels ({how})" * (sensor != (size[1], size[0]))
    return done + f", times {scale:g}" * (scale != 1)


def _scale(config: Any, wanted: Wanted) -> float:
    """Return the factor on counts, T over the T of training, at least 1; of one step too: as many follow."""
    return max(1.0, float(wanted.timesteps / config.timesteps))


def _events(sensor: tuple[int, int], steps: int) -> Input:
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(side, (64,), generator=generator) for side in (*sensor, 2)]
    t = torch.arange(64) * 1000
    events = torch.stack([columns[0], columns[1], t, columns[2]], 1)
    return Input("events", events, {0: "events"}, "x, y in pixels, t in µs, p 0 or 1, of one recording, by time")


def _images(subject: Subject, wanted: Wanted) -> Shown:
    model: Any = subject.trained and subject.trained.config.model
    shape = (BATCH, model.inputs, *model.size)
    if wanted.raw:
        return Shown(Raw(), Input("images", torch.zeros(shape), {0: "batch"}, "(value/255 - 0.5)/0.25"), "none")
    pixels = Input("pixels", torch.zeros(shape, dtype=torch.uint8), {0: "batch"}, "red, green, blue in 0 ... 255")
    return Shown(Pixels(), pixels, "pixels become (value/255 - 0.5)/0.25")


def _clip(subject: Subject, wanted: Wanted) -> Shown:
    assert subject.adapted is not None
    viewing, clip = subject.adapted.viewing, subject.adapted.clip
    steps = 1 if wanted.step else viewing.timesteps
    if wanted.raw:
        pictures = torch.full((steps, 1, 3, clip.size, clip.size), 0.5)
        held = f"pictures in 0 ... 1 in the style {viewing.preset}, steps first"
        return Shown(_Flat(), Input("pictures", pictures, {}, held), "CLIP's normalization alone", batched=False)
    if wanted.sensor is None:
        sensor, raw = named("sensor"), named("raw")
        raise SpikeError(f"an adapter is for cameras of any size; give {sensor} WxH of yours, or {raw} for pictures")
    side = (wanted.sensor[1], wanted.sensor[0])
    canvas = Canvas(viewing.preset, viewing.threshold, side, clip.size)
    front = nn.Sequential(Slices(steps, viewing.slicing, side), canvas)
    done = f"events of a {wanted.sensor[0]} x {wanted.sensor[1]} sensor are drawn as {steps} {viewing.preset} pictures"
    return Shown(front, _events(wanted.sensor, steps), f"{done} of {clip.size} x {clip.size} pixels", batched=False)


FRONTS: dict[str, Callable[[Subject, Wanted], Shown]] = {
    "points": _points,
    "events": _frames,
    "images": _images,
    "clip": _clip,
}


class _Unsqueezed(nn.Module):
    def forward(self, frame: Tensor) -> Tensor:
        return frame.unsqueeze(0)


class _Flat(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(0, 1)
