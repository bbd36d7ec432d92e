"""Decoupled local aggregation (DeLA, 2308.16532) with neurons in place of its activations.

A real-valued stream x (T, B, N, C) goes through three levels of points. Only spikes meet weights; what is added, and
what a maximum over neighbors is taken of, is real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikecli import neurons
from spikecli.models.dela_parts import Embedding, Level, Local, Mlp, Order, Transition, scaled
from spikecli.models.layers import LinearNorm, MaxThenNorm
from spikecli.models.local import begin
from spikecli.models.neighbours import farthest_first, neighborhood
from spikecli.models.offsets import OffsetTask
from spikecli.models.plain import Linear
from spikecli.models.pooled import linear_winners
from spikecli.settings.networks import DelaConfig

NeuronFactory = Callable[[int], nn.Module]
WIDTHS = (96, 192, 384)  # channels of the levels
HEAD = (2048, 512, 256)
SHRINK = 4  # a level has a quarter of the points of the one before it
BLOCKS = 4  # of local propagation in a level
GAINS = (0.8, 0.2, 0.2)  # first scale of what a neighborhood adds to the stream
NEIGHBORS, DROP_PATH = 20, 0.15
PLACE = 3  # numbers of a position


class Dela(nn.Module):
    """Logits (T, B, K) of clouds (B, N, inputs) in the unit sphere; trained with one number of steps, run with any.

    With 6 inputs each point has its normal, which the first embedding reads of each neighbor; that is ours.

    The points of a level are the first of an order: that in which they come in training, where it is to be random, and
    farthest first in evaluation.
    """

    def __init__(
        self,
        classes: int,
        neuron: NeuronFactory,
        width: float = 1.0,
        neighbors: int = NEIGHBORS,
        drop_path: float = DROP_PATH,
        dropout: float = 0.5,
        inputs: int = PLACE,
    ) -> None:
        super().__init__()
        self.neighbors, self.inputs = neighbors, inputs
        widths = [scaled(channels, width) for channels in WIDTHS]
        blocks = len(widths) * BLOCKS
        rates = [drop_path * block / (blocks - 1) for block in range(blocks)]  # plain numbers: built on `meta` too
        self.order = Order()
        self.embeddings = nn.ModuleList(
            Embedding(number, channels, width, neuron, GAINS[number], 0 if number else inputs - PLACE)
            for number, channels in enumerate(widths)
        )
        self.levels = nn.ModuleList(
            Level(channels, neuron, rates[number * BLOCKS : (number + 1) * BLOCKS])
            for number, channels in enumerate(widths)
        )
        self.transitions = nn.ModuleList(Transition(below, above, neuron) for below, above in pairwise(widths))
        self.offsets: OffsetTask | None = OffsetTask(widths)
        highest, middle, last = (scaled(channels, width) for channels in HEAD)
        self.fire = neuron(widths[-1])
        self.pool = MaxThenNorm(widths[-1], highest, neuron(highest))
        self.head1 = LinearNorm(highest, middle)
        self.fire1 = neuron(middle)
        self.head2 = LinearNorm(middle, last)
        self.fire2 = neuron(last)
        self.dropout = nn.Dropout(dropout)
        self.out = Linear(last, classes)
        for layer in (self.pool, self.head1, self.head2, self.out):
            begin(layer.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, points: Tensor, timesteps: int = 1) -> Tensor:
        counts = [max(1, points.shape[1] // SHRINK**number) for number in range(len(self.levels))]
        places, normals = (points, None) if self.inputs == PLACE else points.split(PLACE, 2)
        near = neighborhood(places, self.neighbors)
        x = self.levels[0](self.embeddings[0](near, timesteps, normals), near, timesteps)
        streams = [(x, near)]
        x, near = self.order(x, near, counts[1])
        for number, count in enumerate(counts[1:], start=1):
            x = self.transitions[number - 1](x, near.first(count), timesteps)
            near = neighborhood(near.place[:, :count].contiguous(), self.neighbors)
            x = x + self.embeddings[number](near, timesteps)
            x = self.levels[number](x, near, timesteps)
            streams.append((x, near))
        if self.offsets is not None and self.offsets.training:
            self.offsets(streams)  # who trains reads its loss by a hook
        x = self.pool(self.fire(x, timesteps, near.place), timesteps)  # (T, B, 2048)
        x = self.fire1(self.head1(x), timesteps)
        x = self.dropout(self.fire2(self.head2(x), timesteps))
        with torch.autocast(x.device.type, enabled=False):
            return self.out(x.to(self.out.weight.dtype))

    def folded(self) -> nn.Module:
        """Return the network without the modules that only training uses."""
        self.offsets = None
        return self

    @property
    def fewest_points(self) -> int:
        """Points of a cloud that leave one to the last level; `forward` takes fewer, a graph does not."""
        return SHRINK ** (len(self.levels) - 1)

    def trunk(self) -> tuple[str, ...]:
        """Return the names of the neurons of the first level, which see a point and its neighbors."""
        return tuple(name for name, _ in self.wiring() if name.startswith("levels.0."))

    def watch_winners(self, on_winners: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `on_winners` in each pass with the point (T, B, channels) that wins each channel of the last maximum."""

        def on_pass(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            order = farthest_first(inputs[0][..., :PLACE], max(1, inputs[0].shape[1] // SHRINK))
            handles: list[RemovableHandle] = []

            def on_pool(pool: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                handles.pop().remove()
                layer = pool if isinstance(pool, MaxThenNorm) else pool.linear
                winners = linear_winners(inputs[0], layer.weight)  # of the last level's points, the first of the order
                on_winners(order.expand(len(winners), *order.shape).gather(2, winners))

            handles.append(self.pool.register_forward_hook(on_pool))

        return self.register_forward_pre_hook(on_pass)

    def head_layers(self) -> tuple[str, ...]:
        """Return the names of the parts that read the features of the whole sample."""
        return "head1", "fire1", "head2", "fire2", "dropout", "out"

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each layer of neurons and those of the layers that its spikes go into."""
        for name, part in self.named_modules():
            if isinstance(part, Embedding | Local | Mlp | Transition):
                for neuron, readers in part.wiring():
                    yield f"{name}.{neuron}", tuple(f"{name}.{reader}" for reader in readers)
        yield "fire", ("pool",)
        yield "pool.neuron", ("head1",)
        yield "fire1", ("head2",)
        yield "fire2", ("out",)


def build(config: DelaConfig) -> Dela:
    """Return the DeLA that `config` describes, with fresh weights from torch's generator."""
    neuron = partial(neurons.build, config.neuron)
    forms = config.width, config.neighbors, config.drop_path, config.dropout, config.inputs
    return Dela(config.classes, neuron, *forms)
