"""What a trained network says of every sample of a split: right and wrong, at each number of time steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spikecli.datasets.samples import Part, Samples
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import Operations, counted
from spikecli.evaluation.evaluate import opened, passes, step_logits
from spikecli.evaluation.stopping import runs_of
from spikecli.machine.device import choose_device
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights import provenance


@dataclass(frozen=True)
class Evaluation:
    """A network and the samples of a split that it is asked about; `places` (S,) are theirs in the split as stored."""

    model: nn.Module
    samples: Samples
    split: str
    places: np.ndarray
    device: torch.device
    repeats: int  # seeds of the perturbation that make a difference: 1 where nothing is drawn
    changes: tuple[str, ...] = ()  # in the data since the network was trained

    @property
    def stored(self) -> str:
        """The split as it is stored: val is a part of train."""
        return "train" if self.split == "val" else self.split

    def work(self, timesteps: int) -> int:
        """Return how many answers `evaluate_each` waits for."""
        return self.repeats * len(self.places) * len(passes(self.samples, range(1, timesteps + 1)))


@dataclass(frozen=True)
class Predictions:
    """What came of it: `classes` int (R, T, S), over R seeds and after 1 to T steps; the rest is of the first seed.

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
        """Which samples are wrong after T steps with the first seed, the most confident mistake first."""
        given = self.classes[0, -1]
        wrong = np.flatnonzero(given != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong, given[wrong]], kind="stable")]


def open_evaluation(weights: Path, data_dir: Path, split: str, repeats: int) -> Evaluation:
    """Return a run's network with a split of its data set: "train", "test", or "val", the part of train held out.

    SpikeError when the weights or the data cannot be read, or when nothing was held out.
    """
    loaded = checkpoints.load(weights)
    device = choose_device("auto")
    model, samples = opened(weights, data_dir, None, split, device)
    places = samples.places if isinstance(samples, Part) else np.arange(len(samples.labels))
    changes = tuple(provenance.changes(loaded, data_dir))
    return Evaluation(model, samples, split, places, device, runs_of(model, repeats), changes)


def evaluate_each(
    evaluation: Evaluation, timesteps: int, seed: int, on_samples: Callable[[int], None] = lambda samples: None
) -> Predictions:
    """Return what the network says after 1 to `timesteps` steps; an ANN of points or images has no time: one step."""
    predictions: list[list[np.ndarray]] = [[] for _ in range(evaluation.repeats)]
    firing_rate, energy = [], []
    for longest, wanted in passes(evaluation.samples, range(1, timesteps + 1)).items():
        inputs = evaluation.samples.inputs(longest)
        counts = Operations(longest)
        for number, given in enumerate(predictions):
            with counted(evaluation.model, longest) if number == 0 else nullcontext(counts) as counts:
                logits = step_logits(
                    evaluation.model, inputs, longest, evaluation.device, "fp32", seed + number, on_samples
                )
            steps = [step for step in wanted if step <= len(logits)]
            given += [metrics.cumulative_predictions(logits)[step - 1].numpy() for step in steps]
            if number == 0:
                chances = metrics.cumulative_mean(logits)[-1].softmax(-1).numpy()
        firing_rate += [counts.firing_rate(step) for step in steps]
        energy += [counts.energy_uj(step) / len(evaluation.places) for step in steps]
    return Predictions(np.array(predictions), chances, evaluation.samples.labels, tuple(firing_rate), tuple(energy))
