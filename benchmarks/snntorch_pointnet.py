"""The same PointNet of snnTorch's Leaky neurons, one call a time step, and torch's layers on all steps at once.

The surrogate is snnTorch's fast sigmoid; the membrane begins at 0.
"""

from __future__ import annotations

import snntorch
from released_pointnet import AllSteps, Parts, PointNet
from snntorch import surrogate
from torch import Tensor, nn, stack


class LeakyOverTime(nn.Module):
    """Leaky, β = ¼, threshold ½, back to 0 after a spike."""

    def __init__(self) -> None:
        super().__init__()
        gradient = surrogate.fast_sigmoid(slope=10)
        self.leaky = snntorch.Leaky(beta=0.25, threshold=0.5, spike_grad=gradient, reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:  # (T, ...)
        v = self.leaky.reset_mem()
        spikes = []
        for step in x:
            spike, v = self.leaky(step, v)
            spikes.append(spike)
        return stack(spikes)


def spiking() -> PointNet:
    """Return the spiking network."""
    return PointNet(
        Parts(
            conv=lambda inputs, outputs: AllSteps(nn.Conv1d(inputs, outputs, 1)),
            linear=lambda inputs, outputs: AllSteps(nn.Linear(inputs, outputs)),
            norm=lambda channels: AllSteps(nn.BatchNorm1d(channels)),
            point_norm=lambda channels: AllSteps(nn.BatchNorm1d(channels)),
            neuron=LeakyOverTime,
        )
    )
