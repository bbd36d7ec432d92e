"""The neuron of each paper against numbers of our own derivation, plain Python without torch; and the inventory of
what is held by such tests."""

from __future__ import annotations

import ast
import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spikecli import neurons
from spikecli.neurons.norm import MembraneBatchNorm
from spikecli.settings import choices
from spikecli.settings.papers import PAPERS, neuron_of

ROOT = Path(__file__).parents[1]
STORED: dict[str, Any] = json.loads((ROOT / "tests" / "released" / "neurons.json").read_text(encoding="utf-8"))
NORM = {"gamma": 1.3, "beta": 0.2, "mean": 0.1, "variance": 0.6}
AMPLITUDE = 1.7


def window(k: float | None) -> Callable[[float, float], float]:
    """Return dφ/du of the rectangle, or of the tanh of slope k, about θ."""

    def slope(u: float, theta: float) -> float:
        if not theta - 0.5 <= u <= theta + 0.5:
            return 0.0
        return 1.0 if k is None else k * (1 - math.tanh(k * (u - theta)) ** 2) / (2 * math.tanh(k / 2))

    return slope


def bell(u: float, theta: float) -> float:
    """Return the arctangent's derivative of slope 2."""
    return 1 / (1 + (math.pi * (u - theta)) ** 2)


def rectifier(v: float) -> tuple[float, float]:
    """Return φ(v) and φ′(v) of 2307.04356."""
    if v < 0:
        return 1 - (1 - v) ** (1 / 3), (1 - v) ** (-2 / 3) / 3
    if v > 1:
        return v ** (1 / 3), v ** (-2 / 3) / 3
    t = math.tanh(3 * (v - 0.5))
    return t / (2 * math.tanh(1.5)) + 0.5, 3 * (1 - t * t) / (2 * math.tanh(1.5))


def batch_norm(v: float) -> tuple[float, float]:
    """Return the membrane norm of evaluation and its slope (2308.08359)."""
    slope = NORM["gamma"] / math.sqrt(NORM["variance"] + 1e-5)
    return slope * (v - NORM["mean"]) + NORM["beta"], slope


def derived(paper: str, currents: list[float]) -> tuple[list[float], float]:
    """Return the outputs for currents over time, and dΣ out/dx for x a current common to all steps: v, u, s and their
    slopes are carried along."""
    integrates = paper in ("soft-reset-mpr", "real-spike", "integer")
    norm = {"mpbn": batch_norm, "soft-reset-mpr": rectifier}.get(paper, lambda v: (v, 1.0))
    size = AMPLITUDE if paper in ("ternary-trainable", "real-spike") else 1.0
    phi = {"mpbn": window(3.0), "spiking-pointnet": window(5.0), "real-spike": bell}.get(paper, window(None))
    v, dv, outputs, total = (0.3 if paper == "spiking-pointnet" else 0.0), 0.0, [], 0.0
    for x in currents:
        decay = 1.0 if integrates else 0.25
        v, dv = decay * v + x, decay * dv + 1
        u, slope = norm(v)
        du = slope * dv
        if paper.startswith("ternary"):
            s, ds = float(u >= 0.5) - float(u <= -0.5), du * float(-1 <= u <= 1)
        elif paper == "integer":
            s, ds = float(min(max(math.ceil(u - 0.5), 0), 4)), du * float(0 <= u <= 4)
        else:
            s, ds = float(u > 0.5), phi(u, 0.5) * du
        outputs.append(size * s)
        total += size * ds
        if paper in ("soft-reset-mpr", "integer"):
            v, dv = v - s, dv - ds
        elif paper == "real-spike":
            v, dv = v * (1 - s), dv * (1 - s)  # its reset is detached
        else:
            side = (s > 0) - (s < 0) if paper.startswith("ternary") else 1  # d|s|/ds, 0 at 0; binary spikes have no |s|
            v, dv = v * (1 - abs(s)), dv * (1 - abs(s)) - v * ds * side
    return outputs, total


class Given(torch.nn.Module):
    """v₀ = 0.3, in place of a draw."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, 0.3)


def ours(paper: str, currents: list[list[float]]) -> tuple[list[list[float]], list[float]]:
    """Return the same of this package's neuron, one channel, a sample for each row of currents."""
    config = neuron_of(paper, **({} if paper not in ("lif", "rmp-loss", "integer") else {"surrogate": "rectangle"}))
    assert config is not None
    neuron: Any = neurons.build(config, 1).double().eval()
    if paper == "spiking-pointnet":
        neuron.start = Given()
    if isinstance(neuron.norm, MembraneBatchNorm):
        norm = neuron.norm.norm
        for value, name in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), NORM, strict=True):
            torch.nn.init.constant_(value, NORM[name])
    for amplitude in (part for name, part in neuron.named_parameters() if name == "amplitude.value"):
        torch.nn.init.constant_(amplitude, AMPLITUDE)
    shared = torch.zeros(len(currents), 1, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(currents, dtype=torch.float64).T.unsqueeze(-1) + shared  # (T, samples, 1)
    out = neuron(x)
    (gradient,) = torch.autograd.grad(out.sum(), shared)
    return out.squeeze(-1).T.tolist(), gradient.flatten().tolist()


SPIKING = [paper for paper, one in PAPERS.items() if one.neuron is not None]


@pytest.mark.parametrize("paper", SPIKING)
def test_neurons_are_those_of_the_derivation_and_of_the_stored_numbers(paper: str) -> None:
    currents, stored = STORED["currents"], STORED["papers"][paper]
    outputs, gradients = ours(paper, currents)
    again = [derived(paper, row) for row in currents]
    for mine, theirs, (row, _) in zip(outputs, stored["outputs"], again, strict=True):
        assert mine == pytest.approx(theirs) and row == pytest.approx(theirs)
    assert [slope for _, slope in again] == pytest.approx(stored["gradients"])
    assert gradients == pytest.approx(stored["gradients"])
    assert len({tuple(row) for row in outputs}) > 3  # they tell the currents apart


def oracles() -> list[Any]:
    return list(runpy.run_path(str(ROOT / "scripts" / "oracles.py"))["ORACLES"])


def test_every_oracle_of_the_inventory_is_a_test_that_is_there() -> None:
    missing = []
    for row in oracles():
        for name in row.tests:
            file, _, test = name.partition("::")
            tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
            if test not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
                missing.append(name)
    assert missing == []


def test_the_inventory_has_every_part_network_and_paper() -> None:
    named = {name for row in oracles() for name in row.covers}
    slots = ("start", "charge", "norm", "fire", "surrogate", "reset", "amplitude", "model", "paper")
    assert {name for slot in slots for name in choices.BUILT_IN[slot]} - {"none"} - named == set()
