"""The neuron: five parts, a loop over time, and an amplitude on the output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikecli.neurons.answers import GoesInto


class Neuron(nn.Module):
    """A layer of spiking neurons; the membrane exists only inside one forward pass."""

    def __init__(
        self,
        start: nn.Module,
        charge: nn.Module,
        norm: nn.Module,
        fire: nn.Module,
        reset: nn.Module,
        amplitude: nn.Module,
    ) -> None:
        super().__init__()
        self.start = start
        self.charge = charge
        self.norm = norm
        self.fire = fire
        self.reset = reset
        self.amplitude = amplitude

    @property
    def separable(self) -> bool:
        """True if a sample's spikes depend on that sample alone; False while a membrane norm takes batch statistics."""
        return not (self.norm.training and any(isinstance(part, nn.BatchNorm1d) for part in self.norm.modules()))

    def begin(self, x: Tensor, points: Tensor | None) -> Tensor | None:
        """Return v₀ for the first step's input x (B, ..., C)."""
        start: Any = self.start
        return start(x, points) if getattr(start, "sees_points", False) else start(x)

    def forward(self, x: Tensor, timesteps: int | None = None, points: Tensor | None = None) -> Tensor:
        """Return amplitude · spikes (T, ...) for x (T, ...), or for x (1, ...) shown at each of `timesteps` steps.

        `points` (B, N, 3) in the unit sphere are the positions of the neurons of x (T, B, N, C), used by some starts.
        """
        timesteps = timesteps or x.shape[0]
        # Not x[t]: its gradient would be a tensor of zeros as large as x, for each step.
        inputs = x.unbind() if x.shape[0] > 1 else (x.squeeze(0),) * timesteps
        v = self.begin(inputs[0], points)
        spikes = []
        for t in range(timesteps):
            v = self.charge(v, inputs[t])
            s = self.fire(self.norm(v))
            spikes.append(s)
            if t + 1 < timesteps:  # the membrane after the last step is not used
                v = self.reset(v, s)
        return self.amplitude(spikes[0].unsqueeze(0) if timesteps == 1 else torch.stack(spikes))


class Amplitude(nn.Module):
    """Trainable amplitude of what is emitted, one for all, one per channel or one per element of a map (H, W, C)
    (2312.06372, eqs 7–14; 2210.06686)."""

    goes_into = GoesInto("amplitude", "weight")

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(shape))

    def forward(self, spikes: Tensor) -> Tensor:
        return spikes * self.value.to(spikes.dtype)
