"""What is exported: a folded network with its classes and the facts of its input, or an adapter with its CLIP."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikecli.datasets.facts import Facts
from spikecli.neuroclip.adapter_file import is_adapter
from spikecli.settings.config import TrainConfig
from spikecli.weights.checkpoint import resolve
from spikecli.weights.provenance import facts_at_training
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in evaluation mode on the CPU in float32, ready to be written down.

    `network` is folded; `original` is what `predict` runs. For an adapter, `adapted` holds it with its CLIP, and both
    networks are the adapter.
    """

    network: nn.Module
    original: nn.Module
    classnames: tuple[str, ...]
    kind: str  # points, events, images or clip
    name: str
    config: TrainConfig | None = None
    facts: Facts | None = None
    adapted: Any = None  # neuroclip.fewshot.Adapted


def opened(given: Path, data_dir: Path = Path("data")) -> Subject:
    """Return the network of a run folder, weights file, `reference` or adapter; raise SpikeError if it cannot be read
    or folded."""
    path = resolve(given)
    if path.suffix == ".safetensors" and is_adapter(path):
        from spikecli.neuroclip.fewshot import load_adapter

        adapted = load_adapter(path, data_dir, "cpu")
        folded = _folded(adapted.adapter)
        return Subject(folded, adapted.adapter, adapted.question.classnames, "clip", path.stem, adapted=adapted)
    return of(Trained.open(given, "cpu"))


def of(trained: Trained) -> Subject:
    """Return the folded network of `trained`; raise SpikeError if a part of it cannot be folded."""
    facts = facts_at_training(trained)
    original = copy.deepcopy(trained.network).to("cpu").float().eval()
    return Subject(_folded(original), original, trained.classnames, facts.kind, trained.name, trained.config, facts)


def _folded(network: nn.Module) -> nn.Module:
    if not any(True for _ in network.parameters()):
        return network  # an adapter "none"
    return reparameterize(network).requires_grad_(False).to(torch.float32)
