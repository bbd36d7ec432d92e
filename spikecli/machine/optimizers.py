"""torch's optimizers without torch's compiler, whose import would take two seconds and 90 MB."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)
_KEPT_FROM_THE_COMPILER = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Kind]) -> type[Kind]:
    """Return the optimizer `kind` with the same methods, none of which imports torch's compiler.

    torch wraps them to keep them from being compiled, and imports the compiler to do so; nothing here is compiled.
    """
    return cast(type[Kind], _eager(kind))  # type: ignore[arg-type]  # a class is hashable


@cache
def _eager(kind: type[Optimizer]) -> type[Optimizer]:
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _KEPT_FROM_THE_COMPILER}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # the only other thing that torch's wrapper does
    return type(kind.__name__, (kind,), {**methods, "step": step})
