"""Where the released state dicts keep each layer of a network: our names beside theirs, one table a network.

Their wrappers add parts to a name: `module.` (several GPUs), `model.` (the spiking wrapper), and `.pool`, `.conv`,
`.linear` and `.bn` around a single layer. `plain_name` takes them off; the tables hold what remains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spikecli.models.map_norm import MEETING
from spikecli.models.resnet import PLANS
from spikecli.models.vgg import STAGES

_OUTER = re.compile(r"^((module|model)\.)+")
_INNER = re.compile(r"(?<=.)\.(pool|conv|linear|bn)(?=\.[A-Za-z_]+$)")


@dataclass(frozen=True)
class ReleasedLayer:
    """A layer of ours with its norm, and those of the release; `norm` None: it has none.

    `alpha` is tdBN's α of its norm. `twin` is, of the two norms that Spiking PointNet's wrapper keeps, the one in use.
    """

    ours: str
    theirs: str
    norm: str | None = None
    alpha: float = 1.0
    twin: str | None = None


@dataclass(frozen=True)
class Names:
    """The layers of a network, and its neurons: (ours, theirs)."""

    layers: tuple[ReleasedLayer, ...]
    neurons: tuple[tuple[str, str], ...]

    @property
    def head(self) -> ReleasedLayer:
        """The last layer, which has a row a class."""
        return self.layers[-1]


def plain_name(name: str) -> str:
    """Return a released name without wrappers: `fc.weight` for `module.model.fc.conv.weight`."""
    return _INNER.sub("", _OUTER.sub("", name))


def resnet_names(model: str) -> Names:
    """Return the names of ResNet-18, -19 or -20."""
    plan = PLANS[model]
    deep = len(plan.stem) > 1  # a stem of several convolutions is numbered: convolution, norm, neuron
    layers, neurons = [], []
    for number in range(len(plan.stem)):
        theirs = [f"conv1.{3 * number + part}" for part in range(3)] if deep else ["conv1", "bn1", "relu"]
        layers.append(ReleasedLayer(f"stem.{number}.conv", theirs[0], theirs[1]))
        neurons.append((f"stem.{number}.fire", theirs[2]))
    channels = plan.stem[-1]
    for stage, (wide, blocks) in enumerate(plan.stages, start=1):
        for number in range(blocks):
            ours, theirs_block = f"stage{stage}.{number}", f"layer{stage}.{number}"
            changed = number == 0 and (stage > 1 or channels != wide)
            layers += _block(ours, theirs_block, changed, first=1 if plan.pooled_shortcut else 0)
            neurons += [(f"{ours}.fire1", f"{theirs_block}.relu1"), (f"{ours}.fire2", f"{theirs_block}.output_act")]
        channels = wide
    return Names((*layers, ReleasedLayer("out", "fc")), tuple(neurons))


def _block(ours: str, theirs: str, changed: bool, first: int) -> Iterator[ReleasedLayer]:
    """Yield the layers of a block; in a shortcut that pools, the convolution is the second (`first` = 1)."""
    meeting = MEETING if changed else 1.0
    yield ReleasedLayer(f"{ours}.conv1", f"{theirs}.conv1", f"{theirs}.bn1")
    yield ReleasedLayer(f"{ours}.conv2", f"{theirs}.conv2", f"{theirs}.bn2", meeting)
    if changed:
        way = f"{theirs}.downsample"
        yield ReleasedLayer(f"{ours}.shortcut.conv", f"{way}.{first}", f"{way}.{first + 1}", meeting)


def vgg_names() -> Names:
    """Return the names of VGG-16; the release numbers convolution, norm, neuron and pool in one row."""
    layers: list[ReleasedLayer] = []
    neurons, place = [], 0
    for stage, (_, count) in enumerate(STAGES):
        place += stage > 0  # the pool before this stage
        for _ in range(count):
            ours = f"layers.{len(layers)}"
            layers.append(ReleasedLayer(f"{ours}.conv", f"features.{place}", f"features.{place + 1}"))
            neurons.append((f"{ours}.fire", f"features.{place + 2}"))
            place += 3
    return Names((*layers, ReleasedLayer("out", "classifier")), tuple(neurons))


def pointnet_names() -> Names:
    """Return the names of Spiking PointNet with both T-Nets."""
    layers: list[ReleasedLayer] = []
    for ours, theirs in (("input_tnet", "feat.stn"), ("feature_tnet", "feat.fstn")):
        for number, layer in enumerate(("point1", "point2", "pool.point"), start=1):
            layers.append(_twin(f"{ours}.{layer}", f"{theirs}.conv{number}", f"{theirs}.bn{number}", "bn2"))
        for number, layer in enumerate(("head1", "head2"), start=1):
            layers.append(_twin(f"{ours}.{layer}", f"{theirs}.fc{number}", f"{theirs}.bn{number + 3}", "bn1"))
        layers.append(ReleasedLayer(f"{ours}.out", f"{theirs}.fc3"))
    for number, layer in enumerate(("point1", "point2", "pool"), start=1):
        layers.append(_twin(layer, f"feat.conv{number}", f"feat.bn{number}", "bn2"))
    for number in (1, 2):
        layers.append(_twin(f"head{number}", f"fc{number}", f"bn{number}", "bn1"))
    return Names((*layers, ReleasedLayer("out", "fc3")), ())


def _twin(ours: str, theirs: str, norm: str, twin: str) -> ReleasedLayer:
    return ReleasedLayer(ours, theirs, norm, twin=twin)


def names_of(model: str) -> Names | None:
    """Return the table of a network; None if no release of it is known."""
    if model == "pointnet":
        return pointnet_names()
    if model == "vgg16":
        return vgg_names()
    return resnet_names(model) if model in PLANS else None
