"""Activity of a network's layers for a cloud: spikes by channel and step, and membranes against the threshold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import probabilities
from spikecli.models.running import step_logits
from spikecli.neurons import layers
from spikecli.neurons.answers import point_network, thresholds_of
from spikecli.neurons.watch import watched
from spikecli.weights.trained import Trained


@dataclass
class Firing:
    """Firing of a layer for one cloud: counts of spikes +1 and −1 of each channel at each step (T, C)."""

    positive: np.ndarray
    negative: np.ndarray
    by_point: np.ndarray  # spikes at each point (N,), over channels and steps; (1,) where a layer is of the whole cloud

    @property
    def rates(self) -> np.ndarray:
        """The share of the points at which a channel fires (T, C), in 0…1."""
        return (self.positive + self.negative) / len(self.by_point)


def firing(model: nn.Module, cloud: np.ndarray, timesteps: int, seed: int) -> dict[str, Firing]:
    """Return by layer the firing of the network for a cloud (N, 3), in `timesteps` steps."""
    found: dict[str, Firing] = {}

    def on_fire(name: str, step: int, u: Tensor, spikes: Tensor) -> None:
        values = spikes.reshape(-1, spikes.shape[-1])
        shape = (timesteps, values.shape[1])
        nothing = Firing(np.zeros(shape, int), np.zeros(shape, int), np.zeros(len(values), int))
        layer = found.setdefault(name, nothing)
        layer.positive[step] += (values > 0).sum(0).cpu().numpy()
        layer.negative[step] += (values < 0).sum(0).cpu().numpy()
        layer.by_point += torch.count_nonzero(values, 1).cpu().numpy()

    with watched(model, on_fire):
        step_logits(model, cloud[None], timesteps, _device(model), "fp32", seed)
    return {name: found[name] for name in layers(model) if name in found}


def layer_rates(
    trained: Trained, sample: np.ndarray, timesteps: int, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return by layer the share of neurons that fire (T,) for one sample, and probabilities (T, K) after each step."""
    rates: dict[str, list[float]] = {}

    def on_fire(layer: str, step: int, u: Tensor, spikes: Tensor) -> None:
        rates.setdefault(layer, []).append((spikes != 0).double().mean().item())

    with watched(trained.network, on_fire):
        shares = probabilities(trained, sample[None], timesteps, seed)[:, 0]
    return {layer: np.array(values) for layer, values in rates.items()}, shares


@dataclass
class Membranes:
    """All values of u that a layer's fire function saw, as float32, how many fired, and Σ|u − spike| over them."""

    thresholds: np.ndarray  # (n,), each once: one, two of a signed neuron, or those of all channels of a folded one
    parts: list[np.ndarray] = field(default_factory=list)
    fired: int = 0
    error: float = 0.0

    @property
    def values(self) -> np.ndarray:
        """All u in one array."""
        return np.concatenate(self.parts)

    @property
    def share_beyond(self) -> float:
        """The share that fired, in 0…1."""
        return self.fired / max(sum(len(part) for part in self.parts), 1)

    @property
    def quantization_error(self) -> float:
        """The mean of |u − spike|: what RMP-Loss makes small (2308.06787)."""
        return self.error / max(sum(len(part) for part in self.parts), 1)


def membranes(model: nn.Module, points: np.ndarray, timesteps: int, seed: int) -> dict[str, Membranes]:
    """Return by layer the inputs of the fire functions for clouds (S, N, 3), in `timesteps` steps."""
    neurons = layers(model)
    found: dict[str, Membranes] = {}

    def on_fire(name: str, step: int, u: Tensor, spikes: Tensor) -> None:
        layer = found.get(name) or found.setdefault(
            name, Membranes(np.array(thresholds_of(neurons[name].fire, f"{name}.fire")))
        )
        layer.parts.append(u.float().flatten().cpu().numpy().copy())
        layer.fired += int(torch.count_nonzero(spikes))
        layer.error += float((u.double() - spikes.double()).abs().sum())

    with watched(model, on_fire):
        step_logits(model, points, timesteps, _device(model), "fp32", seed)
    return {name: found[name] for name in neurons if name in found}


def critical_points(trained: Trained, points: np.ndarray, timesteps: int, seed: int = 0) -> np.ndarray:
    """Return for each point of a cloud (N, 3) the number of channels whose maximum it holds, at each step (T, N)."""
    wins = np.zeros((timesteps, len(points)), dtype=np.int64)

    def on_winners(winners: Tensor) -> None:  # (T, 1, C)
        for step, winner in enumerate(winners[:, 0]):
            wins[step] = np.bincount(winner.cpu().numpy(), minlength=len(points))

    handle = point_network(trained.network).watch_winners(on_winners)
    try:
        step_logits(trained.network, points[None], timesteps, trained.device, "fp32", seed)
    finally:
        handle.remove()
    return wins


def point_spikes(trained: Trained, points: np.ndarray, timesteps: int, seed: int = 0) -> tuple[np.ndarray, int]:
    """Return how many neurons of each point of a cloud (N, 3) fire at each step (T, N), and the number of neurons.

    The neurons are those that see one point alone, as the network names them. Raise SpikeError if none of them fires.
    """
    model = trained.network
    trunk = [name for name in point_network(model).trunk() if name in layers(model)]
    if not trunk:
        raise SpikeError(f"{trained.path} is a network of ReLUs, no neuron of it fires; color its points by wins")
    counts, channels = np.zeros((timesteps, len(points)), dtype=np.int64), {}

    def on_fire(name: str, step: int, u: Tensor, spikes: Tensor) -> None:  # (1, N, C)
        if name in trunk:
            counts[step] += (spikes != 0).sum((0, 2)).cpu().numpy()
            channels[name] = spikes.shape[2]

    with watched(model, on_fire):
        step_logits(model, points[None], timesteps, trained.device, "fp32", seed)
    return counts, sum(channels.values())


def demand_spikes(trained: Trained) -> None:
    """Raise SpikeError if a network has no spiking neurons."""
    if not layers(trained.network):
        raise SpikeError(f"the network of {trained.given} has no spiking neurons, so nothing fires; give another")


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
