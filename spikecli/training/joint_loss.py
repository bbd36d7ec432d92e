"""The loss of Joint A-SNN (2305.02099), read from the exits of both networks through forward hooks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.machine import processes

ALPHA, TEMPERATURE, BETA = 0.1, 3.0, 1e-6  # the teachers' share, how soft they speak, the weight of features
Exits = list[tuple[Tensor, Tensor]]  # logits (T, B, K) and feature (T, B, F) of each exit, the network's end last


def distillation(student: Tensor, teacher: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return τ²·KL(softmax(teacher/τ) ‖ softmax(student/τ)), the mean over samples of logits (B, K); τ = 3 in
    2305.02099.

    No gradient reaches the teacher, so that it is the cross-entropy of the two but for a constant.
    """
    student, teacher = (logits.div(temperature).log_softmax(-1) for logits in (student, teacher.detach()))
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return Σ (F − G)² over samples and features (B, F) where one of the two is positive; G is the teacher's."""
    teacher = teacher.detach()
    return ((student - teacher).square() * ((student > 0) | (teacher > 0))).sum()


def joint_loss(ann: Exits, snn: Exits, labels: Tensor, answer: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the loss of Joint A-SNN, `answer` being the classification loss of the spiking network's end:

    (1 − α)·Σᵢ [CE(zᵢᴬ) + CE(zᵢˢ)] + α·9·[Σᵢ KD(zᵢᴬ ← zᴬ at the end) + Σᵢ KD(zᵢˢ ← zᵢᴬ)] + β·Σᵢ |Fᵢˢ − Fᵢᴬ|²
    with the logits z and features F of exit i summed over T, and distances as in `feature_distance`.
    """
    za, fa = _over_time(ann, answer.dtype)
    zs, fs = _over_time(snn, answer.dtype)
    told = sum(functional.cross_entropy(z, labels, label_smoothing=smoothing) for z in [*za, *zs[:-1]])
    taught = sum(distillation(z, za[-1]) for z in za[:-1]) + sum(map(distillation, zs, za))
    # A sum over samples: gradients are averaged over processes, each of which has its share of them.
    apart = sum(map(feature_distance, fs, fa)) * processes.world()
    return (1 - ALPHA) * (told + answer) + ALPHA * taught + BETA * apart


def _over_time(exits: Exits, kind: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    return [z.sum(0).to(kind) for z, _ in exits], [f.sum(0).to(kind) for _, f in exits]


class JointLoss:
    """`joint_loss` of the last forward pass, for a model with two branches, `ann` and `snn`; inactive for others."""

    def __init__(self, model: nn.Module, smoothing: float = 0.0) -> None:
        self._smoothing = smoothing
        self._exits: dict[str, Exits] = {}
        for name in ("ann", "snn"):
            if hasattr(model, name):
                getattr(model, name).register_forward_hook(partial(self._keep, name))

    def _keep(self, name: str, module: nn.Module, inputs: Any, output: Exits) -> None:
        self._exits[name] = output

    def total(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of both networks and release the pass; `answer` is the loss at the spiking one's end."""
        exits, self._exits = self._exits, {}
        return joint_loss(exits["ann"], exits["snn"], labels, answer, self._smoothing) if exits else answer
