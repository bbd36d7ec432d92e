"""Scores of an ablation: a row for each T, a row for each layer, and means over the seeds."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import nn

from spikecli.datasets.samples import Samples
from spikecli.evaluation import evaluate, metrics
from spikecli.evaluation.energy import Operations, counted, energy_uj
from spikecli.evaluation.how import How, OnSamples, silent
from spikecli.evaluation.stopping import distinct_steps, runs_of
from spikecli.settings.config import TrainConfig
from spikecli.training.membrane_loss import Quantization, quantization
from spikecli.weights.trained import Trained

Right = dict[str, str]  # by T: a 1 for each sample that is right with the first noise, a 0 for each other
PERTURBATION_SEED = 0  # the first, as of `eval`
PRECISION = "fp32"  # as of `eval`, whatever a run was trained in


@dataclass(frozen=True)
class Scoring:
    """Settings for scoring trained networks."""

    timesteps: tuple[int, ...]
    split: str
    perturbations: int


@dataclass(frozen=True)
class Score:
    """One seed of a paper at one T: accuracies and rates in 0…1, operations and energy of one sample.

    Firing rate and quantization error (mean |u − s| over elements and steps, then over layers) are None for the ANN.
    """

    paper: str
    seed: int
    train_timesteps: int
    timesteps: int
    split: str
    samples: int
    instance_accuracy: float
    perturbation_std: float | None  # None: one perturbation seed alone, or a network that draws nothing
    class_accuracy: float
    firing_rate: float | None
    synaptic_operations: float
    energy_uj: float
    quantization_error: float | None
    settings: str = ""  # what a sweep has set: "lr=0.001 epochs=10"

    @property
    def row_name(self) -> str:
        """The paper, with what a sweep has set."""
        return ", ".join(filter(None, (self.paper, self.settings)))


@dataclass(frozen=True)
class Layer:
    """One layer at the longest T, for one sample: the spikes of neurons, or the operations of a layer's products."""

    layer: str
    firing_rate: float | None
    synaptic_operations: float
    multiplies: float
    energy_uj: float
    quantization_error: float | None


@dataclass(frozen=True)
class PaperScores:
    """A paper at one T over its seeds: means, and the accuracy's standard deviation (None of one seed)."""

    timesteps: int
    seeds: int
    instance_accuracy: float
    instance_accuracy_std: float | None
    class_accuracy: float
    firing_rate: float | None
    synaptic_operations: float
    energy_uj: float
    quantization_error: float | None


def score(
    trained: Trained, samples: Samples, scoring: Scoring, on_samples: OnSamples = silent
) -> tuple[list[Score], list[Layer], Right]:
    """Return a network's scores at each T, its layers at the longest T, and which samples it gets right."""
    model, config = trained.network, trained.config
    steps, runs = distinct_steps(model, scoring.timesteps), runs_of(model, scoring.perturbations)
    how = How(runs, PERTURBATION_SEED, trained.device, PRECISION, on_samples)
    rows = evaluate.evaluate(model, samples, steps, how)
    scores: list[Score] = []
    right: Right = {}
    count = len(samples.labels)
    for longest, shorter in sorted(evaluate.shared_passes(samples, steps).items()):
        with counted(model, longest) as operations, quantization(model, longest) as errors:
            logits = evaluate.logits_of(model, samples.inputs(longest), longest, how)
        predictions = metrics.cumulative_predictions(logits)
        right |= {
            str(t): "".join("01"[int(ok)] for ok in predictions[t - 1].numpy() == samples.labels) for t in shorter
        }
        scores += [_score(config, scoring.split, count, row, errors) for row in rows if row.timesteps in shorter]
    return scores, list(_layers(model, operations, errors, count)), right


def _score(config: TrainConfig, split: str, samples: int, row: evaluate.StepRow, errors: Quantization) -> Score:
    return Score(
        paper=config.paper,
        seed=config.seed,
        train_timesteps=config.timesteps,
        timesteps=row.timesteps,
        split=split,
        samples=samples,
        instance_accuracy=row.instance_accuracy,
        perturbation_std=row.instance_accuracy_std,
        class_accuracy=row.class_accuracy,
        firing_rate=row.firing_rate if config.model.neuron is not None else None,
        synaptic_operations=row.synaptic_operations,
        energy_uj=row.energy_uj,
        quantization_error=errors.error(row.timesteps),
    )


def _layers(model: nn.Module, operations: Operations, errors: Quantization, samples: int) -> Iterator[Layer]:
    for name, _ in model.named_modules():
        if name in operations.layers:
            spikes, neurons, additions, multiplies = (operations.layers[name].sum(1) / samples).tolist()[:4]
            if not (neurons or additions or multiplies):
                continue  # an ANN's activation, which NeuroBench alone counts
            rate = spikes / neurons if neurons else None
            energy = energy_uj(additions, multiplies)
            yield Layer(name, rate, additions, multiplies, energy, errors.error(errors.timesteps, name))


def summarized(scores: Sequence[Score]) -> dict[str, list[PaperScores]]:
    """Return the cells by T of each paper, or paper and settings of a sweep, in the order of their first score."""
    groups: dict[tuple[str, int], list[Score]] = {}
    for one in scores:
        groups.setdefault((one.row_name, one.timesteps), []).append(one)
    table: dict[str, list[PaperScores]] = {}
    for (paper, timesteps), group in groups.items():
        accuracies = [one.instance_accuracy for one in group]
        cell = PaperScores(
            timesteps,
            len(group),
            statistics.fmean(accuracies),
            statistics.stdev(accuracies) if len(group) > 1 else None,
            statistics.fmean(one.class_accuracy for one in group),
            _mean([one.firing_rate for one in group]),
            statistics.fmean(one.synaptic_operations for one in group),
            statistics.fmean(one.energy_uj for one in group),
            _mean([one.quantization_error for one in group]),
        )
        table.setdefault(paper, []).append(cell)
    return table


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


MEASURED = (
    "instance_accuracy", "perturbation_std", "class_accuracy", "firing_rate", "synaptic_operations", "energy_uj",
    "quantization_error",
)  # fmt: skip


def as_records(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the scores as records; those of a sweep say what it has set."""
    swept = any(one.settings for one in scores)
    return [{name: value for name, value in asdict(one).items() if swept or name != "settings"} for one in scores]


def as_csv(scores: Sequence[Score]) -> str:
    """Return the scores as CSV with a header, a row each; None becomes an empty field."""
    text = io.StringIO()
    records = as_records(scores)
    names = list(records[0]) if records else [field.name for field in fields(Score) if field.name != "settings"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
