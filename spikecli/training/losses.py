"""Classification losses, and penalties read through forward hooks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean over steps and samples of the cross-entropy of each step's logits (T, B, K) with labels (B,).

    It equals the negative log-likelihood of the mean over T of the log-softmax.
    """
    steps = logits.shape[0]
    return functional.cross_entropy(logits.flatten(0, 1), labels.repeat(steps), label_smoothing=smoothing)


def classification(logits: Tensor, labels: Tensor, smoothing: float, step_loss: str, tet_weight: float) -> Tensor:
    """Return the loss of logits (T, B, K): `cross_entropy`, or that of their mean over T, with TET's second term.

    L = (1 − λ)·(1/T)Σ CE(o_t, y) + λ·(1/T)Σ MSE(o_t, 1) (2202.11946).
    """
    shown = logits.mean(0, keepdim=True) if step_loss == "mean" else logits
    loss = cross_entropy(shown, labels, smoothing)
    return (1 - tet_weight) * loss + tet_weight * (logits - 1).square().mean() if tet_weight else loss


class Orthogonality:
    """‖A·Aᵀ − I‖_F of the mean over T of a T-Net's transforms A (T, B, k, k), averaged over samples (2310.06232).

    The release takes the norm of the mean transform, not the mean of the norms; at T = 1 they are the same.
    """

    def __init__(self, tnet: nn.Module | None) -> None:
        self._transforms: Tensor | None = None
        self._hook = tnet.register_forward_hook(self._keep) if tnet is not None else None

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._transforms = output

    def take(self) -> Tensor | float:
        """Return the penalty of the last forward pass (0 without a T-Net) and release it."""
        if self._transforms is None:
            return 0.0
        a, self._transforms = self._transforms.mean(0), None
        identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        return torch.linalg.matrix_norm(a @ a.mT - identity).mean()

    def close(self) -> None:
        """Remove the hook from the network."""
        if self._hook is not None:
            self._hook.remove()
