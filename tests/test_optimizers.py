"""Optimizers that leave torch's compiler alone: their steps by hand, their states, and that they do not import it."""

from __future__ import annotations

import copy
import sys
from typing import Any

import forks
import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from spikecli.machine.optimizers import eager

BEGIN, SLOPES, RATE = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1.0, 2.0, 3.0]), 0.1
KINDS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (Adam, {"weight_decay": 0.5}),
    (AdamW, {"weight_decay": 0.5, "fused": True}),
    (SGD, {"momentum": 0.9, "fused": True}),
]


def stepped(kind: Any, options: dict[str, Any], count: int, begun: Any = None) -> tuple[Tensor, Optimizer]:
    """Return the weights after `count` steps down a paraboloid and the optimizer; `begun` are weights and a state."""
    weights = torch.nn.Parameter((begun[0] if begun else BEGIN).clone())
    optimizer = eager(kind)([weights], lr=RATE, **options)
    if begun:
        optimizer.load_state_dict(copy.deepcopy(begun[1]))
    for _ in range(count):
        optimizer.zero_grad()
        (weights.square() * SLOPES / 2).sum().backward()
        optimizer.step()
    return weights.detach(), optimizer


def by_hand(kind: type[Optimizer], count: int) -> Tensor:
    """Return the same weights by the formulas of 1412.6980, of 1711.05101, or of momentum."""
    weights, first, second = BEGIN.clone(), torch.zeros(3), torch.zeros(3)
    for step in range(1, count + 1):
        slope = weights * SLOPES
        if kind is SGD:
            first = 0.9 * first + slope
            weights = weights - RATE * first
            continue
        if kind is Adam:
            slope = slope + 0.5 * weights
        else:
            weights = weights * (1 - RATE * 0.5)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
        weights = weights - RATE * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
    return weights


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_steps_are_those_of_the_formulas_and_states_go_on(kind: type[Optimizer], options: dict[str, Any]) -> None:
    whole, optimizer = stepped(kind, options, 3)
    torch.testing.assert_close(whole, by_hand(kind, 3))
    assert isinstance(optimizer, kind)
    half, begun = stepped(kind, options, 2)
    assert torch.equal(stepped(kind, options, 1, (half, begun.state_dict()))[0], whole)
    assert not torch.equal(stepped(kind, options, 1, (half, stepped(kind, options, 0)[1].state_dict()))[0], whole)


def test_no_step_imports_the_compiler() -> None:
    line = (
        "import sys, torch; from spikecli.machine.optimizers import eager; w = torch.nn.Parameter(torch.ones(2));"
        "o = eager(torch.optim.AdamW)([w], fused=True); w.sum().backward(); o.step(); o.zero_grad();"
        "o.load_state_dict(o.state_dict()); print('torch._dynamo' in sys.modules, w.tolist() != [1.0, 1.0])"
    )
    done = forks.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, fresh=True)
    assert done.stdout.split() == ["False", "True"]
