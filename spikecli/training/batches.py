"""The batches of a training run: a function of its settings, the epoch and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.sets import augmentations
from spikecli.errors import SettingError
from spikecli.evaluation.calibration import as_notes, calibrate
from spikecli.evaluation.how import How
from spikecli.machine import processes
from spikecli.machine.device import storage_type
from spikecli.models.inputs import to_device, to_network
from spikecli.settings.config import TrainConfig
from spikecli.training.chosen import Chosen


@dataclass(frozen=True)
class Batches:
    """The batches of a run: order, augmentation, and this process's share."""

    inputs: np.ndarray | Chosen  # (S, ...)
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
        rng = np.random.default_rng([self.config.seed, 1, epoch])
        if self.config.balance:
            return balanced(self.labels, self.steps, self.size, rng)
        order = rng.permutation(len(self.labels))
        return order[: self.steps * self.size].reshape(self.steps, self.size)

    def batch(self, indices: np.ndarray, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's share of the augmented batch, for the network, and labels (b,)."""
        rng = np.random.default_rng([self.config.seed, 2, epoch, step])
        inputs = self.inputs[indices]
        if self.config.resample:
            inputs = points_drawn(inputs, self.config.points, np.random.default_rng([self.config.seed, 3, epoch, step]))
        inputs = augmentations()[self.config.augment](inputs, rng)
        share = slice(processes.rank(), None, processes.world())
        return self.to_device(inputs[share]), to_device(self.labels[indices][share], self.device)

    def clean(self, epoch: int, limit: int) -> Iterator[Tensor]:
        """Yield this process's share of clean batches, `limit` samples at most."""
        for indices in self.order(epoch)[: max(1, limit // self.config.batch_size)]:
            share = self.inputs[indices][processes.rank() :: processes.world()]
            yield self.to_device(first_points(share, self.config.points) if self.config.resample else share)

    def calibration(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the calibration of a network, as a checkpoint keeps it, fitted to these samples; empty without any.

        It is fitted in float32, in which `predict` and `eval` use it, whatever the training's precision.
        """
        how = How(seed=self.config.seed, device=self.device)
        return as_notes(calibrate(model, np.asarray(self.inputs), self.labels, self.config.timesteps, how))

    def to_device(self, inputs: np.ndarray) -> Tensor:
        """Return a batch (b, ...) as network input."""
        return to_network(inputs, self.device, storage_type(self.config.precision))


def balanced(labels: np.ndarray, steps: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return an epoch's samples (steps, size) with classes in turn: in no batch has one two more than another.

    Of a class each sample comes once before one comes again; samples of a small class repeat.
    """
    classes = rng.permutation(np.unique(labels))
    turn = np.arange(steps * size) % len(classes)
    order = np.empty(steps * size, np.int64)
    for place, label in enumerate(classes):
        members, wanted = np.flatnonzero(labels == label), np.flatnonzero(turn == place)
        rounds = [rng.permutation(members) for _ in range(-(-len(wanted) // len(members)))]
        order[wanted] = np.concatenate(rounds)[: len(wanted)] if rounds else members[:0]
    return rng.permuted(order.reshape(steps, size), axis=1)


def points_drawn(clouds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return clouds (B, count, 3) of points drawn from each of `clouds` (B, N, 3), no point twice, normalized."""
    chosen = rng.random(clouds.shape[:2]).argsort(1)[:, :count]
    return normalize_unit_sphere(np.take_along_axis(clouds, chosen[..., None], 1))


def first_points(clouds: np.ndarray, count: int) -> np.ndarray:
    """Return the first `count` points of each of `clouds` (B, N, 3) in the unit sphere, as evaluation takes them."""
    return normalize_unit_sphere(clouds[:, :count])


def check_resampling(config: TrainConfig, inputs: np.ndarray) -> None:
    """Raise SpikeError if points are to be drawn again, but no more are prepared than the network takes."""
    if config.resample and inputs.shape[1] <= config.points:
        more = 2 * config.points
        raise SettingError(
            "resample",
            f"draws {config.points} points among those prepared, but {config.dataset} has {inputs.shape[1]} a cloud; "
            f"prepare it again with `--points {more}`, or ask for fewer points",
        )
