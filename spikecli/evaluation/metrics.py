"""Scores of predictions against labels."""

from __future__ import annotations

import torch
from torch import Tensor


def cumulative_mean(logits: Tensor) -> Tensor:
    """Return (T, B, K): row t is the mean of the first t + 1 steps' logits (T, B, K), in float32."""
    steps = torch.arange(1, logits.shape[0] + 1, dtype=torch.float32, device=logits.device)
    return logits.float().cumsum(0) / steps[:, None, None]


def cumulative_predictions(logits: Tensor) -> Tensor:
    """Return (T, B) classes: row t is the argmax of the mean of the first t + 1 steps' logits (T, B, K)."""
    return cumulative_mean(logits).argmax(-1)


def instance_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Return the share of samples (S,) that are right, in 0…1."""
    return (predictions == labels).double().mean().item()


def class_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Return the mean over the classes present of each one's share of right samples (S,), in 0…1."""
    return accuracy_by_class(predictions, labels, int(labels.max()) + 1).nanmean().item()


def accuracy_by_class(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return each class's share of right samples (classes,), in 0…1; NaN for a class without samples."""
    right = torch.bincount(labels, (predictions == labels).double(), classes)
    return right / torch.bincount(labels, minlength=classes)


def confusions(predictions: Tensor, labels: Tensor) -> tuple[tuple[int, int, int], ...]:
    """Return (class, predicted class, samples) of the wrong predictions (S,), the most frequent first."""
    wrong = predictions != labels
    pairs = torch.stack([labels[wrong], predictions[wrong]], 1)
    if not len(pairs):
        return ()
    found, counts = pairs.unique(dim=0, return_counts=True)
    rows = [(int(label), int(given), int(count)) for (label, given), count in zip(found, counts, strict=True)]
    return tuple(sorted(rows, key=lambda row: (-row[2], row)))
