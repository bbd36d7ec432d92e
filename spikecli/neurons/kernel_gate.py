"""Where Triton's kernels run: on a GPU, or on a CPU under Triton's interpreter, for tests.

torch's CPU wheels come without Triton, so modules with kernels are imported at the first use. Without it, or where it
cannot build a kernel, a GPU runs torch's own operations, which are slower and as exact.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

INTERPRETED = "TRITON_INTERPRET"  # set: Triton runs the kernels on a CPU


def usable(tensor: Tensor) -> bool:
    """Return whether the kernels run where a tensor lies, and on its type."""
    place = tensor.is_cuda or (tensor.device.type == "cpu" and os.environ.get(INTERPRETED) == "1")
    return place and tensor.dtype in (torch.float32, torch.bfloat16) and _built(tensor.device.type)


@cache
def kernels(name: str) -> Any:
    """Return a module of kernels by its name in this package, such as models.norm_kernels; it imports Triton."""
    return import_module(f"spikecli.{name}")


@cache
def _built(kind: str) -> bool:
    """Return whether Triton is there and runs a small kernel; if it fails, one warning says why."""
    if find_spec("triton") is None:
        return False
    try:
        return _probe(torch.tensor([0.4, 0.6], device=kind)) == [0.0, 1.0]
    except Exception as error:  # noqa: BLE001 (no C compiler, an old driver, an unknown card: no class covers them)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"Triton builds no kernels here, so training on {kind} is slower: {reason}", stacklevel=2)
        return False


def _probe(u: Tensor) -> list[float]:
    spikes: list[float] = kernels("neurons.fire_kernels").staircase(u, 0.5, 1, False).tolist()
    return spikes
