"""Networks: a config in, a module out."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from spikecli.models import joint, pointnet, resnet, vgg
from spikecli.settings.config import ModelConfig
from spikecli.settings.rules import refuse_network

MODELS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "pointnet": pointnet.build,
    "resnet18": resnet.build,
    "resnet19": resnet.build,
    "resnet20": resnet.build,
    "vgg16": vgg.build,
}


def build(config: ModelConfig) -> nn.Module:
    """Return the network that `config` names, with fresh weights from torch's generator.

    SpikeError when its settings make no sense together.
    """
    refuse_network(config)
    make = MODELS[config.name]
    return joint.Joint(make, config) if config.joint else make(config)
