"""A folded convolutional network as the nodes and edges of NIR, or the parts of it that NIR cannot say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import named
from spikecli.export.wanted import Refusal
from spikecli.files.extras import needed
from spikecli.models.blocks import Block, Shortcut
from spikecli.models.convolution import AveragePool, Convolution, Edge, Entry
from spikecli.models.inputs import PixelScale
from spikecli.models.plain import Linear
from spikecli.models.resnet import ResNet
from spikecli.models.vgg import VGG
from spikecli.neurons import Neuron
from spikecli.neurons.charge import FixedLeak, Leak
from spikecli.neurons.fire import Binary
from spikecli.neurons.folded import Upper
from spikecli.neurons.reset import HardReset
from spikecli.neurons.start import Perturbed, Zeros

DT = 1e-4  # seconds a step: what snnTorch reads NIR with
Shape = tuple[int, int, int]  # channels, height, width


@dataclass
class Drawing:
    """A graph that grows: nodes and edges by name, and what could not be said. The names are the network's own."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def add(self, name: str, node: Any, *sources: str) -> str:
        """Add a node that reads the sum of its sources; return its name."""
        name = name.replace(".", "_")
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def refuse(self, node: str, reason: str) -> None:
        """Note a part that NIR cannot say."""
        self.refused.append(Refusal(node, reason))


def drawn(network: nn.Module, size: tuple[int, int], inputs: int) -> Drawing:
    """Return the graph of a network on maps of `inputs` channels and `size`; its `refused` is empty if it is whole."""
    drawing = Drawing()
    if not isinstance(network, VGG | ResNet):
        _refuse_parts(drawing, network)
        if not drawing.refused:
            drawing.refuse("the network", f"a {type(network).__name__} is none of the networks on maps: ResNets, VGG")
        return drawing
    if isinstance(network.pixels, PixelScale):
        drawing.refuse("pixels", f"its input is scaled by channel first; train with {named('pixels')} half")
    if isinstance(network, ResNet) and network.config.residual != "plain":
        drawing.refuse("stage1.0", f"blocks that add spikes or membranes; train with {named('residual')} plain")
    if drawing.refused:
        return drawing
    nir = needed("nir")
    shape: Shape = (inputs, *size)
    last = drawing.add("input", nir.Input(input_type={"input": np.array(shape)}))
    layers = network.layers if isinstance(network, VGG) else network.stem
    prefix = "layers" if isinstance(network, VGG) else "stem"
    for number, layer in enumerate(layers):
        last, shape = _layer(drawing, f"{prefix}.{number}", layer, last, shape)
    if isinstance(network, ResNet):
        if isinstance(network.entry, Entry):
            _plain_edge(drawing, "entry.edge", network.entry.edge)
            last, shape = _pool(drawing, "entry", network.entry.mean.side, last, shape)
        for name, block in network.blocks():
            last, shape = _block(drawing, name, block, last, shape)
    if isinstance(network.pool, nn.Flatten):
        drawing.refuse(
            "pool", f"amplitudes of single neurons left one weight a place; train with {named('amplitude')} channel"
        )
        return drawing
    if shape[1:] != (1, 1):
        last = drawing.add("pool", nir.AvgPool2d(np.array(shape[1:]), np.array(shape[1:]), np.array([0, 0])), last)
    last = drawing.add("out", _conv(_as_convolution(network.out), (1, 1), 1.0), last)
    drawing.add("output", nir.Output(output_type={"output": np.array([network.out.out_features, 1, 1])}), last)
    return drawing


def _layer(drawing: Drawing, name: str, layer: Any, last: str, shape: Shape) -> tuple[str, Shape]:
    if isinstance(layer.pool, AveragePool):
        last, shape = _pool(drawing, f"{name}.pool", layer.pool.side, last, shape)
    gain, threshold = _scaling(drawing, f"{name}.fire", layer.fire, alone=True)
    last, shape = _convolved(drawing, f"{name}.conv", layer.conv, gain, last, shape)
    return _neuron(drawing, f"{name}.fire", layer.fire, threshold, shape, last), shape


