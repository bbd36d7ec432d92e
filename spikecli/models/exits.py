"""The exits of Joint A-SNN (2305.02099): classifiers after a network's stages, which only training uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from spikecli import neurons
from spikecli.errors import SpikeError, named
from spikecli.models.convolution import Classifier, ConvNorm, GlobalPool
from spikecli.models.layers import LinearNorm
from spikecli.settings.networks import JointConfig, ModelConfig

NARROW = 4  # a bottleneck has a quarter of its feature's channels


class Exit(nn.Module):
    """Mean over places → linear → batch norm: a feature. ReLU → linear: logits. Ours; it shares no bases."""

    shares_bases = False

    def __init__(self, channels: int, features: int, classes: int) -> None:
        super().__init__()
        self.pool = GlobalPool()
        self.feature = LinearNorm(channels, features)
        self.out = Classifier(features, classes)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:  # (T, B, H, W, C) → (T, B, K), (T, B, F)
        feature = self.feature(self.pool(maps))
        return self.out(functional.relu(feature)), feature


class Patches(ConvNorm):
    """Convolution of k × k patches that do not overlap → batch norm."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, kernel=side, stride=side)
        self.padding = (0, 0)


class Bottleneck(nn.Module):
    """1×1 → k×k, stride k → 1×1, each with its norm and neurons; the mean of the last spikes is the feature, as
    released. Both networks share the bases of its convolutions."""

    shares_bases = True

    def __init__(self, channels: int, features: int, classes: int, side: int, fire: Callable[[int], nn.Module]) -> None:
        super().__init__()
        narrow, self.side = max(1, features // NARROW), side
        self.convs = nn.ModuleList(
            [ConvNorm(channels, narrow, kernel=1), Patches(narrow, narrow, side), ConvNorm(narrow, features, kernel=1)]
        )
        self.fires = nn.ModuleList(fire(width) for width in (narrow, narrow, features))
        self.pool = GlobalPool()
        self.out = Classifier(features, classes)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (T, B, K) and the feature (T, B, F) of maps (T, B, H, W, C).

        Raise SpikeError if a map is smaller than a patch.
        """
        if min(maps.shape[2:4]) < self.side:
            raise SpikeError(
                f"an exit of {self.side} × {self.side} patches meets maps of {maps.shape[2]} × {maps.shape[3]}; take "
                f"larger images or frames, or {named('exits')} linear"
            )
        x = maps
        for conv, fire in zip(self.convs, self.fires, strict=True):
            x = fire(conv(x), len(x))
        feature = self.pool(x)
        return self.out(feature), feature


def build(config: ModelConfig, network: nn.Module, features: int) -> tuple[list[str], nn.ModuleList]:
    """Return the stages of a network that have an exit, and a fresh exit for each, in its order.

    The side k of a bottleneck's patches halves from exit to exit and ends with 2: 8, 4, 2 in ResNet-18 (2305.02099).
    """
    stages = list(getattr(network, "exits", tuple)())
    kind = config.exits if isinstance(config, JointConfig) else "linear"
    fire = partial(neurons.build, config.neuron)
    made: list[nn.Module] = []
    for number, (_, channels) in enumerate(stages):
        side = 2 ** (len(stages) - number)
        made.append(EXITS[kind](channels, features, config.classes, side, fire))
    return [name for name, _ in stages], nn.ModuleList(made)


EXITS: dict[str, Callable[[int, int, int, int, Callable[[int], nn.Module]], nn.Module]] = {
    "linear": lambda channels, features, classes, side, fire: Exit(channels, features, classes),
    "bottleneck": Bottleneck,
}
