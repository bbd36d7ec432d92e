"""Predictions of a trained network for every sample of a split, at each number of time steps."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from spikecli.datasets import provenance
from spikecli.datasets.samples import Part, Samples
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import Operations, counted
from spikecli.evaluation.evaluate import logits_of, samples_for, shared_passes
from spikecli.evaluation.how import How
from spikecli.evaluation.stopping import runs_of
from spikecli.weights.trained import Trained


@dataclass(frozen=True)
class Evaluation:
    """A network and samples of a split to classify; `places` (S,) are their indices in the stored split."""

    model: nn.Module
    samples: Samples
    split: str
    places: np.ndarray
    how: How  # its `runs` are those that make a difference: 1 where nothing is drawn
    changes: tuple[str, ...] = ()  # in the data since the network was trained

    @property
    def repeats(self) -> int:
        """The number of seeds of the perturbation that make a difference."""
        return self.how.runs

    @property
    def stored(self) -> str:
        """The split as it is stored: val is a part of train."""
        return "train" if self.split == "val" else self.split

    def work(self, timesteps: int) -> int:
        """Return the number of answers that `evaluate_each` computes."""
        return self.repeats * len(self.places) * len(shared_passes(self.samples, range(1, timesteps + 1)))


@dataclass(frozen=True)
class Predictions:
    """Predictions: `classes` int (R, T, S), over R seeds and after 1 to T steps; the rest is of the first seed.

    `probabilities` (S, K) are those after T steps; `firing_rate` and `energy_uj` (T,) are of one sample and all steps
    so far.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    firing_rate: tuple[float, ...]
    energy_uj: tuple[float, ...]

    @property
    def timesteps(self) -> int:
        return self.classes.shape[1]

    @property
    def accuracies(self) -> np.ndarray:
        """The share of right answers (R, T), in 0…1."""
        return (self.classes == self.labels).mean(axis=2)

    @property
    def accuracy_std(self) -> np.ndarray:
        """The standard deviation over the seeds (T,); 0 for one seed."""
        found = self.accuracies
        return found.std(axis=0, ddof=1) if len(found) > 1 else np.zeros(found.shape[1])

    @property
    def confusion(self) -> np.ndarray:
        """Counts (K, K), true classes down and predicted ones across, after T steps with the first seed."""
        count = self.probabilities.shape[1]
        counts = np.zeros((count, count), dtype=np.int64)
        np.add.at(counts, (self.labels, self.classes[0, -1]), 1)
        return counts

    @property
    def mistakes(self) -> np.ndarray:
        """Indices of the samples that are wrong after T steps with the first seed, the most confident mistake first."""
        given = self.classes[0, -1]
        wrong = np.flatnonzero(given != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong, given[wrong]], kind="stable")]


def open_evaluation(trained: Trained, data_dir: Path, split: str, how: How) -> Evaluation:
    """Return a run's network with a split of its data set: "train", "test", or "val", the part of train held out.

    It is evaluated on the network's own device. Raise SpikeError if the data cannot be read, or nothing was held out.
    """
    samples = samples_for(trained, data_dir, None, split)
    places = samples.places if isinstance(samples, Part) else np.arange(len(samples.labels))
    how = replace(how, runs=runs_of(trained.network, how.runs), device=trained.device)
    return Evaluation(trained.network, samples, split, places, how, tuple(provenance.changes(trained, data_dir)))


def evaluate_each(evaluation: Evaluation, timesteps: int) -> Predictions:
    """Return the predictions after 1 to `timesteps` steps; an ANN of points or images has one step."""
    model, samples, how = evaluation.model, evaluation.samples, evaluation.how
    classes: list[list[np.ndarray]] = [[] for _ in range(how.runs)]
    firing_rate, energy = [], []
    for longest, wanted in shared_passes(samples, range(1, timesteps + 1)).items():
        inputs = samples.inputs(longest)
        counts = Operations(longest)
        for run, given in enumerate(classes):
            with counted(model, longest) if run == 0 else nullcontext(counts) as counts:
                logits = logits_of(model, inputs, longest, how, run)
            steps = [step for step in wanted if step <= len(logits)]
            given += [metrics.cumulative_predictions(logits)[step - 1].numpy() for step in steps]
            if run == 0:
                probabilities = metrics.cumulative_mean(logits)[-1].softmax(-1).numpy()
        firing_rate += [counts.firing_rate(step) for step in steps]
        energy += [counts.energy_uj(step) / len(evaluation.places) for step in steps]
    return Predictions(np.array(classes), probabilities, samples.labels, tuple(firing_rate), tuple(energy))
