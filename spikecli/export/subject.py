"""What is exported: a folded network with its classes and the facts of its input, or an adapter with its CLIP."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from spikecli.datasets.facts import Facts
from spikecli.datasets.provenance import facts_at_training
from spikecli.weights.adapted import Adapted
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in evaluation mode on the CPU in float32, ready to be written down.

    `network` is folded; `original` is what `predict` runs. Of an adapter, both are the adapter, and `trained` is None.
    """

    network: nn.Module
    original: nn.Module
    classnames: tuple[str, ...]
    kind: str  # points, events, images or clip
    name: str
    trained: Trained | None = None
    facts: Facts | None = None
    adapted: Adapted | None = None

    def sensor(self, asked: tuple[int, int] | None) -> tuple[int, int] | None:
        """Return the sensor (width, height) whose events a graph takes: the one asked for, or the training data's."""
        return asked or getattr(self.facts, "sensor", None)


def of(opened: Trained | Adapted) -> Subject:
    """Return the folded network of what was opened; raise SpikeError if a part of it cannot be folded."""
    original = copy.deepcopy(opened.network).to("cpu").float().eval()
    found = _folded(original), original, opened.classnames
    if isinstance(opened, Adapted):
        return Subject(*found, "clip", opened.name, adapted=opened)
    facts = facts_at_training(opened)
    return Subject(*found, facts.kind, opened.name, opened, facts)


def _folded(network: nn.Module) -> nn.Module:
    if not any(True for _ in network.parameters()):
        return network  # an adapter "none"
    return reparameterize(network).requires_grad_(False).to(torch.float32)
