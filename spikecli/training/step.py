"""One training step as a function of tensors on its device; the host never waits inside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikecli.machine import processes
from spikecli.machine.device import autocast, storage_type
from spikecli.neurons import layers
from spikecli.neurons.surrogate import Evolving
from spikecli.settings.config import TrainConfig
from spikecli.training import losses
from spikecli.training.distillation import Teacher
from spikecli.training.joint_loss import JointLoss
from spikecli.training.membrane_loss import MembraneLoss
from spikecli.training.offset_loss import OffsetLoss
from spikecli.training.spike_loss import SpikeLoss

LOSS, RIGHT, ERROR, SOUND = range(4)  # columns of what a step returns
_MAY_SKIP = ("cpu", "cuda")  # devices whose fused optimizers leave a step out when a tensor says so


class TrainStep:
    """Forward pass, losses, backward pass and optimizer, for a batch on the device.

    The losses sum over the samples of all processes. A step whose loss or gradients are not finite changes no weight,
    and neither does any step after it, so that the last good weights are there when the host finds out.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        teacher: Teacher | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.teacher = teacher
        self.optimizer = optimizer
        self.device = device
        self.joint = JointLoss(model, config.label_smoothing)
        self.orthogonality = losses.Orthogonality(getattr(model, "feature_tnet", None))
        self.membranes = MembraneLoss(model, config.rmp_power) if config.rmp_weight else None
        self.membrane_weight = torch.zeros((), dtype=storage_type(config.precision), device=device)
        self.spikes = SpikeLoss(model, config.im_weight, config.activity_weight)
        surrogates = [getattr(neuron.fire, "surrogate", None) for neuron in layers(model).values()]
        self.evolving = [each for each in surrogates if isinstance(each, Evolving)]
        self.offsets = OffsetLoss(model)
        self.offset_weight = torch.zeros_like(self.membrane_weight)
        self.broken = torch.zeros((), device=device)  # 1 since a step that was not finite
        if device.type in _MAY_SKIP:
            optimizer.found_inf = self.broken  # type: ignore[attr-defined]

    def prepare(self, rate: float, membrane_weight: float, offset_weight: float = 0.0, share: float = 0.0) -> None:
        """Set the learning rate and the weights of two losses, RMP-Loss and DeLA's second task, of the next step, in
        place where they are tensors; `share` of all epochs is done, which evolving surrogates follow."""
        for each in self.evolving:
            each.after(share)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        if self.membranes:
            self.membrane_weight.fill_(membrane_weight)
        self.offset_weight.fill_(offset_weight)

    def __call__(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Make a step on a batch (b, ...) with labels (b,); return float64 (4,): the summed loss, how many are right,
        the summed quantization error, and 1 if the step was taken."""
        loss, total, error, logits = self._losses(inputs, labels)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        processes.average_gradients(self.model)
        right = (logits.detach().mean(0).argmax(-1) == labels).sum()
        count = len(labels)
        sums = processes.summed(torch.stack([loss.detach().double() * count, right.double(), error.double() * count]))
        sound = torch.isfinite(sums[0]) & torch.isfinite(_norm_of_gradients(self.model))
        self.broken.copy_(torch.maximum(self.broken, (~sound).float()))
        if self.device.type in _MAY_SKIP or bool(sound):
            self.optimizer.step()
        return torch.cat([sums, sound.double().unsqueeze(0)])

    def _losses(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the classification loss, the sum of all losses, the quantization error, and logits (T, b, K)."""
        # Without the cache of weights that were cast: a graph would hold those of its warm-up.
        with autocast(self.device, self.config.precision, cache=self.device.type != "cuda"):
            logits = self.model(inputs, self.config.timesteps)
        asked = self.config
        loss = losses.classification(logits, labels, asked.label_smoothing, asked.step_loss, asked.tet_weight)
        taught = self.teacher.teach(loss, inputs, logits) if self.teacher else loss
        total = self.joint.total(taught, labels) + self.config.orthogonality * self.orthogonality.take()
        total = total + self.offsets.take(self.offset_weight) + self.spikes.take()
        error = torch.zeros_like(loss)
        if self.membranes:
            penalty, error = self.membranes.take()
            total = total + self.membrane_weight * penalty
        return loss, total, error, logits

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits (T, b, K) of a step on this batch, as evidence of a failed step."""
        with autocast(self.device, self.config.precision):
            logits: Tensor = self.model(inputs, self.config.timesteps)
        return logits

    def state(self) -> list[Tensor]:
        """Return every tensor that a step changes, except the optimizer's state."""
        return [*self.model.parameters(), *self.model.buffers(), self.broken]


def _norm_of_gradients(model: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