def _block(drawing: Drawing, name: str, block: Block, last: str, shape: Shape) -> tuple[str, Shape]:
    """Return the sum of two branches, which NIR says as two edges into one node."""
    identity = not isinstance(block.shortcut, Shortcut)
    gain, threshold = _scaling(drawing, f"{name}.fire1", block.fire1, alone=True)
    inner, after = _convolved(drawing, f"{name}.conv1", block.conv1, gain, last, shape)
    inner = _neuron(drawing, f"{name}.fire1", block.fire1, threshold, after, inner)
    gain, threshold = _scaling(drawing, f"{name}.fire2", block.fire2, alone=not identity)
    inner, after = _convolved(drawing, f"{name}.conv2", block.conv2, gain, inner, after)
    if identity:
        _plain_edge(drawing, f"{name}.shortcut", block.shortcut)
        way = last
    else:
        assert isinstance(block.shortcut, Shortcut)
        way, short = last, shape
        if isinstance(block.shortcut.pool, AveragePool) and block.shortcut.pool.side > 1:
            way, short = _pool(drawing, f"{name}.shortcut.pool", block.shortcut.pool.side, way, short)
        way, _ = _convolved(drawing, f"{name}.shortcut.conv", block.shortcut.conv, gain, way, short)
    return _neuron(drawing, f"{name}.fire2", block.fire2, threshold, after, inner, way), after


def _plain_edge(drawing: Drawing, name: str, edge: nn.Module) -> None:
    if not isinstance(edge, Edge):
        drawing.refuse(
            name, f"a shortcut weighs the spikes that pass ({named('amplitude')}); NIR's edges have no weights"
        )


