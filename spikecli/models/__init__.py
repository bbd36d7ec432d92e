"""Networks: a config in, a module out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from spikecli.models import dela, joint, pointnet, resnet, vgg
from spikecli.settings import networks, outside
from spikecli.settings.networks import ModelConfig
from spikecli.settings.rules import refuse_network

# A network's own class of settings in, a module out.
MODELS: dict[str, Callable[[Any], nn.Module]] = {
    "pointnet": pointnet.build,
    "dela": dela.build,
    "resnet18": resnet.build,
    "resnet19": resnet.build,
    "resnet20": resnet.build,
    "resnet34": resnet.build,
    "vgg16": vgg.build,
}


def add(name: str, make: Callable[[Any], nn.Module], settings: type[ModelConfig], help: str = "") -> None:
    """Register a network of a plug-in: the function that builds it, and the class of its settings."""
    networks.add(name, settings, help)
    MODELS[name] = make


def build(config: ModelConfig) -> nn.Module:
    """Return a network of `config` with fresh weights from torch's generator.

    Raise SpikeError if the settings clash.
    """
    refuse_network(config)
    if config.name not in MODELS:
        MODELS[config.name] = outside.fetched("model", config.name)
    make = MODELS[config.name]
    return joint.Joint(make, config) if config.is_joint else make(config)
