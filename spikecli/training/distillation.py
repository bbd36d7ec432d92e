"""Distillation from a trained network: its softened answers as a second target of the one that learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikecli.errors import SettingError
from spikecli.files.gate import file_hash
from spikecli.machine.device import autocast
from spikecli.neurons import layers
from spikecli.settings.config import TrainConfig
from spikecli.training.joint_loss import distillation
from spikecli.weights.trained import Trained


class Teacher:
    """A trained network in evaluation mode, and its share w of the loss:

    (1 − w)·L + w·τ²·KL(softmax(z_teacher/τ) ‖ softmax(z/τ)), with z the mean logits over time (1503.02531, eq. 1; for
    spiking networks 2304.05627). An ANN is shown the sum of a recording's frames, a spiking teacher the frames.
    """

    def __init__(self, trained: Trained, config: TrainConfig) -> None:
        self.trained = trained
        self.network = trained.network.requires_grad_(False)
        self.weight, self.temperature = config.teacher_weight, config.teacher_temperature
        self.precision, self.spiking = config.precision, bool(layers(trained.network))

    @property
    def note(self) -> dict[str, Any]:
        """The weights that it was read from, as a run's files name them."""
        return {"weights": self.trained.name, "sha256": file_hash(self.trained.path)}

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Return the mean logits (B, K) of a batch as the network that learns is given it."""
        x = inputs.to(next(self.network.parameters()).dtype)
        frames = x.dim() == 5
        x = x.sum(0, keepdim=True) if frames and not self.spiking else x
        with autocast(x.device, self.precision, cache=x.device.type != "cuda"):
            found: Tensor = self.network(x, self.trained.config.timesteps if self.spiking else 1)
        return found.mean(0)

    def teach(self, loss: Tensor, inputs: Tensor, logits: Tensor) -> Tensor:
        """Return the loss with the teacher's share; `logits` (T, B, K) are those of the network that learns."""
        teacher = self.logits(inputs).to(loss.dtype)
        taught = distillation(logits.mean(0).to(loss.dtype), teacher, self.temperature)
        return (1 - self.weight) * loss + self.weight * taught


def teacher_of(config: TrainConfig, classnames: tuple[str, ...], device: torch.device) -> Teacher | None:
    """Return the teacher that the settings name, None if they name none; raise SettingError if it cannot teach this."""
    if config.teacher is None:
        return None
    trained = Trained.open(config.teacher, str(device))
    theirs, ours = trained.config.model, config.model
    if trained.classnames != classnames:
        raise SettingError(
            "teacher",
            f"cannot be {config.teacher}: it answers with {len(trained.classnames)} classes, "
            f"{', '.join(trained.classnames[:3])} …, and {config.dataset} has {len(classnames)}, "
            f"{', '.join(classnames[:3])} …; take a run on the same classes",
        )
    channels = getattr(theirs, "inputs", 3), getattr(ours, "inputs", 3)
    if theirs.takes != ours.takes or channels[0] != channels[1]:
        raise SettingError(
            "teacher",
            f"cannot be {config.teacher}: {theirs.name} takes {' and '.join(theirs.takes)} of {channels[0]} channels, "
            f"{ours.name} {' and '.join(ours.takes)} of {channels[1]}; take a run on data of the same kind",
        )
    return Teacher(trained, config)
