"""Spiking ResNet-18, -19, -20 and -34 for images and event frames; with ReLUs, the ANNs that they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.convolution import (
    AveragePool,
    Classifier,
    ConvFire,
    ConvNorm,
    Edge,
    Entry,
    GlobalPool,
    NeuronFactory,
    Size,
    after,
    as_maps,
    scaled,
)
from spikecli.models.inputs import pixels_of
from spikecli.models.map_norm import MEETING, norm_scale, with_norm_scope
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


class Shortcut(nn.Module):
    """The shortcut of a block that changes the map: 1 × 1 convolution with its stride → batch norm; or, if `pooled`,
    average pool → 1 × 1 convolution → batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, scale: float, pooled: bool) -> None:
        super().__init__()
        self.pool = AveragePool(stride) if pooled else Edge()
        self.conv = ConvNorm(inputs, outputs, kernel=1, stride=1 if pooled else stride, scale=scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.pool(x))


class Block(nn.Module):
    """out = fire(norm(conv(fire(norm(conv(x))))) + shortcut(x)): the neuron sits after the sum."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        size: Size,
        neuron: NeuronFactory,
        config: ResNetConfig,
        pooled: bool,
    ) -> None:
        super().__init__()
        unchanged = stride == 1 and inputs == outputs
        # tdBN (2307.04356): α = 1/√2 where two norms meet; an identity brings none of its own, so α = 1.
        alone = unchanged and config.layout == "released"
        meeting = norm_scale(config, 1.0 if alone else MEETING)
        self.conv1 = ConvNorm(inputs, outputs, stride=stride, scale=norm_scale(config))
        self.fire1 = neuron(outputs, size)
        self.conv2 = ConvNorm(outputs, outputs, scale=meeting)
        self.shortcut = Edge() if unchanged else Shortcut(inputs, outputs, stride, meeting, pooled)
        self.fire2 = neuron(outputs, size)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:  # (T, B, H, W, C) → (T, B, H', W', C')
        y = self.fire1(self.conv1(x), timesteps)
        return self.fire2(self.conv2(y) + self.shortcut(x), timesteps)

    def consumers(self, name: str) -> tuple[str, ...]:
        """Return the names of the layers that read the input of this block, called `name`."""
        way = f"{name}.shortcut" if isinstance(self.shortcut, Edge) else f"{name}.shortcut.conv"
        return f"{name}.conv1", way


class ResNet(nn.Module):
    """Logits (T, B, K) of images (B, C, H, W), the same at every step, or of frames (T, B, C, H, W)."""

    def __init__(self, plan: Stages, neuron: NeuronFactory, config: ResNetConfig) -> None:
        super().__init__()
        size, channels = config.size, config.inputs
        self.pixels = pixels_of(config.pixels)
        self.stem = nn.ModuleList()
        for outputs in (scaled(each, config.width) for each in plan.stem):
            conv = ConvNorm(channels, outputs, scale=norm_scale(config))
            self.stem.append(ConvFire(Edge(), conv, neuron(outputs, size)))
            channels = outputs
        self.entry = Entry(plan.entry) if plan.entry > 1 else Edge()
        size = after(size, plan.entry)
        self.stages = [f"stage{number}" for number in range(1, len(plan.stages) + 1)]
        for name, (wide, blocks) in zip(self.stages, plan.stages, strict=True):
            stage = nn.ModuleList()
            for number in range(blocks):
                stride = 2 if number == 0 and name != "stage1" else 1
                size, outputs = after(size, stride), scaled(wide, config.width)
                stage.append(Block(channels, outputs, stride, size, neuron, config, plan.pooled_shortcut))
                channels = outputs
            self.add_module(name, stage)
        self.pool = GlobalPool()
        self.out = Classifier(channels, config.classes)

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        """Return the logits of each step; for frames their own number of steps counts, not `timesteps`."""
        timesteps = timesteps if x.dim() == 4 else x.shape[0]
        x = as_maps(self.pixels(x))  # an image stays (1, B, H, W, C) until a neuron has fired
        for layer in self.stem:
            x = layer(x, timesteps)
        x = self.entry(x)
        for _, block in self.blocks():
            x = block(x, timesteps)
        return self.out(self.pool(x))

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Yield each block with its name, in order."""
        for stage in self.stages:
            for number, block in self.get_submodule(stage).named_children():
                assert isinstance(block, Block)
                yield f"{stage}.{number}", block

    def exits(self) -> Iterator[tuple[str, int]]:
        """Yield the name of the last block of each stage but the last, and the channels of its maps."""
        for stage in self.stages[:-1]:
            number, block = list(self.get_submodule(stage).named_children())[-1]
            assert isinstance(block, Block)
            yield f"{stage}.{number}", block.conv2.out_channels

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each neuron and those of the layers and edges that its spikes go into."""
        stem = [f"stem.{number}" for number in range(len(self.stem))]
        blocks = list(self.blocks())
        entries = [block.consumers(name) for name, block in blocks]
        yield from ((f"{name}.fire", (f"{later}.conv",)) for name, later in pairwise(stem))
        yield f"{stem[-1]}.fire", ("entry.edge",) if isinstance(self.entry, Entry) else entries[0]
        for (name, _), later in zip(blocks, [*entries[1:], ("out",)], strict=True):
            yield f"{name}.fire1", (f"{name}.conv2",)
            yield f"{name}.fire2", later


def build(config: ResNetConfig) -> ResNet:
    """Return the ResNet that `config` describes, with fresh weights from torch's generator."""
    return with_norm_scope(ResNet(plan_of(config), partial(neurons.build, config.neuron), config), config)
