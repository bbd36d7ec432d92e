"""The same PointNet of SpikingJelly's own layers: multi-step mode, its LIF node's registered operator for the CPU.

λ = ¼ is its τ = 4/3 without decay of the input; its sigmoid of slope 10 has the derivative of the paper's tanh of
slope 5. The membrane begins at 0: the noise of the paper's start is a pass that this peer is spared.
"""

from __future__ import annotations

from functools import partial

from released_pointnet import Parts, PointNet
from spikingjelly.activation_based import functional, layer, neuron, surrogate


def spiking() -> PointNet:
    """Return the spiking network."""
    lif = partial(
        neuron.LIFNode, tau=4 / 3, decay_input=False, v_threshold=0.5, v_reset=0.0, detach_reset=False, step_mode="m"
    )
    return PointNet(
        Parts(
            conv=lambda inputs, outputs: layer.Conv1d(inputs, outputs, 1, step_mode="m"),
            linear=lambda inputs, outputs: layer.Linear(inputs, outputs, step_mode="m"),
            norm=lambda channels: layer.BatchNorm1d(channels, step_mode="m"),
            point_norm=lambda channels: layer.BatchNorm1d(channels, step_mode="m"),
            neuron=lambda: lif(surrogate_function=surrogate.Sigmoid(alpha=10.0)),
            reset=functional.reset_net,
        )
    )
