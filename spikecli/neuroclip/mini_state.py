"""The state of a training of `mini` between two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikecli.errors import SpikeError
from spikecli.files import tensors

SAVED_EVERY = 100  # steps


class MiniState:
    """Module, optimizer and generator, which a file can hold; with it a training goes on as if never stopped."""

    def __init__(self, module: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        self.module, self.optimizer, self.generator = module, optimizer, generator
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def save(self, path: Path, step: int) -> None:
        """Write the state after `step` steps to a file."""
        values = {f"model/{name}": value for name, value in self.module.state_dict().items()}
        for number, parameter in enumerate(self.parameters):
            for key, value in self.optimizer.state[parameter].items():
                values[f"optimizer/{number}/{key}"] = value
        tensors.write(path, {**values, "generator": self.generator.get_state()}, {"step": str(step)})

    def load(self, path: Path) -> int:
        """Return the number of steps done after restoring the state; raise SpikeError if the file is damaged."""
        found, about = tensors.read(path)
        weights = {name[6:]: value for name, value in found.items() if name.startswith("model/")}
        if not about.get("step", "").isdecimal() or "generator" not in found:
            raise SpikeError(f"{path} holds no stopped training of mini; remove it, and train again")
        tensors.check(path, weights, self.module.state_dict())
        self.module.load_state_dict(weights)
        for number, parameter in enumerate(self.parameters):
            prefix = f"optimizer/{number}/"
            kept = {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}
            self.optimizer.state[parameter] = {key: _as(parameter, value) for key, value in kept.items()}
        self.generator.set_state(found["generator"])
        return int(about["step"])


def _as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a moment in its parameter's memory format: a fused optimizer goes through both side by side."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
