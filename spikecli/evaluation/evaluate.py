"""A trained model's answers and scores at each number of time steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.datasets.samples import Samples, held_out, load_samples
from spikecli.datasets.sets import kind_of
from spikecli.errors import SpikeError
from spikecli.evaluation import metrics
from spikecli.evaluation.energy import Operations, counted
from spikecli.machine.device import autocast, choose_device
from spikecli.models.inputs import to_network
from spikecli.neurons import layers
from spikecli.neurons.answers import point_network
from spikecli.neurons.watch import watched
from spikecli.weights import checkpoint as checkpoints

BATCH = 32
OnSamples = Callable[[int], None]


@dataclass(frozen=True)
class Row:
    """Scores at one number of time steps: accuracies and rates in 0…1, operations and energy of one sample.

    `by_class` holds the share of right samples of each class.
    """

    timesteps: int
    instance_accuracy: float
    instance_accuracy_std: float
    class_accuracy: float
    firing_rate: float
    synaptic_operations: float
    energy_uj: float
    seconds: float
    by_class: tuple[float, ...]


def step_logits(
    model: nn.Module,
    inputs: np.ndarray,
    timesteps: int,
    device: torch.device,
    precision: str,
    seed: int,
    on_samples: OnSamples = lambda samples: None,
) -> Tensor:
    """Return each step's logits (T, S, K), float32 on the CPU, of points, images or frames (S, ...).

    The membrane carries on from step to step and no step looks ahead: the first t rows are what a run of t gives.
    """
    was_training = model.training
    model.eval()
    kind = next(model.parameters()).dtype
    parts = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(inputs), BATCH):
            part = inputs[start : start + BATCH]
            with autocast(device, precision):
                parts.append(model(to_network(part, device, kind), timesteps).float().cpu())
            on_samples(len(part))
    model.train(was_training)
    return torch.cat(parts, 1)


def opened(
    path: Path, data_dir: Path, dataset: str | None, split: str, device: torch.device
) -> tuple[nn.Module, Samples]:
    """Return a checkpoint's network on `device`, and a split of `dataset`, or of the one it was trained on.

    Split val is the part of the training split that its run held out. SpikeError when either cannot be had, or when
    the data set has other classes than the network.
    """
    loaded = checkpoints.load(path)
    config = loaded.config
    if split == "val" and dataset not in (None, config.dataset):
        raise SpikeError(f"split val is what was held out of {config.dataset} in training; found --data {dataset}")
    model = checkpoints.network(loaded, path).to(device)
    name = dataset or config.dataset
    if kind_of(name) != kind_of(config.dataset):
        raise SpikeError(
            f"{path} was trained on {kind_of(config.dataset)}, but {name} holds {kind_of(name)}; "
            "give the data set it was trained on with --data"
        )
    samples: Samples = load_samples(data_dir, name, "train" if split == "val" else split, config, fixed=True)
    if split == "val":
        samples = held_out(samples, config)
    if samples.classnames != loaded.classnames:
        raise SpikeError(
            f"{path} knows the classes {', '.join(loaded.classnames)}, but {samples.dataset} has "
            f"{', '.join(samples.classnames)}; give the data set it was trained on with --data"
        )
    return model, samples


def evaluate(
    model: nn.Module,
    samples: Samples,
    timesteps: Sequence[int],
    runs: int,
    seed: int,
    device: torch.device,
    precision: str,
    on_samples: OnSamples = lambda samples: None,
) -> list[Row]:
    """Return a row for each number of time steps, over `runs` seeds of the perturbation.

    One pass of the longest run answers for all shorter ones that are shown the same. Operations are counted in the
    first run; `seconds` is what the whole split takes at this number of steps, from the median of three passes over one
    batch.
    """
    rows = []
    for longest, shorter in passes(samples, timesteps).items():
        inputs = samples.inputs(longest)
        predictions = []
        counts = Operations(longest)
        for run in range(runs):
            with counted(model, longest) if run == 0 else nullcontext(counts) as counts:
                logits = step_logits(model, inputs, longest, device, precision, seed + run, on_samples)
            predictions.append(metrics.cumulative_predictions(logits))
        for t in shorter:
            seconds = _seconds(model, inputs, t, device, precision)
            rows.append(_row(t, [p[t - 1] for p in predictions], samples, counts, seconds))
    return rows


def passes(samples: Samples, timesteps: Sequence[int]) -> dict[int, list[int]]:
    """Return which numbers of time steps are answered by a pass of which: the longest where each step shows the same,
    each by its own where a recording is sliced anew."""
    return {max(timesteps): list(timesteps)} if samples.static else {t: [t] for t in timesteps}


def _row(timesteps: int, predictions: list[Tensor], samples: Samples, counts: Operations, seconds: float) -> Row:
    labels = torch.from_numpy(samples.labels)
    accuracies = [metrics.instance_accuracy(prediction, labels) for prediction in predictions]
    return Row(
        timesteps,
        statistics.fmean(accuracies),
        statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        statistics.fmean(metrics.class_accuracy(prediction, labels) for prediction in predictions),
        counts.firing_rate(timesteps),
        counts.synaptic_operations(timesteps) / len(labels),
        counts.energy_uj(timesteps) / len(labels),
        seconds,
        mean_by_class(predictions, samples),
    )


def mean_by_class(predictions: Sequence[Tensor], samples: Samples) -> tuple[float, ...]:
    """Return each class's share of right samples, the mean over several predictions (S,) of the same samples."""
    labels, classes = torch.from_numpy(samples.labels), len(samples.classnames)
    found = [metrics.accuracy_by_class(prediction, labels, classes) for prediction in predictions]
    return tuple(torch.stack(found).mean(0).tolist())


