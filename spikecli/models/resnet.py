"""Spiking ResNet-18, -19, -20 and -34 for images and event frames; with ReLUs, the ANNs that they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.blocks import BLOCKS, Passing, Place
from spikecli.models.convolution import (
    Classifier,
    ConvFire,
    Edge,
    Entry,
    GlobalPool,
    NeuronFactory,
    after,
    as_maps,
    scaled,
)
from spikecli.models.inputs import pixels_of
from spikecli.models.step_norm import at_each_step, conv_norms
from spikecli.settings.networks import ResNetConfig


@dataclass(frozen=True)
class Stages:
    """A network at width 1: channels of the stem's convolutions; channels and blocks of each stage."""

    stem: tuple[int, ...]
    stages: tuple[tuple[int, int], ...]  # (channels, blocks); from the second on, the first block halves the map
    entry: int = 1  # side of the average pool between stem and stages
    pooled_shortcut: bool = False  # a shortcut's stride is an average pool's, not its convolution's


# As the authors' code has them: on 32 × 32 the maps of ResNet-20 are 32/16/8/4/2, 178 M multiply-adds at K = 10.
PLANS = {
    "resnet18": Stages((64,), ((64, 2), (128, 2), (256, 2), (512, 2))),
    "resnet19": Stages((128,), ((128, 3), (256, 3), (512, 2))),
    "resnet34": Stages((64,), ((64, 3), (128, 4), (256, 6), (512, 3))),
    "resnet20": Stages((64, 64, 64), ((64, 2), (128, 2), (256, 2), (512, 2)), entry=2, pooled_shortcut=True),
}


def plan_of(config: ResNetConfig) -> Stages:
    """Return the plan of a ResNet; in the layout "first", that of version 0.1, shortcuts pool, the entry does not."""
    plan = PLANS[config.name]
    return plan if config.layout == "released" else replace(plan, entry=1, pooled_shortcut=True)


class ResNet(nn.Module):
    """Logits (T, B, K) of images (B, C, H, W), the same at every step, or of frames (T, B, C, H, W)."""

    def __init__(self, plan: Stages, neuron: NeuronFactory, config: ResNetConfig) -> None:
        super().__init__()
        size, channels = config.size, config.inputs
        self.config, convolution = config, conv_norms(config)
        self.pixels = pixels_of(config.pixels)
        self.stem = nn.ModuleList()
        for number, outputs in enumerate((scaled(each, config.width) for each in plan.stem), start=1):
            fires = not self.adds_membranes or number < len(plan.stem)
            conv = convolution(channels, outputs)
            self.stem.append(ConvFire(Edge(), conv, neuron(outputs, size) if fires else Passing()))
            channels = outputs
        self.entry = Entry(plan.entry) if plan.entry > 1 else Edge()
        size = after(size, plan.entry)
        self.stages = [f"stage{number}" for number in range(1, len(plan.stages) + 1)]
        for name, (wide, blocks) in zip(self.stages, plan.stages, strict=True):
            stage = nn.ModuleList()
            for number in range(blocks):
                stride = 2 if number == 0 and name != "stage1" else 1
                before, size, outputs = size, after(size, stride), scaled(wide, config.width)
                place = Place(channels, outputs, stride, before, size, plan.pooled_shortcut)
                stage.append(BLOCKS[config.residual](place, neuron, config))
                channels = outputs
            self.add_module(name, stage)
        self.last = neuron(channels, size) if self.adds_membranes else Passing()
        self.pool = GlobalPool()
        self.out = Classifier(channels, config.classes)

    @property
    def adds_membranes(self) -> bool:
        """True if real values, not spikes, go from block to block: the neurons then sit in front of what they feed."""
        return self.config.residual == "ms"

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        """Return the logits of each step; for frames their own number of steps counts, not `timesteps`."""
        timesteps = timesteps if x.dim() == 4 else x.shape[0]
        x = at_each_step(as_maps(self.pixels(x)), timesteps, self.config)
        for layer in self.stem:  # an image stays (1, B, H, W, C) until a neuron has fired
            x = layer(x, timesteps)
        x = self.entry(x)
        for _, block in self.blocks():
            x = block(x, timesteps)
        return self.out(self.pool(self.last(x, timesteps)))

    def blocks(self) -> Iterator[tuple[str, Any]]:
        """Yield each block with its name, in order."""
        for stage in self.stages:
            yield from ((f"{stage}.{number}", block) for number, block in self.get_submodule(stage).named_children())

    def exits(self) -> Iterator[tuple[str, int]]:
        """Yield the name of the last block of each stage but the last, and the channels of its maps."""
        ends = dict(self.blocks())
        for stage in self.stages[:-1]:
            name = [name for name in ends if name.startswith(f"{stage}.")][-1]
            yield name, ends[name].conv2.out_channels

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each neuron and those of the layers and edges that its spikes go into."""
        stem = [f"stem.{number}" for number in range(len(self.stem))]
        blocks = list(self.blocks())
        entries = [block.readers(name) for name, block in blocks]
        yield from ((f"{name}.fire", (f"{later}.conv",)) for name, later in pairwise(stem))
        if not self.adds_membranes:
            yield f"{stem[-1]}.fire", ("entry.edge",) if isinstance(self.entry, Entry) else entries[0]
        for (name, block), later in zip(blocks, [*entries[1:], ("out",)], strict=True):
            yield from block.wires(name, later)
        if self.adds_membranes:
            yield "last", ("out",)


def build(config: ResNetConfig) -> ResNet:
    """Return the ResNet that `config` describes, with fresh weights from torch's generator."""
    return ResNet(plan_of(config), partial(neurons.build, config.neuron), config)
