"""The check of an export: another program runs it on samples, and its logits are compared with the network's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spikecli.errors import SpikeError
from spikecli.export.graphs import Graph
from spikecli.export.probes import CheckSamples
from spikecli.export.wanted import Checked, Wanted

TOLERANCE = 1e-5  # of a logit
Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]  # a graph's inputs → its outputs


def compare(graph: Graph, found: CheckSamples, run: Run, wanted: Wanted, program: str) -> Checked:
    """Return how far `run` differs from the graph on the samples; raise SpikeError if an answer or a logit differs.

    Rounding moves a membrane that stands on its threshold to the other side, in any two programs. So a sample may
    differ from the network in float32 if it agrees with the network in float64.
    """
    theirs = logits_of(graph, found, run, wanted)
    ours = logits_of(graph, found, lambda tensors: graph(*tensors), wanted)
    apart = (theirs - ours).abs().amax(-1)
    close = apart <= TOLERANCE
    if not close.all():
        exact = graph.double()
        wide = logits_of(exact, found, lambda tensors: exact(*map(_doubled, tensors)), wanted)
        close |= (theirs - wide).abs().amax(-1) <= TOLERANCE
    right = ours.argmax(-1) if wanted.noise else found.answers  # the program itself draws other noise
    changed = int((theirs.argmax(-1) != right).sum())
    checked = Checked(program, len(theirs), found.source, float(apart.max()), changed, int(close.sum()))
    if changed or not close.all() or not torch.isfinite(theirs).all():
        raise SpikeError(f"the export was not written: {program} gives {_differences(checked, wanted)}")
    return checked


def _differences(checked: Checked, wanted: Wanted) -> str:
    far, other = checked.samples - checked.close, "the network" if wanted.noise else "`predict`"
    parts = [f"other answers than {other} for {checked.answers_changed}"] if checked.answers_changed else []
    if far or not parts:
        apart = f"up to {checked.max_logit_difference:.2g} (allowed {TOLERANCE:g})"
        parts.append(f"logits that differ from the network's by {apart} for {far}")
    return f"{' and '.join(parts)} of {checked.samples} samples: {checked.source}"


def logits_of(graph: Graph, found: CheckSamples, run: Run, wanted: Wanted) -> Tensor:
    """Return the logits (S, K), float64, that `run` gives for the samples; membranes are carried from step to step.

    They are the mean of the steps, or the last ones of a graph whose logits grow.
    """
    answers = []
    for case in found.cases:
        states = [_start(each, case[0], number, wanted) for number, each in enumerate(graph.inputs[1:])]
        total: Tensor | None = None
        for x in case:
            logits, *left = run([x, *states])
            total = logits.double() if total is None or graph.growing else total + logits.double()
            states = left if wanted.step else states
        assert total is not None
        answers.append(total if graph.growing else total / len(case))
    return torch.cat(answers)


def _start(membrane: object, x: Tensor, number: int, wanted: Wanted) -> Tensor:
    """Return the first potentials for a batch like x: 0, or noise of the seed where a random start is an input."""
    example, axes = membrane.example, membrane.axes  # type: ignore[attr-defined]
    points = x.shape[1] if x.dim() > 1 else 0
    sizes = {"batch": x.shape[0], "points": points, "points/4": points // 4, "points/16": points // 16}
    shape = [sizes.get(axes.get(axis, ""), size) for axis, size in enumerate(example.shape)]
    if not wanted.noise:
        return torch.zeros(shape)
    return torch.rand(shape, generator=torch.Generator().manual_seed(wanted.seed + number)) / 2


def _doubled(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x
