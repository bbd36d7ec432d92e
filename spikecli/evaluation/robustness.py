"""A trained network's scores on damaged samples: a row for each kind, severity and number of time steps."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.corrupt import SEVERITIES, Corruption
from spikecli.datasets.samples import Samples
from spikecli.datasets.sets import kind_named
from spikecli.errors import SpikeError
from spikecli.evaluation import metrics
from spikecli.evaluation.evaluate import logits_of, shared_passes
from spikecli.evaluation.how import How
from spikecli.evaluation.stopping import distinct_steps

CLEAN = "clean"


@dataclass(frozen=True)
class Battery:
    """The damage to evaluate: kinds and severities."""

    kinds: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES

    @property
    def cases(self) -> list[tuple[str, int]]:
        """The kinds and severities of the table's rows, the undamaged samples first."""
        return [(CLEAN, 0), *((kind, severity) for kind in self.kinds for severity in self.severities)]


@dataclass(frozen=True)
class DamageCell:
    """Scores under one kind of damage at one severity and number of time steps, in 0…1, over the runs."""

    corruption: str
    severity: int  # 0: undamaged
    timesteps: int
    instance_accuracy: float
    instance_accuracy_std: float | None  # of a single run not known
    class_accuracy: float


@dataclass(frozen=True)
class Mean:
    """The mean over the kinds of damage, at one severity or (None) over all."""

    severity: int | None
    timesteps: int
    instance_accuracy: float
    class_accuracy: float


@dataclass(frozen=True)
class DamageReport:
    """The rows of the chosen damage, and the means over the kinds of damage."""

    name: str
    cells: list[DamageCell]
    means: list[Mean]


def robustness(
    model: nn.Module, samples: Samples, battery: Battery, timesteps: Sequence[int], how: How
) -> list[DamageCell]:
    """Return a cell for each case of `battery` and number of time steps; a run's seed draws damage and perturbation.

    The ANN has no time steps: it gets cells of one step only.
    """
    timesteps = distinct_steps(model, timesteps)
    labels = torch.from_numpy(samples.labels)
    cells = []
    for kind, severity in battery.cases:
        for longest, shorter in shared_passes(samples, timesteps).items():
            predictions = []
            for run in range(how.runs):
                inputs = damaged(samples, kind, severity, how.seed + run, longest)
                logits = logits_of(model, inputs, longest, how, run)
                predictions.append(metrics.cumulative_predictions(logits))
            cells += [_cell(kind, severity, t, [steps[t - 1] for steps in predictions], labels) for t in shorter]
    return cells


def damaged(samples: Samples, kind: str, severity: int, seed: int, timesteps: int) -> np.ndarray:
    """Return damaged samples as network input for `timesteps` steps; undamaged ones for CLEAN."""
    if kind == CLEAN:
        return samples.inputs(timesteps)
    return kind_named(samples.kind).damaged(samples, kind, severity, seed, timesteps)


def corruptions_of(samples: Samples) -> Mapping[str, Corruption]:
    """Return the kinds of damage available for samples; raise SpikeError if there are none."""
    found = kind_named(samples.kind).corruptions()
    if not found:
        raise SpikeError(
            f"no damage is known for {samples.unit_name}, which {samples.dataset} holds; wanted another kind of data"
        )
    return found


def _cell(kind: str, severity: int, timesteps: int, predictions: list[Tensor], labels: Tensor) -> DamageCell:
    accuracies = [metrics.instance_accuracy(prediction, labels) for prediction in predictions]
    return DamageCell(
        kind,
        severity,
        timesteps,
        statistics.fmean(accuracies),
        statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        statistics.fmean(metrics.class_accuracy(prediction, labels) for prediction in predictions),
    )


def means(cells: Sequence[DamageCell]) -> list[Mean]:
    """Return the means over the kinds of damage for each severity and number of steps, then those over all."""
    hurt = [cell for cell in cells if cell.severity]
    severities = sorted({cell.severity for cell in hurt})
    return [
        _mean(severity, t, [cell for cell in hurt if cell.timesteps == t and severity in (None, cell.severity)])
        for severity in [*severities, None]
        for t in sorted({cell.timesteps for cell in hurt})
    ]


def _mean(severity: int | None, timesteps: int, cells: Sequence[DamageCell]) -> Mean:
    return Mean(
        severity,
        timesteps,
        statistics.fmean(cell.instance_accuracy for cell in cells),
        statistics.fmean(cell.class_accuracy for cell in cells),
    )
