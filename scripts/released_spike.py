"""Real Spike's released file beside ours: its neuron with a trained amplitude, and its residual blocks.

The file takes its neurons from a CUDA extension of SpikingJelly that no longer builds. In their place stand
SpikingJelly's own in torch, with the extension's settings (an arctangent of slope 2, θ = 1): the package is needed,
0.0.0.0.12 or older, which has `clock_driven`.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from released_parts import CHANNELS, STEPS, Row, compared, draws, shaken
from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.blocks import Place, SewBlock
from spikecli.models.convolution import ConvNorm
from spikecli.settings.config import NeuronConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.releases import release_of

SIDE = 6


def of_spike(release: str) -> Iterator[Row]:
    """Yield the rows of Real Spike: a layer of neurons with its amplitude, and a block of either kind."""
    functional = _neurons_in_torch()
    theirs = importlib.import_module("sew_resnet")
    config = NeuronConfig(**release_of("real-spike").neuron)
    yield _neuron_row(release, theirs, functional, config)
    for part, outputs, stride in (("block", CHANNELS, 1), ("block that halves the map", 2 * CHANNELS, 2)):
        yield _block_row(release, part, theirs, functional, config, outputs, stride)
    note = "not run: its networks are for ImageNet; ours refuse an amplitude through a sum of spikes (no fold)"
    yield Row(release, "sew_resnet18 … 152", "real-spike", note=note)


def _neurons_in_torch() -> Any:
    """Put torch's neurons where the file looks for the extension's; return SpikingJelly's functions."""
    place = "spikingjelly.clock_driven"
    neuron, surrogate = (importlib.import_module(f"{place}.{name}") for name in ("neuron", "surrogate"))
    extension, inner = types.ModuleType("spikingjelly.cext"), types.ModuleType("spikingjelly.cext.neuron")
    inner.MultiStepIFNode = partial(neuron.MultiStepIFNode, surrogate_function=surrogate.ATan(2.0))  # type: ignore[attr-defined]
    extension.neuron = inner  # type: ignore[attr-defined]
    sys.modules |= {"spikingjelly.cext": extension, "spikingjelly.cext.neuron": inner}
    return importlib.import_module(f"{place}.functional")


def _fresh(functional: Any, network: nn.Module, x: Tensor) -> Tensor:
    functional.reset_net(network)  # its neurons keep their membranes
    found: Tensor = network(x)
    return found


def _amplitudes(ours: nn.Module, theirs: list[nn.Module]) -> None:
    """Draw their amplitudes and give them to our layers of neurons, in order."""
    generator = draws(5)
    for mine, other in zip(neurons.layers(ours).values(), theirs, strict=False):
        with torch.no_grad():
            values: Any = other.bias
            values.copy_(0.6 + torch.rand(values.shape, generator=generator))
            mine.amplitude.value.copy_(values.flatten())  # type: ignore[union-attr,operator]


def _neuron_row(release: str, theirs: Any, functional: Any, config: NeuronConfig) -> Row:
    inner = sys.modules["spikingjelly.cext.neuron"]
    layer = nn.Sequential(inner.MultiStepIFNode(detach_reset=True), theirs.LearnableSpike(CHANNELS)).double()
    ours = neurons.build(config, CHANNELS).double().eval()
    _amplitudes(nn.ModuleList([ours]), [layer[1]])
    x = torch.randn(STEPS, 5, CHANNELS, 3, 3, generator=draws(3), dtype=torch.float64) + 0.3
    mine = lambda x: ours(x.movedim(2, -1)).movedim(-1, 2)  # noqa: E731
    return compared(release, "neuron", "real-spike", mine, lambda x: _fresh(functional, layer, x), x)


def _block_row(
    release: str, part: str, theirs: Any, functional: Any, config: NeuronConfig, outputs: int, stride: int
) -> Row:
    torch.manual_seed(0)
    network = theirs.SEWResNet(theirs.BasicBlock, [1, 1, 1, 1], num_classes=2, connect_f="ADD")
    network.inplanes = CHANNELS
    (block,) = network._make_layer(theirs.BasicBlock, outputs, 1, stride, connect_f="ADD")
    shaken(block)
    after = (SIDE // stride, SIDE // stride)
    place = Place(CHANNELS, outputs, stride, (SIDE, SIDE), after, pooled=False)
    model: Any = network_settings("resnet18", neuron=config, residual="sew", batch_norm="plain")
    ours = SewBlock(place, lambda channels, size: neurons.build(config, channels), model)
    ways = [(ours.conv1, block.conv1), (ours.conv2, block.conv2)]
    if block.downsample is not None:
        ways.append((ours.shortcut.conv, block.downsample[0]))  # type: ignore[union-attr,arg-type]
    for mine, other in ways:
        inner = getattr(other, "module", other)
        _take(mine, inner[0], inner[1])
    ours.double().eval()
    _amplitudes(nn.ModuleList([ours.fire1, ours.fire2]), [block.spike1, block.spike2])  # a shortcut's are 1 in both
    x = torch.randn(STEPS, 3, CHANNELS, SIDE, SIDE, generator=draws(6), dtype=torch.float64)
    mine = lambda x: ours(x.movedim(2, -1), STEPS).movedim(-1, 2)  # noqa: E731
    return compared(release, part, "real-spike, residual sew", mine, lambda x: _fresh(functional, block, x.clone()), x)


def _take(ours: ConvNorm, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give our layer the weights of theirs."""
    with torch.no_grad():
        ours.weight.copy_(conv.weight)  # type: ignore[operator,union-attr]
    ours.norm.load_state_dict(norm.state_dict(), strict=False)  # ours counts no batches
