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
from spikecli.settings.networks import point_inputs
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import WeightsFile


@dataclass(frozen=True, eq=False)
class Opened:
    """A network in evaluation mode on `device`, with the classes of its weights file.

    `path` is the weights file, `given` the user's argument (a run folder, a file, `reference`), and `name` what titles
    call it.
    """

    network: nn.Module
    classnames: tuple[str, ...]
    path: Path
    given: Path
    name: str
    device: torch.device


@dataclass(frozen=True, eq=False)
class Trained(Opened):
    """A network that `train` or `reparameterize` wrote, with its settings; `notes` are what else the file holds."""

    config: TrainConfig
    notes: Mapping[str, Any]

    @classmethod
    def open(cls, given: str | Path | None = None, device: str = "auto") -> Self:
        """Return the network of a weights file, a run folder, `reference`, or (None) the newest run.

        The file is read once. Raise SpikeError if it is missing or damaged, or if the device cannot be used.
        """
        return cls.of_file(checkpoints.read(None if given is None else Path(given)), device)

    @classmethod
    def of_file(cls, file: WeightsFile, device: str = "auto") -> Self:
        """Return the network of a weights file that has been read; raise SpikeError as `open` does."""
        place = choose_device(device)
        stored, network = checkpoints.opened(file)
        found = (network.to(place), stored.classnames, file.path, file.given, file.name, place)
        return cls(*found, stored.config, stored.notes)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The sha256 of each split of the data set it was trained on; empty if the file does not record them."""
        return dict(self.notes.get("data", {}))

    @property
    def point_inputs(self) -> int:
        """How many numbers of a point it reads, if it reads points: 3, or 6 with the normal."""
        return point_inputs(self.config.model)

    def on(self, device: torch.device) -> Self:
        """Return the same network on another device."""
        if device == self.device:
            return self
        return replace(self, network=copy.deepcopy(self.network).to(device), device=device)
