"""The batches of a training run: a function of its settings, the epoch and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikecli.datasets.sets import augmentations
from spikecli.machine import processes
from spikecli.machine.device import storage_type
from spikecli.models.inputs import to_device, to_network
from spikecli.settings.config import TrainConfig


@dataclass(frozen=True)
class Batches:
    """The batches of a run: order, augmentation, and this process's share."""

    inputs: np.ndarray  # (S, ...)
    labels: np.ndarray  # (S,)
    config: TrainConfig
    device: torch.device

    @property
    def steps(self) -> int:
        return max(1, len(self.labels) // self.config.batch_size)

    @property
    def size(self) -> int:
        """The samples of a step, over all processes."""
        size, world = min(self.config.batch_size, len(self.labels)), processes.world()
        return size // world * world or size

    def order(self, epoch: int) -> np.ndarray:
        """Return the samples of an epoch (steps, batch), the incomplete last batch dropped; processes share equally."""
        order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self.labels))
        return order[: self.steps * self.size].reshape(self.steps, self.size)

    def batch(self, indices: np.ndarray, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's share of the augmented batch, for the network, and labels (b,)."""
        rng = np.random.default_rng([self.config.seed, 2, epoch, step])
        inputs = augmentations()[self.config.augment](self.inputs[indices], rng)
        share = slice(processes.rank(), None, processes.world())
        return self.to_device(inputs[share]), to_device(self.labels[indices][share], self.device)

    def clean(self, epoch: int, limit: int) -> Iterator[Tensor]:
        """Yield this process's share of clean batches, `limit` samples at most."""
        for indices in self.order(epoch)[: max(1, limit // self.config.batch_size)]:
            yield self.to_device(self.inputs[indices][processes.rank() :: processes.world()])

    def to_device(self, inputs: np.ndarray) -> Tensor:
        """Return a batch (b, ...) as network input."""
        return to_network(inputs, self.device, storage_type(self.config.precision))
