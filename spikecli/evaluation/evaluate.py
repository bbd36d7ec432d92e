"""Logits and scores of a trained model at each number of time steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.provenance import facts_at_training
from spikecli.datasets.samples import Samples, held_out, load_samples, spread
from spikecli.datasets.sets import find_facts
from spikecli.errors import SettingError, SpikeError
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import Operations, counted
from spikecli.evaluation.how import How
from spikecli.evaluation.information import information
from spikecli.evaluation.neurobench import energies, workload
from spikecli.evaluation.reliability import Reliability, reliability
from spikecli.models.running import samples_at_a_time, step_logits
from spikecli.weights.trained import Trained


@dataclass(frozen=True)
class StepRow:
    """Scores at one number of time steps: accuracies and rates in 0…1, operations and energy of one sample.

    `by_class` holds the share of right samples of each class, `confusions` the mistakes of the first seed as (class,
    predicted class, samples), the most frequent first. The deviation of a single run is not known: None.
    """

    timesteps: int
    instance_accuracy: float
    instance_accuracy_std: float | None
    class_accuracy: float
    firing_rate: float
    synaptic_operations: float
    energy_uj: float
    seconds: float
    by_class: tuple[float, ...]
    ece: float | None = None  # expected calibration error in 0…1, with the first seed, as is the next
    calibration: Reliability | None = None  # as `eval --json` names it
    confusions: tuple[tuple[int, int, int], ...] = ()
    energy: dict[str, Any] = field(default_factory=dict)  # of one sample, as `neurobench.energies` has it
    neurobench: dict[str, Any] = field(default_factory=dict)  # of one sample, as `neurobench.workload` has it
    information: dict[str, Any] = field(default_factory=dict)  # entropy of spikes, as `information` has it


def samples_for(
    trained: Trained, data_dir: Path, dataset: str | None = None, split: str = "test", most: int | None = None
) -> Samples:
    """Return a split of `dataset` (None: the one that the network was trained on) as network input.

    With `most`, so many samples of it, evenly over the split. Split val is the part of the training split that its run
    held out. Raise SpikeError if the split is not prepared, or if the data set is of another kind or has other classes
    than the network.
    """
    config = trained.config
    if split == "val" and dataset not in (None, config.dataset):
        raise SpikeError(f"split val is what was held out of {config.dataset} in training; found data set {dataset}")
    name = dataset or config.dataset
    before, now = facts_at_training(trained), find_facts(name, data_dir)
    if now.kind != before.kind:
        raise SettingError(
            "data",
            f"cannot be {name}, which holds {now.kind}: {trained.path} was trained on {before.kind}; "
            f"give the data set it was trained on, {config.dataset}",
        )
    samples: Samples = load_samples(data_dir, name, "train" if split == "val" else split, config, fixed=True)
    if split == "val":
        samples = held_out(samples, config)
    if samples.classnames != trained.classnames:
        raise SettingError(
            "data",
            f"cannot be {name}, which has the classes {', '.join(samples.classnames)}: {trained.path} knows "
            f"{', '.join(trained.classnames)}; give the data set it was trained on, {config.dataset}",
        )
    return samples if most is None else spread(samples, most)


def evaluate(model: nn.Module, samples: Samples, timesteps: Sequence[int], how: How) -> list[StepRow]:
    """Return a row for each number of time steps, over the seeds of the perturbation that `how` names.

    One pass of the longest run gives the results of all shorter ones that have the same inputs. Operations are counted
    in the first run, over all its votes; `seconds` is the time for the whole split at this number of steps, from the
    median of three passes over one batch, for each vote.
    """
    rows = []
    for longest, shorter in shared_passes(samples, timesteps).items():
        inputs = samples.inputs(longest)
        predictions, first = [], torch.empty(0)
        counts = Operations(longest)
        for run in range(how.runs):
            with counted(model, longest, how.updates or how.traffic) if run == 0 else nullcontext(counts) as counts:
                logits = voted(model, inputs, longest, how, run)
            means = metrics.cumulative_mean(logits)
            predictions.append(means.argmax(-1))
            first = means if run == 0 else first
        for t in shorter:
            seconds = _seconds(model, inputs, t, how) * how.votes
            sure = reliability(first[t - 1].softmax(-1), torch.from_numpy(samples.labels), t)
            rows.append(replace(_row(t, [p[t - 1] for p in predictions], samples, counts, seconds, how), **_sure(sure)))
    return rows


def logits_of(model: nn.Module, inputs: np.ndarray, timesteps: int, how: How, run: int = 0) -> Tensor:
    """Return the logits (T, S, K) of the run numbered `run`, whose seed is that much larger than the first."""
    return step_logits(model, inputs, timesteps, how.device, how.precision, how.seed + run, how.on_samples)


def voted(model: nn.Module, inputs: np.ndarray, timesteps: int, how: How, run: int = 0) -> Tensor:
    """Return the mean logits (T, S, K) of the passes that vote in a run: each perturbs the membranes by its own seed.

    It is an ensemble over the start noise, which 2310.06232's release scores by; run and vote number the seeds.
    """
    first = run * how.votes
    return torch.stack([logits_of(model, inputs, timesteps, how, first + vote) for vote in range(how.votes)]).mean(0)


def shared_passes(samples: Samples, timesteps: Sequence[int]) -> dict[int, list[int]]:
    """Return which numbers of time steps are answered by a pass of which: the longest where each step shows the same,
    each by its own where a recording is sliced again."""
    return {max(timesteps): list(timesteps)} if samples.static else {t: [t] for t in timesteps}


def _row(
    timesteps: int, predictions: list[Tensor], samples: Samples, counts: Operations, seconds: float, how: How
) -> StepRow:
    labels = torch.from_numpy(samples.labels)
    accuracies = [metrics.instance_accuracy(prediction, labels) for prediction in predictions]
    return StepRow(
        timesteps,
        statistics.fmean(accuracies),
        statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        statistics.fmean(metrics.class_accuracy(prediction, labels) for prediction in predictions),
        counts.firing_rate(timesteps),
        counts.synaptic_operations(timesteps) / len(labels),
        counts.energy_uj(timesteps, how.prices) / len(labels),
        seconds,
        mean_by_class(predictions, samples),
        confusions=metrics.confusions(predictions[0], labels),
        energy=energies(counts, timesteps, len(labels), how.prices, how.traffic),
        neurobench=workload(counts, timesteps, len(labels), how.updates),
        information=information(counts, timesteps),
    )


def _sure(found: Reliability) -> dict[str, Any]:
    return {"ece": found.ece, "calibration": found}


def mean_by_class(predictions: Sequence[Tensor], samples: Samples) -> tuple[float, ...]:
    """Return each class's share of right samples, the mean over several predictions (S,) of the same samples."""
    labels, classes = torch.from_numpy(samples.labels), len(samples.classnames)
    found = [metrics.accuracy_by_class(prediction, labels, classes) for prediction in predictions]
    return tuple(torch.stack(found).mean(0).tolist())


def _seconds(model: nn.Module, inputs: np.ndarray, timesteps: int, how: How) -> float:
    batch = inputs[: samples_at_a_time(inputs, how.device)]
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        step_logits(model, batch, timesteps, how.device, how.precision, 0)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * len(inputs) / len(batch)


def probabilities(trained: Trained, inputs: np.ndarray, timesteps: int, seed: int = 0) -> np.ndarray:
    """Return probabilities (T, S, K) of clouds, frames or images (S, ...): row t is the softmax of t + 1 steps' mean
    logits."""
    logits = step_logits(trained.network, inputs, timesteps, trained.device, "fp32", seed)
    return metrics.cumulative_mean(logits).softmax(-1).numpy()
