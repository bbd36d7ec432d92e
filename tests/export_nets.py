"""Thin networks on frames of 12 × 12 with norms that make them spike, folded and ready to be exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from spikecli import models
from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.export.subject import Subject
from spikecli.live.watcher import NetworkStepper
from spikecli.settings.recipes import train_settings
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained


def thin(
    name: str, paper: str = "lif", parts: dict[str, Any] | None = None, size: tuple[int, int] = (12, 12), **model: Any
) -> Subject:
    """Return a network for N-MNIST at a tenth of its width, with random statistics in its norms."""
    settings = {"name": name, "width": 0.1, "inputs": 2, "size": size, **model}
    config = train_settings("nmnist", paper, "events", {"size": size[0]}, parts or {}, settings)
    torch.manual_seed(0)
    network = models.build(config.model).eval()
    for place, buffer in network.named_buffers():
        if place.endswith("running_mean"):
            buffer.normal_(0, 0.3)
        elif place.endswith("running_var"):
            buffer.uniform_(0.3, 1)
    facts = EVENT_SETS["nmnist"]
    trained = Trained(network, facts.classnames, Path(), Path(), name, torch.device("cpu"), config, {})
    return Subject(reparameterize(network).float(), network, facts.classnames, "events", name, trained, facts)


def thin_stepper(keep: int = 8) -> NetworkStepper:
    """Return a thin VGG-16 on frames of 16 × 16 that answers after each window of a stream."""
    subject = thin("vgg16", size=(16, 16))
    assert subject.trained is not None
    return NetworkStepper(replace(subject.trained, network=subject.network), keep)
