"""A trained network with its settings and classes: opened once, then handed on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from spikecli.machine.device import choose_device
from spikecli.settings.config import TrainConfig
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights import reference


@dataclass(frozen=True, eq=False)
class Trained:
    """A network in evaluation mode on `device`, with the settings and notes of its weights file.

    `path` is the weights file, `given` the user's argument (a run folder, a file, `reference`), and `name` what titles
    call it. `notes` are what else the file holds.
    """

    network: nn.Module
    config: TrainConfig
    classnames: tuple[str, ...]
    path: Path
    given: Path
    name: str
    device: torch.device
    notes: Mapping[str, Any]

    @classmethod
    def open(cls, given: str | Path | None = None, device: str = "auto") -> Self:
        """Return the network of a weights file, a run folder, `reference`, or (None) the newest run.

        The file is read once. Raise SpikeError if it is missing or damaged, or if the device cannot be used.
        """
        asked = None if given is None else Path(given)
        path, place = checkpoints.resolve(asked), choose_device(device)
        stored = checkpoints.load(path)
        network = checkpoints.network(stored, path).to(place)
        name = reference.title_of(path)
        return cls(network, stored.config, stored.classnames, path, asked or path, name, place, stored.notes)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The sha256 of each split of the data set it was trained on; empty if the file does not record them."""
        return dict(self.notes.get("data", {}))

    def on(self, device: torch.device) -> Self:
        """Return the same network on another device."""
        if device == self.device:
            return self
        return replace(self, network=copy.deepcopy(self.network).to(device), device=device)
