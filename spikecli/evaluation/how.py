"""Settings of an evaluation that do not depend on the network or the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from spikecli.evaluation.prices import FP32, Prices

OnSamples = Callable[[int], None]
CPU = torch.device("cpu")


def silent(samples: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class How:
    """Seeds, device and precision of an evaluation, and the callback that gets the number of samples just done.

    `runs` seeds of the perturbation are tried, from `seed` on. `precision` is fp32, or bf16 for products alone.
    Each answer is the mean of `votes` passes, each with a seed of its own. `prices` are those of its energy;
    `updates` counts changes of membranes, `traffic` the bytes that are moved.
    """

    runs: int = 1
    seed: int = 0
    device: torch.device = CPU
    precision: str = "fp32"
    on_samples: OnSamples = silent
    prices: Prices = FP32
    updates: bool = False
    traffic: bool = False
    votes: int = 1
