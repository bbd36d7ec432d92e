"""Networks: a config in, a module out."""

from __future__ import annotations

from torch import nn

from spikecli.config import ModelConfig
from spikecli.models import pointnet

MODELS = {"pointnet": pointnet.build}


def build(config: ModelConfig) -> nn.Module:
    """Return the network that `config` names, with fresh weights from torch's generator."""
    return MODELS[config.name](config)
