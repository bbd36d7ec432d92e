"""Layers of neurons in ONNX: one operation each while torch traces, their steps written out afterwards.

What tracing costs grows with the number of operations, and most of a spiking network's are those of neurons, step after
step. So the exporter sees one operation a layer, and no time step; here the elementwise operations of a step
become ONNX nodes, once a step. A neuron with any other operation is traced as it is.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.export.membranes import Carried
from spikecli.export.onnx_steps import DOMAIN, NAME, can_write
from spikecli.neurons import Neuron, layers
from spikecli.neurons.start import Zeros


class NeuronStep(nn.Module):
    """One step of a layer of neurons: its input and its membrane → spikes, and the membrane after the reset."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.charge, self.norm, self.fire, self.reset = neuron.charge, neuron.norm, neuron.fire, neuron.reset

    def forward(self, x: Tensor, v: Tensor | None = None) -> tuple[Tensor, Tensor]:
        v = self.charge(v, x)
        spikes = self.fire(self.norm(v))
        return spikes, self.reset(v, spikes)


@dataclass(frozen=True, eq=False)
class Written:
    """The operations of the first step, which may have no membrane to begin with, and of the others."""

    first: torch.fx.Graph
    others: torch.fx.Graph
    constants: tuple[Tensor, ...]


class Opaque(nn.Module):
    """A layer of neurons as one operation of a graph, which `written_out` replaces; else as the layer itself."""

    separable = True

    def __init__(self, neuron: Neuron, carried: Carried | None, key: str, written: Written) -> None:
        super().__init__()
        self.start, self.amplitude, self.begin = neuron.start, neuron.amplitude, neuron.begin
        self.key, self.box, self.name = key, carried and carried.box, carried.name if carried else ""
        for number, constant in enumerate(written.constants):
            self.register_buffer(f"constant{number}", constant)
        self.count = len(written.constants)

    def forward(self, x: Tensor, timesteps: int | None = None, points: Tensor | None = None) -> Tensor:
        """Return what the layer returns for x (T, ...), or for x (1, ...) shown at each of `timesteps` steps."""
        steps = timesteps or x.shape[0]
        v = self.box.given[self.name] if self.box else self._begin(x, points)
        constants = [getattr(self, f"constant{number}") for number in range(self.count)]
        spikes, left = torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::{NAME}",
            [x, v, *constants],
            {"key": self.key, "steps": steps, "inputs": x.shape[0]},
            dtypes=[x.dtype, x.dtype],
            shapes=[(steps, *x.shape[1:]), x.shape[1:]],
            version=1,
        )
        if self.box:
            self.box.left[self.name] = left
        return self.amplitude(spikes)

    def _begin(self, x: Tensor, points: Tensor | None) -> Tensor | None:
        return None if isinstance(self.start, Zeros) else self.begin(x[0], points)


def opaque(module: nn.Module) -> tuple[nn.Module, dict[str, Written]]:
    """Return a copy that shares the weights and has one operation a layer of neurons, and what each stands for."""
    weights = [*module.parameters(), *module.buffers()]
    module = copy.deepcopy(module, {id(each): each for each in weights})
    found: dict[str, Written] = {}
    carried = {each.neuron: each for each in module.modules() if isinstance(each, Carried)}
    for name, neuron in layers(module).items():
        written = steps_of(neuron)
        if written is None:
            continue
        inside = carried.get(neuron)
        place = name.removesuffix(".neuron") if inside else name
        parent, _, last = place.rpartition(".")
        setattr(module.get_submodule(parent), last, Opaque(neuron, inside, place, written))
        found[place] = written
    return module, found


def steps_of(neuron: Neuron) -> Written | None:
    """Return a layer's steps as elementwise operations, or None if it needs others."""
    from torch.fx.experimental.proxy_tensor import make_fx

    step = NeuronStep(neuron)
    named = {**dict(step.named_parameters()), **dict(step.named_buffers())}
    shape = torch.broadcast_shapes((1,), *(each.shape for each in named.values()))

    def run(x: Tensor, v: Tensor | None, given: dict[str, Tensor]) -> Any:
        return torch.func.functional_call(step, given, (x, v))

    x, v = torch.zeros(2, *shape), torch.zeros(2, *shape)
    try:
        graphs = [make_fx(torch.func.functionalize(run))(x, begin, named).graph for begin in (None, v)]
    except (
        RuntimeError,
        ValueError,
        TypeError,
        IndexError,
    ):  # a part that looks at its input's sizes or values: it is traced as it is
        return None
    for graph in graphs:
        graph.eliminate_dead_code()
    if not all(can_write(node) for graph in graphs for node in graph.nodes):
        return None
    return Written(graphs[0], graphs[1], tuple(named.values()))
