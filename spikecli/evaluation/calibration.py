"""Calibration: a temperature that makes a network as sure as it is right, and a threshold for "none of these".

Temperature scaling is of Guo et al. 2017, arXiv 1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.evaluation import metrics
from spikecli.evaluation.evaluate import logits_of, samples_for, shared_passes
from spikecli.evaluation.how import How
from spikecli.evaluation.reliability import reliability
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint, WeightsFile
from spikecli.weights.trained import Trained

FEWEST = 30  # held-out samples from which a temperature can be fitted
KEPT = 0.95  # share of the right answers that the fitted threshold lets pass
STEPS = (1, 2, 3, 4)  # numbers of time steps for which a temperature is fitted, beside those of training
_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures to search


@dataclass(frozen=True)
class Calibration:
    """What was fitted to held-out samples at one number of time steps.

    Probabilities are softmax(z/temperature) of mean logits z. `threshold` is the largest probability that KEPT of the
    right answers reach. `fitted` is False where the samples are too few: then the temperature is 1.
    """

    timesteps: int
    temperature: float
    threshold: float
    samples: int
    ece_before: float
    ece: float
    fitted: bool


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature in 0.05…20 at which softmax(z/T) of logits (S, K) is likeliest for labels (S,).

    The likelihood has one maximum in 1/T, found by golden sections of log T. With no mistake it has none: return 1.
    """
    z = logits.double()
    if (z.argmax(-1) == labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return functional.cross_entropy(z / math.exp(log_temperature), labels).item()

    low, high, ratio = math.log(_LOWEST), math.log(_HIGHEST), (math.sqrt(5) - 1) / 2
    while high - low > 1e-5:
        first, second = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    return math.exp((low + high) / 2)


def fit_threshold(probabilities: Tensor, labels: Tensor, kept: float = KEPT) -> float:
    """Return the largest probability that at least `kept` of the right answers (S, K) reach; 0 without any."""
    confidence, given = probabilities.double().max(-1)
    right = confidence[given == labels].sort().values
    return right[len(right) - math.ceil(kept * len(right))].item() if len(right) else 0.0


def calibrated(logits: Tensor, labels: Tensor, timesteps: int) -> Calibration:
    """Return what fits mean logits (S, K) after so many steps to labels (S,)."""
    fitted = len(labels) >= FEWEST
    temperature = fit_temperature(logits, labels) if fitted else 1.0
    before, after = logits.softmax(-1), (logits / temperature).softmax(-1)
    ece_before, ece = (reliability(shares, labels).ece for shares in (before, after))
    return Calibration(timesteps, temperature, fit_threshold(after, labels), len(labels), ece_before, ece, fitted)


def calibrate(model: nn.Module, inputs: np.ndarray, labels: np.ndarray, timesteps: int, how: How) -> list[Calibration]:
    """Return calibrations from held-out samples (S, ...), never of the test split, and their labels (S,).

    Frames have `timesteps` steps and give one; of all else the first four steps get one, too.
    """
    if not len(labels):
        return []
    wanted = {timesteps} if inputs.ndim == 5 else {timesteps, *STEPS}
    means = metrics.cumulative_mean(logits_of(model, inputs, max(wanted), how))
    known = torch.from_numpy(labels)
    return [calibrated(means[step - 1], known, step) for step in sorted(wanted) if step <= len(means)]


def calibrate_file(
    trained: Trained, file: WeightsFile, data_dir: Path, timesteps: Sequence[int], how: How
) -> list[Calibration]:
    """Return calibrations from the samples that a run held out, after writing them into its weights file.

    `file` is what `trained` was made of; its tensors are written again as they were read. Raise SpikeError if nothing
    was held out, or the data are not there.
    """
    samples = samples_for(trained, data_dir, None, "val")
    found: list[Calibration] = []
    for longest, shorter in shared_passes(samples, sorted(set(timesteps))).items():
        means = metrics.cumulative_mean(logits_of(trained.network, samples.inputs(longest), longest, how))
        known = torch.from_numpy(samples.labels)
        found += [calibrated(means[step - 1], known, step) for step in shorter if step <= len(means)]
    notes = {**trained.notes, "calibration": as_notes(found)}
    checkpoints.save(file.path, Checkpoint(file.tensors, trained.config, trained.classnames, notes))
    return found


def as_notes(found: Sequence[Calibration]) -> list[dict[str, Any]]:
    """Return calibrations as a checkpoint keeps them."""
    return [asdict(one) for one in found]


def for_steps(notes: Mapping[str, Any], timesteps: int) -> Calibration | None:
    """Return the calibration in a checkpoint's notes for so many steps, or for the nearest number; None without any."""
    found = [Calibration(**one) for one in notes.get("calibration", ())]
    return min(found, key=lambda one: (abs(one.timesteps - timesteps), one.timesteps)) if found else None
