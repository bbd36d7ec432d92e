"""From a subject to the module that is written down: preprocessing, the network, its answer; and its inputs by name."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.export import membranes
from spikecli.export.clip import SUMS, ClipHead, GrowingHead
from spikecli.export.entries import SHARE, Input, Shown, shown_as
from spikecli.export.membranes import Box
from spikecli.export.subject import Subject
from spikecli.export.wanted import Checked, Exported, Refusal, Wanted
from spikecli.models.tracing import traced

NEXT, START = "next", "start"  # begin the names of membranes


@dataclass(frozen=True, eq=False)
class Graph:
    """A module without loops over samples, its inputs and the names of its outputs; `steps` is 1 with carried
    membranes, whose initial values are zeros of the shapes of the inputs from the second on."""

    module: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    preprocessing: str
    batched: bool  # whether its first input holds several samples
    growing: bool = False  # one step whose logits are those of all steps so far

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in torch, computed as the graph computes them."""
        with torch.no_grad(), traced():
            found: tuple[Tensor, ...] = self.module(*tensors)
        return found

    def double(self) -> Graph:
        """Return the same graph in float64."""
        return replace(self, module=copy.deepcopy(self.module).double())


class Whole(nn.Module):
    """All steps: the mean logits (B, K) and their softmax; membranes live inside."""

    def __init__(self, front: nn.Module, network: nn.Module, timesteps: int, box: Box, names: list[str]) -> None:
        super().__init__()
        self.front, self.network, self.timesteps, self.box, self.names = front, network, timesteps, box, names

    def forward(self, x: Tensor, *starts: Tensor) -> tuple[Tensor, Tensor]:
        self.box.given = dict(zip(self.names, starts, strict=True))
        logits = self.network(self.front(x), self.timesteps).mean(0)
        return logits, logits.softmax(-1)


class OneStep(nn.Module):
    """One step: its logits (B, K), and the membranes after it."""

    def __init__(self, front: nn.Module, network: nn.Module, box: Box, names: list[str]) -> None:
        super().__init__()
        self.front, self.network, self.box, self.names = front, network, box, names

    def forward(self, x: Tensor, *membranes: Tensor) -> tuple[Tensor, ...]:
        self.box.given = dict(zip(self.names, membranes, strict=True))
        logits = self.network(self.front(x), 1)[0]
        return logits, *(self.box.left[name] for name in self.names)


def graph_of(subject: Subject, wanted: Wanted) -> Graph:
    """Return the graph of a network in the form that is wanted; raise SpikeError if that form cannot be said."""
    shown = shown_as(subject, wanted)
    network, box = copy.deepcopy(network_of(subject, wanted.step)).eval(), Box()
    if wanted.noise and not membranes.random_starts(network):
        raise SpikeError(f"no neuron of {subject.name} starts at random; export without {named('noise')}")
    steps, growing = 1 if wanted.step else wanted.timesteps, False
    sizes = _membrane_shapes(network, shown, steps, wanted)
    if wanted.step:
        names = membranes.carried(network, box)
        if isinstance(network, GrowingHead):
            network.box, growing = box, True
            sizes |= {name: (shape, {}) for name, shape in network.sums().items()}
            names += list(SUMS)
        module: nn.Module = OneStep(shown.front, network, box, names)
        outputs = ("logits", *(f"{NEXT}.{name}" for name in names))
    else:
        names = membranes.given(network, box) if wanted.noise else []
        membranes.quiet(network)
        module = Whole(shown.front, network, steps, box, names)
        outputs = ("logits", "probabilities")
    more = tuple(_membrane(START, name, *sizes[name]) for name in names)
    return Graph(module.eval(), (shown.input, *more), outputs, shown.preprocessing, shown.batched, growing)


def network_of(subject: Subject, step: bool = False) -> nn.Module:
    """Return what follows the preprocessing: (T, B, ...) → logits (T, B, K).

    Of a `step` of an adapter, the logits are those of all steps so far.
    """
    if subject.adapted is None:
        return subject.network
    head = subject.network, subject.adapted
    return GrowingHead(*head) if step else ClipHead(*head)


def _membrane_shapes(
    network: nn.Module, shown: Shown, steps: int, wanted: Wanted
) -> dict[str, tuple[tuple[int, ...], dict[int, str]]]:
    """Return each membrane's shape in the example, and its free axes: those that grow with one of the input's."""

    def shapes(example: Tensor) -> dict[str, tuple[int, ...]]:
        return membranes.shapes(network, lambda one: one(shown.front(example), steps))

    if not (wanted.step or wanted.noise):
        return {}
    here = shapes(shown.input.example)
    axes: dict[str, dict[int, str]] = {name: {} for name in here}
    for axis, free in shown.input.axes.items():
        if free in ("batch", "points"):
            larger = shapes(torch.cat([shown.input.example] * 2, axis))
            for name, shape in here.items():
                whole = shown.input.example.shape[axis]
                axes[name] |= {
                    place: free if size == whole else f"{free}/{whole // size}"
                    for place, size in enumerate(shape)
                    if larger[name][place] != size
                }
    return {name: (shape, axes[name]) for name, shape in here.items()}


def _membrane(prefix: str, name: str, shape: tuple[int, ...], axes: dict[int, str]) -> Input:
    holds = f"sum of {name} over the steps before" if name in SUMS else f"membrane potentials of {name} before the step"
    return Input(f"{prefix}.{name}", torch.zeros(shape), axes, holds)


def example_kwargs(graph: Graph) -> dict[str, Any]:
    """Return the tensors and free axes of a graph as torch's exporters take them."""
    first, *rest = graph.inputs
    names = {name for each in graph.inputs for name in each.axes.values()}
    free: dict[str, Any] = {name: torch.export.Dim(name, min=1) for name in names if "points" not in name}
    if first.fewest > 1:  # so that a quarter and a sixteenth are whole numbers while the graph is made
        part = torch.export.Dim("part", min=first.fewest // SHARE)
        free |= {"points": SHARE * part, "points/4": SHARE // 4 * part, "points/16": part}
    elif "points" in names:
        free["points"] = torch.export.Dim("points", min=first.fewest)
    shapes = [{axis: free[name] for axis, name in each.axes.items()} for each in graph.inputs]
    dynamic = (shapes[0], tuple(shapes[1:])) if rest else (shapes[0],)
    return {"args": tuple(each.example for each in graph.inputs), "dynamic_shapes": dynamic}


def untraceable(subject: Subject, wanted: Wanted) -> list[Refusal]:
    """Return what keeps the network from being traced, or nothing."""
    try:
        graph_of(subject, wanted)
    except SpikeError as problem:
        return [Refusal(subject.name, str(problem))]
    return []


def exported(path: Path, form: str, version: str, graph: Graph, classes: int, checked: Checked) -> Exported:
    """Return the report of a graph that stands in a file; a membrane goes out in the shape in which it came in."""
    answer = f"float32 ({'batch' if graph.batched else 1}, {classes})"
    carried = {each.name.replace(START, NEXT, 1): each.shape for each in graph.inputs[1:]}
    outputs = {name: carried.get(name, answer) for name in graph.outputs}
    return Exported(path, form, version, {each.name: each.shape for each in graph.inputs}, outputs, checked)
