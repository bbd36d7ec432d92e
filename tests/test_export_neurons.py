"""Neurons in ONNX: one operation while torch traces, and the same spikes and membranes once their steps are written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikecli import neurons
from spikecli.export.membranes import Box, Carried
from spikecli.export.onnx_format import Session
from spikecli.export.onnx_neurons import Opaque, Written, opaque, steps_of
from spikecli.export.onnx_steps import DOMAIN, NAME, write_out
from spikecli.neurons import Neuron
from spikecli.neurons.folded import folded_neuron
from spikecli.settings.config import NeuronConfig

ir = pytest.importorskip("onnx_ir", reason="the extra export is not installed")
pytest.importorskip("onnxruntime", reason="the extra export is not installed")

CHANNELS = 3
PARTS = [
    *itertools.product(["leak", "learned-leak", "gated"], ["ternary"], ["hard"], ["none", "mpbn"]),
    *itertools.product(["leak"], ["binary", "learned"], ["hard", "soft"], ["none", "mpbn"]),
    *itertools.product(["leak"], ["integer"], ["hard", "soft"], ["none", "mpbn"]),
]


def made(charge: str, fire: str, reset: str, norm: str) -> Neuron:
    config = NeuronConfig(charge=charge, fire=fire, reset=reset, norm=norm)
    neuron = neurons.build(config, CHANNELS).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in neuron.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.copy_(torch.randn(CHANNELS, generator=generator) / 4)  # type: ignore[union-attr]
                part.weight.copy_(torch.tensor([1.5, -1.0, 0.7]))
    return folded_neuron(neuron)


def in_onnx(written: Written, x: Tensor, steps: int, v: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the spikes and the last membrane of a model with nothing in it but the layer."""
    tensors = [x, *([] if v is None else [v]), *written.constants]
    values = [ir.Value(name=f"in{number}", type=ir.TensorType(ir.DataType.FLOAT)) for number in range(len(tensors))]
    for value, tensor in zip(values, tensors, strict=True):
        value.shape = ir.Shape(tensor.shape)
    inputs = [values[0], None, *values[1:]] if v is None else values
    attributes = {"key": "layer", "steps": steps, "inputs": len(x)}
    node = ir.node(NAME, inputs, attributes, domain=DOMAIN, num_outputs=2)
    for name, value in zip(("spikes", "left"), node.outputs, strict=True):
        value.name, value.type = name, ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(values, list(node.outputs), nodes=[node], opset_imports={"": 20, DOMAIN: 1}, name="layer")
    model = ir.Model(graph, ir_version=9)
    write_out(model, {"layer": written})
    session: Any = Session(ir.to_proto(model).SerializeToString(), [value.name for value in values])
    spikes, left = session.run(tensors)
    return spikes, left


@pytest.mark.parametrize("parts", PARTS, ids="-".join)
@torch.no_grad()
def test_steps_are_the_neurons_own_to_the_last_bit(parts: tuple[str, str, str, str]) -> None:
    neuron, generator = made(*parts), torch.Generator().manual_seed(0)
    written = steps_of(neuron)
    assert written is not None
    for given, steps in ((1, 1), (1, 3), (3, 3)):
        x = torch.randn(given, 2, 50, CHANNELS, generator=generator)
        spikes, _ = in_onnx(written, x, steps, None)
        assert torch.equal(spikes, neuron(x, steps)) and spikes.unique().numel() > 1
    box = Box({"layer": torch.randn(2, 50, CHANNELS, generator=generator)})
    wanted = Carried(neuron, box, "layer")(x[:1])
    spikes, left = in_onnx(written, x[:1], 1, box.given["layer"])
    assert torch.equal(spikes, wanted) and torch.allclose(left, box.left["layer"], atol=1e-6)


class Crowd(nn.Module):
    """A charge that sees its neighbors: no operation of single neurons."""

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        return (x if v is None else x + v).cumsum(-1)


class Doubtful(nn.Module):
    """A charge that looks at values."""

    def forward(self, v: Tensor | None, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 or v is None else x + v


@pytest.mark.parametrize("charge", [Crowd(), Doubtful()])
@torch.no_grad()
def test_a_neuron_of_other_operations_is_left_as_it_is(charge: nn.Module) -> None:
    neuron = made("leak", "binary", "hard", "none")
    neuron.charge = charge
    assert steps_of(neuron) is None
    kept, found = opaque(nn.Sequential(neuron))
    assert found == {} and isinstance(kept[0], Neuron)  # type: ignore[index]


@torch.no_grad()
def test_a_copy_shares_its_weights_and_leaves_the_network_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 3), made("leak", "binary", "hard", "mpbn"))
    kept, found = opaque(network)
    assert isinstance(network[1], Neuron) and isinstance(kept[1], Opaque) and list(found) == ["1"]  # type: ignore[index]
    assert kept[0].weight is network[0].weight  # type: ignore[index]
    assert kept[1].constant0 is found["1"].constants[0]  # type: ignore[index]
