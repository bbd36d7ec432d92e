"""Scores at fixed numbers of time steps and with early stopping per sample, with the savings."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.samples import Samples
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import counted
from spikecli.evaluation.evaluate import StepRow, evaluate, logits_of, mean_by_class
from spikecli.evaluation.evaluate import shared_passes as passes_of
from spikecli.evaluation.how import How, silent
from spikecli.evaluation.reliability import Reliability, reliability
from spikecli.evaluation.stopping import StopRule, answers
from spikecli.models.running import BATCH, step_logits

TIMED = 4 * BATCH  # samples that the seconds are measured on, spread over the split


@dataclass(frozen=True)
class AutoRow:
    """The row of `--timesteps auto`: a `StepRow` whose operations, energy and seconds end where each sample stops.

    `stopped_at` holds the share of samples that stop after each number of steps.
    """

    timesteps: str
    instance_accuracy: float
    instance_accuracy_std: float | None
    class_accuracy: float
    firing_rate: float
    synaptic_operations: float
    energy_uj: float
    seconds: float
    confidence: float
    most: int
    mean_timesteps: float
    stopped_at: tuple[float, ...]
    by_class: tuple[float, ...]
    ece: float | None = None


@dataclass(frozen=True)
class Saved:
    """The savings of early stopping, as shares of `timesteps` fixed steps; negative if it takes more."""

    timesteps: float
    synaptic_operations: float
    energy_uj: float
    seconds: float


@dataclass(frozen=True)
class StepScores:
    """Rows of fixed steps in order and, with auto, its row and its savings compared with the longest run.

    `confidences` are the mean probabilities of the predicted class, one a row; empty if no picture is drawn.
    """

    rows: list[StepRow]
    auto: AutoRow | None
    saved: Saved | None
    confidences: list[float]
    samples: int

    @property
    def all_rows(self) -> list[StepRow | AutoRow]:
        """The rows, auto last."""
        return [*self.rows, self.auto] if self.auto is not None else [*self.rows]


def evaluate_steps(
    model: nn.Module,
    samples: Samples,
    timesteps: Sequence[int],
    stop: StopRule | None,
    drawn: bool,
    how: How,
) -> StepScores:
    """Return the scores at each number of time steps and, if `stop` is given, with early stopping.

    The most steps of `stop` get a row too, as the base of the savings. `drawn` adds confidences.
    Raise SpikeError for an ANN with `stop`.
    """
    timesteps = _with_most(timesteps, stop)
    auto = None if stop is None else stopped(model, samples, stop, how)
    rows = evaluate(model, samples, timesteps, how)
    sure = mean_confidences(model, samples, timesteps, how) if drawn else []
    longest = next((row for row in rows if stop is not None and row.timesteps == stop.most), None)
    saving = saved(auto, longest) if auto is not None and longest is not None else None
    return StepScores(rows, auto, saving, sure, len(samples.labels))


def count_passes(samples: Samples, timesteps: Sequence[int], stop: StopRule | None, runs: int, drawn: bool) -> int:
    """Return the number of passes of `evaluate_steps` over the split."""
    steps = _with_most(timesteps, stop)
    return (runs + drawn) * len(passes_of(samples, steps)) + (runs if stop is not None else 0)


def _with_most(timesteps: Sequence[int], stop: StopRule | None) -> list[int]:
    return sorted({*timesteps, *([stop.most] if stop is not None else [])})


def reliabilities(scores: StepScores) -> list[Reliability]:
    """Return the reliability curve of each fixed number of time steps."""
    return [row.calibration for row in scores.rows if row.calibration is not None]


def results(scores: StepScores, classnames: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows for `spikecli eval --json`; with `classnames` also `by_class` and `confusions`, by name."""
    rows = [asdict(row) for row in scores.all_rows]
    for row, confidence in zip(rows, scores.confidences, strict=False):
        row["mean_confidence"] = confidence
    if scores.saved is not None:
        rows[-1]["saved"] = asdict(scores.saved)
    for row in rows:
        row.pop("calibration", None)
        shares, confusions = row.pop("by_class"), row.pop("confusions", None)
        if classnames:
            if confusions is not None:
                row["confusions"] = [
                    {"class": classnames[label], "predicted": classnames[given], "samples": count}
                    for label, given, count in confusions
                ]
            told = (None if math.isnan(share) else share for share in shares)  # no sample is of that class
            row["by_class"] = dict(zip(classnames, told, strict=True))
    return rows


