"""Feeds of batches: made on the host and moved, or gathered and augmented on the device."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spikecli.machine import processes
from spikecli.machine.device import storage_type
from spikecli.models.inputs import as_network_input
from spikecli.training.batches import Batches
from spikecli.training.device_augment import ON_DEVICE, SIZES, augmentations_of, points_drawn

SHARE = 0.25  # of a GPU's free memory that a split may take


class Feed(Protocol):
    """Batches of a run, one at a time; a batch is a function of epoch, step and the seed of torch's generator."""

    def load(self, epoch: int, step: int) -> Hashable:
        """Load the batch of a step; return a key of its shape."""

    def make(self, shape: Hashable) -> tuple[Tensor, Tensor]:
        """Return the current batch (b, ...) of that shape and labels (b,), without waiting for the device."""


class HostFeed:
    """Batches augmented by numpy and moved to the device; on a GPU into fixed tensors."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._now: dict[Hashable, tuple[Tensor, Tensor]] = {}
        self._static = batches.device.type == "cuda"
        self._epoch, self._order = -1, np.empty(0)

    def load(self, epoch: int, step: int) -> Hashable:
        """Load the batch of a step; return its shape."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._batches.order(epoch)
        inputs, labels = self._batches.batch(self._order[step], epoch, step)
        shape = tuple(inputs.shape)
        if not self._static:
            self._now = {shape: (inputs, labels)}
        elif shape not in self._now:
            self._now[shape] = inputs.clone(), labels.clone()
        else:
            for mine, new in zip(self._now[shape], (inputs, labels), strict=True):
                mine.copy_(new)
        return shape

    def make(self, shape: Hashable) -> tuple[Tensor, Tensor]:
        """Return the current batch (b, ...) and labels (b,)."""
        return self._now[shape]


class ResidentFeed:
    """A split that lies on the device: a batch is a gather there, augmented there by torch.

    Only the order of the samples is the host's, moved once an epoch, and how many points of a thinned cloud are left.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._inputs = torch.from_numpy(np.ascontiguousarray(batches.inputs)).to(batches.device)
        self._labels = torch.from_numpy(batches.labels).to(batches.device)
        self._kind = storage_type(batches.config.precision)
        self._augment = ON_DEVICE[batches.config.augment]
        self._size = SIZES.get(batches.config.augment, lambda inputs, rng: 0)
        self._points = batches.config.points if batches.config.resample else 0
        self._epoch = -1
        self._order = self._current = torch.empty(0)

    def load(self, epoch: int, step: int) -> Hashable:
        """Load the batch of a step; return the number of points that it keeps, 0 for all."""
        if epoch != self._epoch:
            share = slice(processes.rank(), None, processes.world())
            order = np.ascontiguousarray(self._batches.order(epoch)[:, share])
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self._labels.device)
            if self._current.shape != self._order[0].shape:
                self._current = self._order[0].clone()
        self._current.copy_(self._order[step])
        rng = np.random.default_rng([self._batches.config.seed, 2, epoch, step])
        taken = self._batches.inputs[:1]
        taken = taken[:, : self._points] if self._points else taken
        return self._size(taken, rng)

    def make(self, shape: Any) -> tuple[Tensor, Tensor]:
        """Return the current batch (b, ...), freshly augmented, and labels (b,)."""
        inputs = self._inputs.index_select(0, self._current)
        if self._points:
            inputs = points_drawn(inputs, self._points)
        labels = self._labels.index_select(0, self._current)
        return as_network_input(self._augment(inputs, shape), self._kind), labels


def feed(batches: Batches) -> Feed:
    """Return the feed for these batches: resident if a GPU has room for the split, else from the host."""
    if batches.device.type != "cuda" or batches.config.augment not in augmentations_of(batches.inputs):
        return HostFeed(batches)
    free, _ = torch.cuda.mem_get_info(batches.device)
    return ResidentFeed(batches) if batches.inputs.nbytes <= SHARE * free else HostFeed(batches)
