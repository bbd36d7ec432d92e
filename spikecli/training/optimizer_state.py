"""An optimizer's state in a run folder: some tensors for each parameter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from spikecli.errors import SpikeError

_ADAM = ("step", "exp_avg", "exp_avg_sq")
MOMENTS = {"adam": _ADAM, "adamw": _ADAM, "sgd": ("momentum_buffer",)}  # what an optimizer keeps of a parameter


def moments_of(
    path: Path, name: str, parameter: Tensor, found: Mapping[str, Tensor], kept: tuple[str, ...]
) -> dict[str, Tensor]:
    """Return the optimizer's state of a parameter, empty if never used; raise SpikeError if it does not fit."""
    prefix = f"optimizer/{name}/"
    state = {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    if shapes and shapes != {key: () if key == "step" else tuple(parameter.shape) for key in kept}:
        raise SpikeError(f"{path}: the optimizer's state of {name} does not fit; the file is damaged, copy it again")
    # The count of steps too: a fused optimizer reads it on the device, and refuses one that lies elsewhere.
    return {key: value.to(parameter.device) for key, value in state.items()}