def _pool(drawing: Drawing, name: str, side: int, last: str, shape: Shape) -> tuple[str, Shape]:
    channels, height, width = shape
    if height % side or width % side:
        drawing.refuse(name, f"means over {side} x {side} places do not divide a map of {height} x {width}")
    pair = np.array([side, side])
    node = needed("nir").AvgPool2d(pair, pair, np.array([0, 0]))
    return drawing.add(name, node, last), (channels, height // side, width // side)


def _convolved(
    drawing: Drawing, name: str, layer: nn.Module, gain: Tensor | float, last: str, shape: Shape
) -> tuple[str, Shape]:
    if not isinstance(layer, Convolution) or layer.weight.dim() > 4:
        place, cause = ("time step", "batch_norm") if isinstance(layer, Convolution) else ("place", "amplitude")
        drawing.refuse(name, f"a kernel for each {place} ({named(cause)}); NIR shares one over map and time")
        return drawing.add(name, None, last), shape
    stride = layer.stride[0]
    node = _conv(layer, shape[1:], gain)
    return drawing.add(name, node, last), (layer.out_channels, -(-shape[1] // stride), -(-shape[2] // stride))


def _conv(layer: nn.Conv2d, size: tuple[int, int], gain: Tensor | float) -> Any:
    factor = torch.as_tensor(gain, dtype=layer.weight.dtype).expand(layer.out_channels)
    bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
    return needed("nir").Conv2d(
        input_shape=size,
        weight=(layer.weight * factor[:, None, None, None]).detach().numpy(),
        stride=tuple(layer.stride),
        padding=tuple(int(side) for side in layer.padding),
        dilation=(1, 1),
        groups=1,
        bias=(bias * factor).detach().numpy(),
    )


def _as_convolution(layer: Linear) -> nn.Conv2d:
    """Return the last layer on maps of one place: tools differ on whether NIR's Flatten counts the batch axis."""
    conv = nn.Conv2d(layer.in_features, layer.out_features, 1)
    conv.weight = nn.Parameter(layer.weight[:, :, None, None])
    conv.bias = layer.bias
    return conv


def _scaling(drawing: Drawing, name: str, neuron: Any, alone: bool) -> tuple[Tensor | float, float]:
    """Return the factor on the current and the one threshold that equal a neuron's; noted if there are none.

    d·v > θ̃ is the same as v' > 1 with v' = v·d/θ̃, for θ̃ > 0; the factor reaches weights alone, no bare shortcut.
    """
    fire = getattr(neuron, "fire", None)
    if type(fire) is Binary:
        return 1.0, fire.threshold
    if type(fire) is not Upper:
        return 1.0, 1.0  # _neuron says why
    if (fire.upper <= 0).any():
        drawing.refuse(name, "the folded norm left thresholds of 0 or less, at which a neuron fires without input")
        return 1.0, 1.0
    if fire.upper.dim() > 1:
        drawing.refuse(name, f"a threshold for each place of a map ({named('norm')} mpbn-element)")
        return 1.0, 1.0
    factor = (fire.direction / fire.upper).expand(fire.upper.shape)
    if not alone and not torch.equal(factor, torch.ones_like(factor)):
        drawing.refuse(name, "thresholds differ by channel, and a shortcut without weights cannot take them over")
    return factor, 1.0


def _neuron(drawing: Drawing, name: str, neuron: Any, threshold: float, shape: Shape, *sources: str) -> str:
    if reasons := _unsayable(neuron):
        for reason in reasons:
            drawing.refuse(name, reason)
        return drawing.add(name, None, *sources)
    decay = float(neuron.charge.decay)
    tau = np.full(shape, DT / (1 - decay))
    # τ·dv/dt = −v + R·I in steps of dt: v ← (1 − dt/τ)·v + (dt/τ)·R·I, with 1 − dt/τ = λ and (dt/τ)·R = 1.
    node = needed("nir").LIF(
        tau=tau, r=tau / DT, v_leak=np.zeros(shape), v_threshold=np.full(shape, threshold), v_reset=np.zeros(shape)
    )
    return drawing.add(name, node, *sources)


def _unsayable(neuron: Any) -> list[str]:
    """Return why NIR's LIF cannot say a neuron, empty if it can."""
    if not isinstance(neuron, Neuron):
        return ["a ReLU emits real values; NIR's neurons spike"]
    reasons, levels = [], getattr(neuron.fire, "levels", ())
    if type(neuron.fire) not in (Binary, Upper):
        reasons.append(f"fires {type(neuron.fire).__name__.lower()} spikes of {len(levels)} levels, not 0/1")
    if not isinstance(neuron.reset, HardReset):
        reasons.append("a soft reset subtracts; NIR's LIF is set to a value")
    if not isinstance(neuron.start, Zeros | Perturbed):
        reasons.append("a start at the position of its points; NIR's membranes begin at rest")
    if not isinstance(neuron.charge, Leak | FixedLeak):
        reasons.append("its charge is no leak")
    elif float(neuron.charge.decay) >= 1:
        reasons.append(
            f"a decay of 1 is NIR's IF, which snnTorch reads with a leak; train with {named('decay')} below 1"
        )
    if not isinstance(neuron.amplitude, nn.Identity):
        reasons.append("its amplitude was not folded")
    return reasons


def _refuse_parts(drawing: Drawing, network: nn.Module) -> None:
    """Note every part of a network of points, or of any other, that NIR has no node for."""
    for name, part in network.named_modules():
        if isinstance(part, Neuron):
            for reason in _unsayable(part):
                drawing.refuse(name, reason)
        elif type(part).__name__ in _NO_NODE and not (name == "transform" and network.input_tnet is None):
            drawing.refuse(name, _NO_NODE[type(part).__name__])


_MAXIMUM = "a maximum over points; NIR has none"
_NEAR = "a maximum over neighbors of real values; NIR has none"
_NO_NODE = {
    "LinearMax": _MAXIMUM,
    "SignedLinearMax": _MAXIMUM,
    "Maximum": _MAXIMUM,
    "NeighborMax": _NEAR,
    "PairMax": _NEAR,
    "Transform": "a product of two inputs, features and a matrix; NIR has none",
    "Level": "a real-valued stream that layers add to; NIR's nodes pass spikes on",
    "LayerNorm": "a norm of real values; NIR has none",
    "MultiheadAttention": "attention; NIR has none",
}
