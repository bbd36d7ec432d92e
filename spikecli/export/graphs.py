"""From a subject to the module that is written down: preprocessing, the network, its answer; and its inputs by name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.export import membranes
from spikecli.export.formats import Wanted
from spikecli.export.fronts import Canvas, Pixels, Raw, Slices, Sphere
from spikecli.export.membranes import Box
from spikecli.export.subject import Subject
from spikecli.models.dela import Dela
from spikecli.models.tracing import traced

BATCH, POINTS = 2, 48  # of the example that is traced; both are free in the graph
NEXT, START = "next", "start"  # begin the names of membranes


@dataclass(frozen=True)
class Input:
    """An input of a graph: an example of it, the names of its free axes, and what it holds."""

    name: str
    example: Tensor
    axes: dict[int, str]
    holds: str

    @property
    def shape(self) -> str:
        """The shape and type for people: float32 (batch, points, 3)."""
        sizes = (self.axes.get(axis, str(size)) for axis, size in enumerate(self.example.shape))
        return f"{str(self.example.dtype).removeprefix('torch.')} ({', '.join(sizes)})"


@dataclass(frozen=True, eq=False)
class Graph:
    """A module without loops over samples, its inputs and the names of its outputs; `steps` is 1 with carried
    membranes, whose initial values are zeros of the shapes of the inputs from the second on."""

    module: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    preprocessing: str
    batched: bool  # whether its first input holds several samples

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in torch, computed as the graph computes them."""
        with torch.no_grad(), traced():
            found: tuple[Tensor, ...] = self.module(*tensors)
        return found

    def double(self) -> Graph:
        """Return the same graph in float64."""
        return Graph(copy.deepcopy(self.module).double(), self.inputs, self.outputs, self.preprocessing, self.batched)


class Whole(nn.Module):
    """All steps: the mean logits (B, K) and their softmax; membranes live inside."""

    def __init__(self, front: nn.Module, network: nn.Module, timesteps: int, box: Box, names: list[str]) -> None:
        super().__init__()
        self.front, self.network, self.timesteps, self.box, self.names = front, network, timesteps, box, names

    def forward(self, x: Tensor, *starts: Tensor) -> tuple[Tensor, Tensor]:
        self.box.given = dict(zip(self.names, starts, strict=True))
        logits = self.network(self.front(x), self.timesteps).mean(0)
        return logits, logits.softmax(-1)


class OneStep(nn.Module):
    """One step: its logits (B, K), and the membranes after it."""

    def __init__(self, front: nn.Module, network: nn.Module, box: Box, names: list[str]) -> None:
        super().__init__()
        self.front, self.network, self.box, self.names = front, network, box, names

    def forward(self, x: Tensor, *membranes: Tensor) -> tuple[Tensor, ...]:
        self.box.given = dict(zip(self.names, membranes, strict=True))
        logits = self.network(self.front(x), 1)[0]
        return logits, *(self.box.left[name] for name in self.names)


@dataclass(frozen=True)
class Shown:
    """How a kind of data enters a graph: the module in front, the first input, and what preprocessing it does."""

    front: nn.Module
    input: Input
    preprocessing: str
    batched: bool = True


def graph_of(subject: Subject, wanted: Wanted) -> Graph:
    """Return the graph of a network in the form that is wanted; raise SpikeError if that form cannot be said."""
    shown = shown_as(subject, wanted)
    network, box = copy.deepcopy(network_of(subject)).eval(), Box()
    steps = 1 if wanted.step else wanted.timesteps
    sizes = _membrane_shapes(network, shown, steps, wanted)
    if wanted.step:
        names = membranes.carried(network, box)
        module: nn.Module = OneStep(shown.front, network, box, names)
        outputs = ("logits", *(f"{NEXT}.{name}" for name in names))
    else:
        names = membranes.given(network, box) if wanted.noise else []
        membranes.quiet(network)
        module = Whole(shown.front, network, steps, box, names)
        outputs = ("logits", "probabilities")
    more = tuple(_membrane(START, name, *sizes[name]) for name in names)
    return Graph(module.eval(), (shown.input, *more), outputs, shown.preprocessing, shown.batched)


