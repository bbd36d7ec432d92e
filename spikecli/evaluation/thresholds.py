"""Thresholds of a folded neuron against those of the neuron that it was made from, without any sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikecli.neurons import Neuron, layers
from spikecli.neurons.answers import Rises, steps_of
from spikecli.neurons.folded import NEVER

FAR = 1e3  # potentials at which a neuron without thresholds in reach is asked what it emits


@torch.no_grad()
def threshold_differences(original: nn.Module, folded: nn.Module) -> dict[str, float]:
    """Return by name the distance of the thresholds of neurons in `folded` from those in `original`.

    Both networks have neurons of the same names. Raise SpikeError for a fire function that does not say its steps.
    """
    others = layers(folded)
    return {name: _apart(neuron, others[name], name) for name, neuron in layers(original).items()}


def _apart(first: Neuron, second: Neuron, name: str) -> float:
    """Return the largest |u − θ| where u = norm(v) at a threshold v of the second neuron and θ is the first one's.

    Infinite where the two emit different values at exactly a threshold: one is strict there and the other inclusive.
    """
    was, apart = first.norm.training, 0.0
    first.norm.eval()
    for at, v in zip(_rises(first, name), _rises(second, name), strict=True):
        reached = v.abs() < NEVER
        u = first.norm(v)
        at = at.to(u).expand_as(u)
        if (first.fire(at) != second.fire(v))[reached].any() or (
            not reached.all() and _emit_apart(first, second, v, ~reached)
        ):
            apart = float("inf")
            break
        apart = max([apart, *(u - at).abs()[reached].tolist()])
    first.norm.train(was)
    return apart


def _emit_apart(first: Neuron, second: Neuron, like: Tensor, constant: Tensor) -> bool:
    """Return whether two neurons with unreachable thresholds emit different values."""
    places = (torch.full_like(like, value) for value in (-FAR, 0.0, FAR))
    return any(bool((first.fire(first.norm(v)) != second.fire(v))[constant].any()) for v in places)


def _rises(neuron: Neuron, name: str) -> list[Tensor]:
    """Return for each step of a neuron the threshold of its fire function, (1, 1) for all or (1, ..., C)."""
    fire = neuron.fire
    if isinstance(fire, Rises):
        return [rise[None] if rise.dim() else rise.view(1, 1) for rise in fire.potentials()]
    return [torch.full((1, 1), step.at, dtype=torch.float64) for step in steps_of(fire, f"{name}.fire")]
