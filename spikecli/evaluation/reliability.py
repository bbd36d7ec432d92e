"""Reliability: how often a network is right among samples of which it is as sure (arXiv 1706.04599)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

BINS = 15  # of equal width, as in the paper


@dataclass(frozen=True)
class Bin:
    """The samples with a confidence in (low, high]: their number, mean confidence and accuracy in 0…1."""

    low: float
    high: float
    samples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The reliability curve at one number of time steps; `ece` is the expected calibration error in 0…1."""

    timesteps: int
    ece: float
    bins: tuple[Bin, ...]  # those with samples


def reliability(probabilities: Tensor, labels: Tensor, timesteps: int = 1) -> Reliability:
    """Return the reliability of probabilities (S, K) against labels (S,).

    ECE = Σ_m |B_m|/S · |acc(B_m) − conf(B_m)| over M bins of the confidence (arXiv 1706.04599, eq. 3).
    """
    confidence, given = probabilities.double().max(-1)
    right = (given == labels).double()
    place = (confidence * BINS).ceil().long().clamp(1, BINS) - 1  # (low, high], as in the paper
    bins = []
    for number in place.unique().tolist():
        inside = place == number
        shares = confidence[inside].mean().item(), right[inside].mean().item()
        bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), *shares))
    ece = sum(one.samples * abs(one.accuracy - one.confidence) for one in bins) / max(len(labels), 1)
    return Reliability(timesteps, ece, tuple(bins))
