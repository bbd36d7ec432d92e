"""Neurons without a norm: the norm's effect on the potential is moved into the thresholds, once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikecli.neurons import answers
from spikecli.neurons.neuron import Neuron

NEVER = torch.finfo(torch.float32).max  # a threshold out of reach that a checkpoint can still hold


class Upper(nn.Module):
    """s = 1[d·v > θ̃], strict: a direction d = ±1 and a threshold θ̃ for each channel or each neuron."""

    signed = False
    levels: tuple[float, ...] = (0, 1)
    inclusive: tuple[bool, ...] = (False,)
    direction: Tensor
    upper: Tensor

    def __init__(self, direction: Tensor, upper: Tensor) -> None:
        super().__init__()
        self.register_buffer("direction", direction)
        self.register_buffer("upper", upper.clamp(-NEVER, NEVER))

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C)
        return _rise(v * self.direction.to(v.dtype), self.upper, False)

    def rises(self) -> Tensor:
        """Return the thresholds of d·v, (levels − 1, ...)."""
        return self.upper[None]

    def potentials(self) -> Tensor:
        """Return the potential v = d·θ̃ of each rise to the next level, (levels − 1, ...)."""
        return self.direction * self.rises()

    def thresholds(self) -> Tensor:
        """Return every reachable potential at which the output changes, (n,)."""
        potentials = self.potentials()
        return potentials[potentials.abs() < NEVER].flatten()


class Window(Upper):
    """s = 1[d·v ≥ θ̃₊] − 1[d·v ≤ θ̃₋], inclusive: the thresholds need not lie about 0."""

    signed = True
    levels = (-1, 0, 1)
    inclusive = (False, True)
    lower: Tensor

    def __init__(self, direction: Tensor, upper: Tensor, lower: Tensor) -> None:
        super().__init__(direction, upper)
        self.register_buffer("lower", lower.clamp(-NEVER, NEVER))

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C)
        v = v * self.direction.to(v.dtype)
        return torch.ge(v, self.upper, out=torch.empty_like(v)).sub_(torch.le(v, self.lower, out=torch.empty_like(v)))

    def rises(self) -> Tensor:
        """Return the thresholds of d·v, (levels − 1, ...)."""
        return torch.stack([self.lower, self.upper])


class Staircase(Upper):
    """s = l₀ + Σᵢ (lᵢ − lᵢ₋₁)·1[d·v > θ̃ᵢ], or ≥ where step i is inclusive: any rising levels, `upper` (steps, ...)."""

    def __init__(
        self, direction: Tensor, upper: Tensor, levels: tuple[float, ...], inclusive: tuple[bool, ...]
    ) -> None:
        super().__init__(direction, upper)
        self.levels, self.inclusive = levels, inclusive

    def forward(self, v: Tensor) -> Tensor:  # (B, ..., C)
        v = v * self.direction.to(v.dtype)
        spikes = torch.full_like(v, self.levels[0])
        for number, (threshold, inclusive) in enumerate(zip(self.upper, self.inclusive, strict=True), start=1):
            spikes.add_(_rise(v, threshold, inclusive), alpha=self.levels[number] - self.levels[number - 1])
        return spikes

    def rises(self) -> Tensor:
        """Return the thresholds of d·v, (levels − 1, ...)."""
        return self.upper


def _rise(v: Tensor, threshold: Tensor, inclusive: bool) -> Tensor:
    """Return 1[v > θ̃], or 1[v ≥ θ̃] if `inclusive`, in v's type."""
    compare = torch.ge if inclusive else torch.gt
    return compare(v, threshold, out=torch.empty_like(v))


def moved(fire: nn.Module, direction: Tensor, reach: Callable[[answers.Step, float], Tensor]) -> Upper:
    """Return the fire function of d·v with the same output as `fire` of u; the direction d = ±1 has v's shape.

    `reach` gives for a step of `fire`, and the level below it, the d·v at which u reaches that step. Raise SpikeError
    if the fire function does not say its levels and steps.
    """
    steps, levels = answers.steps_of(fire), answers.levels_of(fire, "")
    inclusive = tuple(step.inclusive for step in steps)
    rises = [reach(step, level) for step, level in zip(steps, levels, strict=False)]
    if (levels, inclusive) == (Upper.levels, Upper.inclusive):
        return Upper(direction, *rises)
    if (levels, inclusive) == (Window.levels, Window.inclusive):
        return Window(direction, rises[1], rises[0])
    return Staircase(direction, torch.stack(rises), levels, inclusive)


def folded_neuron(neuron: Neuron, name: str = "") -> Neuron:
    """Return the neuron without a norm that fires when this one fires in evaluation; the amplitude stays.

    The reset goes on acting on the raw potential, with the same spikes, by the amount that it has now. Raise SpikeError
    with the neuron's `name` when its norm cannot be folded into its fire function.
    """
    fire = answers.through(neuron.norm, neuron.fire, name)
    charge, reset = answers.folded(neuron.charge), answers.folded(neuron.reset)
    return Neuron(neuron.start, charge, nn.Identity(), fire, reset, neuron.amplitude)