def network_of(subject: Subject) -> nn.Module:
    """Return what follows the preprocessing: (T, B, ...) → logits (T, B, K)."""
    if subject.adapted is None:
        return subject.network
    from spikecli.export.clip import ClipHead

    return ClipHead(subject.network, subject.adapted)


def shown_as(subject: Subject, wanted: Wanted) -> Shown:
    """Return the front of a kind of data; raise SpikeError for a kind that has none."""
    maker = FRONTS.get(subject.kind)
    if maker is None:
        raise SpikeError(f"{subject.name} takes {subject.kind}; an export is of {', '.join(FRONTS)}")
    return maker(subject, wanted)


def _points(subject: Subject, wanted: Wanted) -> Shown:
    if isinstance(subject.network, Dela):
        raise SpikeError(
            "the order of its points, farthest first, is a loop that no graph here holds yet; use pointnet"
        )
    cloud = torch.randn(BATCH, POINTS, 3, generator=torch.Generator().manual_seed(0)) / 3
    axes = {0: "batch", 1: "points"}
    if wanted.raw:
        return Shown(Raw(), Input("points", cloud, axes, "clouds centered in the unit sphere"), "none")
    done = "each cloud is centered on its mean and scaled so that its farthest point is at distance 1"
    return Shown(Sphere(), Input("points", cloud, axes, "clouds of any place and scale"), done)


def _frames(subject: Subject, wanted: Wanted) -> Shown:
    assert subject.trained is not None
    config, sensor = subject.trained.config, getattr(subject.facts, "sensor", (0, 0))
    size, steps = getattr(config.model, "size"), 1 if wanted.step else wanted.timesteps  # noqa: B009
    counts = "counts of events, channel 0 darker and 1 brighter"
    if wanted.raw:
        if wanted.step:
            frame = Input("frame", torch.ones(BATCH, 2, *size), {0: "batch"}, f"{counts}, of one slice")
            return Shown(_Unsqueezed(), frame, "none")
        frames = Input("frames", torch.ones(BATCH, steps, 2, *size), {0: "batch"}, counts)
        return Shown(Raw(swap=True), frames, "none")
    side = (sensor[1], sensor[0])
    scale = max(1.0, steps / config.timesteps)
    front = Slices(steps, config.slicing, side, size, scale)
    done = f"events of a {sensor[0]} x {sensor[1]} sensor are counted in {steps} slices of equal {config.slicing}"
    done += f", scaled to {size[1]} x {size[0]} pixels" * (side != size) + f", times {scale:g}" * (scale != 1)
    return Shown(front, _events(sensor, steps), done, batched=False)


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


def _membrane_shapes(
    network: nn.Module, shown: Shown, steps: int, wanted: Wanted
) -> dict[str, tuple[tuple[int, ...], dict[int, str]]]:
    """Return each membrane's shape in the example, and its free axes: those that grow with one of the input's."""

    def shapes(example: Tensor) -> dict[str, tuple[int, ...]]:
        return membranes.shapes(network, lambda one: one(shown.front(example), steps))

    if not (wanted.step or wanted.noise):
        return {}
    here = shapes(shown.input.example)
    axes: dict[str, dict[int, str]] = {name: {} for name in here}
    for axis, free in shown.input.axes.items():
        if free in ("batch", "points"):
            larger = shapes(torch.cat([shown.input.example] * 2, axis))
            for name, shape in here.items():
                axes[name] |= {place: free for place, size in enumerate(shape) if larger[name][place] != size}
    return {name: (shape, axes[name]) for name, shape in here.items()}


def _membrane(prefix: str, name: str, shape: tuple[int, ...], axes: dict[int, str]) -> Input:
    return Input(f"{prefix}.{name}", torch.zeros(shape), axes, f"membrane potentials of {name} before the step")


def example_kwargs(graph: Graph) -> dict[str, Any]:
    """Return the tensors and free axes of a graph as torch's exporters take them."""
    named = {name: torch.export.Dim(name, min=1) for each in graph.inputs for name in each.axes.values()}
    first = {axis: named[name] for axis, name in graph.inputs[0].axes.items()}
    rest = tuple({axis: named[name] for axis, name in each.axes.items()} for each in graph.inputs[1:])
    return {"args": tuple(each.example for each in graph.inputs), "dynamic_shapes": (first, rest) if rest else (first,)}
