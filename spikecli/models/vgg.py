"""Spiking VGG-16 with average pools and one linear layer, for images and event frames."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.convolution import (
    AveragePool,
    Classifier,
    ConvFire,
    Edge,
    GlobalPool,
    NeuronFactory,
    after,
    as_maps,
    scaled,
)
from spikecli.models.inputs import pixels_of
from spikecli.models.step_norm import at_each_step, conv_norms
from spikecli.settings.networks import MapConfig

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # (channels, layers); each stage but the first pools first


class VGG(nn.Module):
    """Logits (T, B, K) of images (B, C, H, W), the same at every step, or of frames (T, B, C, H, W)."""

    def __init__(self, neuron: NeuronFactory, config: MapConfig) -> None:
        super().__init__()
        size, channels = config.size, config.inputs
        self.config, convolution = config, conv_norms(config)
        self.pixels = pixels_of(config.pixels)
        self.layers = nn.ModuleList()
        for stage, (wide, layers) in enumerate(STAGES):
            for number in range(layers):
                pools = stage > 0 and number == 0
                size, outputs = after(size, 2) if pools else size, scaled(wide, config.width)
                conv = convolution(channels, outputs)
                self.layers.append(ConvFire(AveragePool(2) if pools else Edge(), conv, neuron(outputs, size)))
                channels = outputs
        self.pool = GlobalPool()
        self.out = Classifier(channels, config.classes)

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        """Return the logits of each step; for frames their own number of steps counts, not `timesteps`."""
        timesteps = timesteps if x.dim() == 4 else x.shape[0]
        x = at_each_step(as_maps(self.pixels(x)), timesteps, self.config)
        for layer in self.layers:
            x = layer(x, timesteps)
        return self.out(self.pool(x))

    def exits(self) -> Iterator[tuple[str, int]]:
        """Yield the name of each layer that a pool follows, and the channels of its maps."""
        for number, (layer, later) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            assert isinstance(layer, ConvFire) and isinstance(later, ConvFire)
            if isinstance(later.pool, AveragePool):
                yield f"layers.{number}", layer.conv.out_channels

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each neuron and that of the layer that its spikes go into."""
        later = [f"layers.{number}.conv" for number in range(1, len(self.layers))]
        for number, name in enumerate([*later, "out"]):
            yield f"layers.{number}.fire", (name,)


def build(config: MapConfig) -> VGG:
    """Return the VGG-16 that `config` describes, with fresh weights from torch's generator."""
    return VGG(partial(neurons.build, config.neuron), config)
