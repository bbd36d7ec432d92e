"""The loss of DeLA's second task (2308.16532), read through a hook: predict a neighbor's offset from features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikecli.models.offsets import OffsetTask
from spikecli.settings.config import TrainConfig

LAST_WEIGHT = 3e-3  # at the end of training; 1 at its beginning


def offset_weight(config: TrainConfig, epochs_done: float) -> float:
    """Return the weight of the second task after `epochs_done` epochs: 0.003 to the power of training's progress."""
    return LAST_WEIGHT ** min(epochs_done / config.epochs, 1.0)


class OffsetLoss:
    """The loss of the second task in the last forward pass, for a network that has this task."""

    def __init__(self, model: nn.Module) -> None:
        self._loss: Tensor | None = None
        for module in model.modules():
            if isinstance(module, OffsetTask):
                module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._loss = output

    def take(self, weight: float | Tensor) -> Tensor | float:
        """Return weight · loss (0 without a second task) and release it."""
        if self._loss is None:
            return 0.0
        loss, self._loss = self._loss, None
        return weight * loss