def _seconds(model: nn.Module, inputs: np.ndarray, timesteps: int, device: torch.device, precision: str) -> float:
    batch = inputs[:BATCH]
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        step_logits(model, batch, timesteps, device, precision, 0)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * len(inputs) / len(batch)


def predict_clouds(checkpoint: Path, inputs: np.ndarray, timesteps: int, seed: int, device: str = "auto") -> np.ndarray:
    """Return probabilities (T, S, K) of clouds or frames (S, ...): row t is the softmax of t + 1 steps' mean logits."""
    path = checkpoints.resolve(checkpoint)
    chosen = choose_device(device)
    model = checkpoints.network(checkpoints.load(path), path).to(chosen)
    logits = step_logits(model, inputs, timesteps, chosen, "fp32", seed)
    return metrics.cumulative_mean(logits).softmax(-1).numpy()


def critical_points(checkpoint: Path, points: np.ndarray, timesteps: int, seed: int = 0) -> np.ndarray:
    """Return how many of the trunk's channels each point of a cloud (N, 3) wins the maximum of, at each step (T, N)."""
    path = checkpoints.resolve(checkpoint)
    model = checkpoints.network(checkpoints.load(path), path)
    wins = np.zeros((timesteps, len(points)), dtype=np.int64)

    def on_winners(winners: Tensor) -> None:  # (T, 1, C)
        for step, winner in enumerate(winners[:, 0]):
            wins[step] = np.bincount(winner.numpy(), minlength=len(points))

    handle = point_network(model).watch_winners(on_winners)
    step_logits(model, points[None], timesteps, torch.device("cpu"), "fp32", seed)
    handle.remove()
    return wins


def point_spikes(checkpoint: Path, points: np.ndarray, timesteps: int, seed: int = 0) -> tuple[np.ndarray, int]:
    """Return how many of the trunk's neurons of each point of a cloud (N, 3) fire at each step (T, N), and of how many.

    The neurons are those that see one point alone, as the network names them. SpikeError when it has none that fire.
    """
    path = checkpoints.resolve(checkpoint)
    model = checkpoints.network(checkpoints.load(path), path)
    trunk = [name for name in point_network(model).trunk() if name in layers(model)]
    if not trunk:
        raise SpikeError(f"{path} is a network of ReLUs, no neuron of it fires; color its points by wins")
    counts, channels = np.zeros((timesteps, len(points)), dtype=np.int64), {}

    def on_fire(name: str, step: int, u: Tensor, spikes: Tensor) -> None:  # (1, N, C)
        if name in trunk:
            counts[step] += (spikes != 0).sum((0, 2)).numpy()
            channels[name] = spikes.shape[2]

    with watched(model, on_fire):
        step_logits(model, points[None], timesteps, torch.device("cpu"), "fp32", seed)
    return counts, sum(channels.values())
