"""Where Triton's kernels run: on a GPU, or on a CPU under Triton's interpreter, for tests.

torch's CPU wheels come without Triton, so modules with kernels are imported at the first use. Without it a GPU runs
torch's own operations, which are slower and as exact.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

INTERPRETED = "TRITON_INTERPRET"  # set: Triton runs the kernels on a CPU


@cache
def _installed() -> bool:
    return find_spec("triton") is not None


def usable(tensor: Tensor) -> bool:
    """Return whether the kernels run where a tensor lies, and on its type."""
    place = tensor.is_cuda or (tensor.device.type == "cpu" and os.environ.get(INTERPRETED) == "1")
    return place and tensor.dtype in (torch.float32, torch.bfloat16) and _installed()
