"""Weights in other people's .pth files, read as tensors alone: nothing else in them is unpickled."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.gate import reading

if TYPE_CHECKING:
    from torch import Tensor

# Where training scripts put the state dict beside the epoch and the optimizer.
WRAPPERS = ("model_state_dict", "state_dict", "model", "net")
_CURE = "give the state dict alone, saved with torch.save(model.state_dict(), FILE)"


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name, from a .pth or .safetensors file; other values in it are dropped.

    Raise SpikeError if the file is missing or damaged, would have to run code, or holds no state dict.
    """
    if path.suffix == ".safetensors":
        return tensors.read(path)[0]
    import torch

    # Of formats that are old, or fail a line later, torch also warns.
    with reading(path, _CURE), warnings.catch_warnings(action="ignore"):
        try:
            with torch.serialization.safe_globals(_numbers()):
                found = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise SpikeError(
                f"{path} cannot be read as weights alone: it is damaged, or would have to be unpickled, which can run "
                f"code; {_CURE}"
            ) from None
    values = _state_dict(found)
    if not values:
        raise SpikeError(f"{path} holds no state dict; wanted tensors by name; {_CURE}")
    return values


def _numbers() -> list[Any]:
    """Return what reads a numpy number, which training scripts save as their score; it runs no code."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]  # numpy's own reader of a number
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32")]
    return [*((scalar, name) for name in names), np.dtype, *kinds]


def _state_dict(found: Any) -> dict[str, Tensor]:
    """Return the tensors by name in a state dict, or in the first wrapper that holds one; empty if none does."""
    import torch

    if not isinstance(found, Mapping):
        return {}
    for name in WRAPPERS:
        if isinstance(found.get(name), Mapping):
            return _state_dict(found[name])
    return {name: one for name, one in found.items() if isinstance(name, str) and isinstance(one, torch.Tensor)}