def stopped(model: nn.Module, samples: Samples, stop: StopRule, how: How) -> AutoRow:
    """Return the row of a network that stops each sample when it is sure, over the seeds that `how` names.

    Operations are counted in the first run; `seconds` is what the whole split takes, from the median of three passes
    over samples spread evenly over it. Raise SpikeError for an ANN.
    """
    labels, inputs = torch.from_numpy(samples.labels), samples.inputs(stop.most)
    with counted(model, 1) as counts:  # each call is a step of the samples still under way, so the sum is over all
        first = answers(model, inputs, stop, how)
    done = [first]
    for run in range(1, how.runs):
        done.append(answers(model, inputs, stop, how, run))
    steps = torch.stack([taken for _, taken in done])
    accuracies = [metrics.instance_accuracy(means.argmax(-1), labels) for means, _ in done]
    again = (first[1] - 1).sum().item() * _computed_once(model, inputs[:1], how)
    return AutoRow(
        "auto",
        statistics.fmean(accuracies),
        statistics.stdev(accuracies) if how.runs > 1 else None,
        statistics.fmean(metrics.class_accuracy(means.argmax(-1), labels) for means, _ in done),
        counts.firing_rate(1),
        counts.synaptic_operations(1) / len(labels),
        (counts.energy_uj(1, how.prices) - how.prices.energy_uj(0, again)) / len(labels),
        _seconds(model, inputs, stop, how),
        stop.confidence,
        stop.most,
        steps.double().mean().item(),
        tuple((steps == step).double().mean().item() for step in range(1, stop.most + 1)),
        mean_by_class([means.argmax(-1) for means, _ in done], samples),
        reliability(first[0].softmax(-1), labels).ece,
    )


def _computed_once(model: nn.Module, one: np.ndarray, how: How) -> float:
    """Return the multiply-adds of a sample that are the same at every step: a long run makes them in its first alone.

    Calls of one step each make them again, but a device need not: it holds the layer's output. Frames have none.
    """
    if one.ndim == 5:
        return 0.0
    with counted(model, 2) as counts:
        step_logits(model, one, 2, how.device, how.precision, 0)
    return (counts.multiplies[0] - counts.multiplies[1]).item()


def _seconds(model: nn.Module, inputs: np.ndarray, stop: StopRule, how: How) -> float:
    # The splits are sorted by class, and classes differ in how soon they are sure.
    chosen = np.unique(np.linspace(0, len(inputs) - 1, TIMED).astype(np.int64))
    taken, alone = [], replace(how, seed=0, on_samples=silent)
    for _ in range(3):
        begun = time.perf_counter()
        answers(model, inputs[chosen], stop, alone)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * len(inputs) / len(chosen)


def saved(auto: AutoRow, fixed: StepRow) -> Saved:
    """Return the savings of `auto` compared with a row of fixed time steps."""
    return Saved(
        1 - auto.mean_timesteps / fixed.timesteps,
        _saved(auto.synaptic_operations, fixed.synaptic_operations),
        _saved(auto.energy_uj, fixed.energy_uj),
        _saved(auto.seconds, fixed.seconds),
    )


def _saved(part: float, whole: float) -> float:
    return 1 - part / whole if whole else 0.0


def mean_confidences(model: nn.Module, samples: Samples, timesteps: Sequence[int], how: How) -> list[float]:
    """Return for each number of time steps the mean probability of the predicted class, with the first seed."""
    found = []
    for longest, shorter in passes_of(samples, timesteps).items():
        logits = logits_of(model, samples.inputs(longest), longest, how)
        surest: Tensor = metrics.cumulative_mean(logits).softmax(-1).amax(-1)
        found += [surest[step - 1].mean().item() for step in shorter]
    return found
