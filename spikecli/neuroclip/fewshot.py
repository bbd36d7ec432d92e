"""Few-shot: fit an adapter to a few recordings a class; compare with zero-shot on the same test recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.events.split import EventSplit
from spikecli.errors import SpikeError, named
from spikecli.evaluation.metrics import instance_accuracy
from spikecli.files import tensors
from spikecli.neuroclip.clip import ClipModel
from spikecli.neuroclip.features import FeatureStore, Twist, Viewing
from spikecli.neuroclip.fitting import Fitting, accuracy, fit, select, selection_epochs
from spikecli.neuroclip.zeroshot import (
    Question,
    facts_of_recordings,
    open_split,
    spread,
    text_features,
    zero_shot_logits,
)
from spikecli.progress import Progress
from spikecli.weights.checkpoint import ADAPTER


@dataclass(frozen=True, eq=False)
class Task:
    """A few-shot task: the splits, the CLIP that encodes them, and the question."""

    train: EventSplit
    test: EventSplit
    clip: ClipModel
    viewing: Viewing
    question: Question
    data_dir: Path
    limit: int | None = None  # test recordings

    def features(
        self, split: EventSplit, indices: np.ndarray, progress: Progress, twist: Twist | None = None
    ) -> Tensor:
        """Return the features (n, T, D) of recordings of a split, from the store if they are in it."""
        store = FeatureStore(self.data_dir, split, self.clip, self.viewing, twist)
        if missing := store.missing(indices):
            progress.on_phase(f"encoding {split.dataset} {split.split}", missing)
        return store.read(indices, progress.on_step)


@dataclass(frozen=True)
class FewshotRun:
    """One draw of shots: accuracies in 0…1 on the same test recordings, and the adapter with how it was fitted."""

    zero_shot_accuracy: float
    instance_accuracy: float
    samples: int
    fitting: Fitting
    adapter: nn.Module


def open_splits(
    data_dir: Path, dataset: str, shots: int, progress: Progress = Progress()
) -> tuple[EventSplit, EventSplit]:
    """Return the prepared splits train and test; raise SpikeError if one is missing or a class has fewer shots."""
    train, test = (open_split(data_dir, dataset, split, progress) for split in ("train", "test"))
    demand_shots(train.labels, shots)
    return train, test


def draw_shots(labels: np.ndarray, shots: int, generator: np.random.Generator) -> np.ndarray:
    """Return the indices of `shots` recordings of each class, class by class; raise SpikeError if a class has fewer."""
    demand_shots(labels, shots)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate([np.sort(generator.permutation(some)[:shots]) for some in members])


def demand_shots(labels: np.ndarray, shots: int) -> None:
    """Raise SpikeError if a class has fewer than `shots` recordings."""
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        if count < shots:
            raise SpikeError(
                f"found {count} training recordings of class {label}; wanted {shots}; lower {named('shots')}"
            )


def draws(
    task: Task,
    fitting: Fitting,
    shots: int,
    runs: int,
    seed: int = 0,
    views: int = 4,
    selecting: bool = False,
    progress: Progress = Progress(),
) -> Iterator[FewshotRun]:
    """Yield a run for each of `runs` draws of `shots` recordings a class from the training split.

    An adapter is fitted to each shot as it is and `views` times twisted. With `selecting`, epochs and blend are chosen
    on held-out shots of each draw. The test split is looked at for the two scores alone.
    """
    texts, scale = text_features(task.clip, task.question), task.clip.logit_scale
    chosen = spread(len(task.test), task.limit)
    test = task.features(task.test, chosen, progress)
    test_labels = torch.from_numpy(task.test.labels[chosen]).to(test.device)
    plain = zero_shot_logits(test, texts, scale).mean(dim=0).argmax(dim=1)
    twists: list[Twist | None] = [None]
    if fitting.adapter != "none":
        twists += [
            Twist(view, seed, facts_of_recordings(task.train.dataset, task.data_dir).mirrors) for view in range(views)
        ]
    for number in range(runs):
        places = draw_shots(task.train.labels, shots, np.random.default_rng([seed, number]))
        shown = torch.stack([task.features(task.train, places, progress, twist) for twist in twists])
        labels = torch.from_numpy(task.train.labels[places]).to(shown.device)
        which = fitting
        if selecting:
            progress.on_phase(f"choosing epochs and blend, run {number + 1} of {runs}", selection_epochs())
            which = select(shown, labels, texts, scale, fitting, seed + number, progress.on_step)
        progress.on_phase(f"fitting, run {number + 1} of {runs}", which.epochs)
        adapter = fit(shown, labels, texts, scale, which, seed + number, progress.on_step)
        right = accuracy(adapter, test, test_labels, texts, scale)
        yield FewshotRun(instance_accuracy(plain, test_labels), right, len(chosen), which, adapter)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation, None for one value, of which it is not known."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def summary(task: Task, runs: Sequence[FewshotRun], shots: int, seed: int, seconds: float) -> dict[str, Any]:
    """Return the runs as `spikecli fewshot --json` prints them."""
    mean, std = mean_and_std([run.instance_accuracy for run in runs])
    return {
        "dataset": task.test.dataset,
        "split": task.test.split,
        "samples": runs[0].samples,
        "clip": task.clip.name,
        "weights": task.clip.weights,
        "timesteps": task.viewing.timesteps,
        "image_preset": task.viewing.preset,
        "normalization": task.viewing.normalization,
        "shots": shots,
        "runs": len(runs),
        "seed": seed,
        "adapter": runs[0].fitting.adapter,
        "text_length": runs[0].fitting.text_length,
        "norms": runs[0].fitting.norms,
        "smoothed": runs[0].fitting.smoothed,
        "chosen": [{"epochs": run.fitting.epochs, "blend": run.fitting.blend} for run in runs],
        "zero_shot_accuracy": runs[0].zero_shot_accuracy,
        "instance_accuracy": mean,
        "instance_accuracy_std": std,
        "accuracies": [run.instance_accuracy for run in runs],
        "adapter_parameters": sum(parameter.numel() for parameter in runs[0].adapter.parameters()),
        "seconds": seconds,
    }


def save_adapter(path: Path, run: FewshotRun, task: Task, clip: str | None, weights: str | None) -> None:
    """Write an adapter and all that it needs except CLIP, of which only the names `clip` and `weights` are saved."""
    about = {
        "format": ADAPTER,
        "fitting": json.dumps(asdict(run.fitting)),
        "viewing": json.dumps(asdict(task.viewing)),
        "classnames": json.dumps(task.question.classnames),
        "templates": json.dumps(task.question.templates),
        "clip": json.dumps([clip, weights, task.clip.quick_gelu, task.clip.identity, task.clip.dim]),
    }
    tensors.write(path, run.adapter.state_dict(), about)
