"""Paired tests of two networks on the same samples: McNemar's exact test, sign flips, and the bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
CONFIDENCE = 0.95
_AT_ONCE = 2**22  # numbers held at once


@dataclass(frozen=True)
class Paired:
    """Second network minus first: difference of accuracies in −1…1, its interval, and the p of no difference.

    `test` names the test behind p. The counts are of samples that one network alone gets right; None for groups.
    """

    difference: float
    low: float
    high: float
    p: float
    test: str
    only_first: int | None
    only_second: int | None


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p of McNemar's exact test (McNemar 1947).

    Of n samples on which two networks differ, b ~ Binomial(n, ½) if neither is better: p = min(1, 2·P(b ≤ min)).
    """
    n, least = only_first + only_second, min(only_first, only_second)
    below = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, 2 * below / 2**n)


def sign_flips(difference: np.ndarray, seed: int, draws: int = DRAWS) -> float:
    """Return the two-sided p that samples' differences (S,) have mean 0, their signs being drawn at random.

    p = (1 + draws at least as far from 0) / (1 + draws); of single networks it approaches McNemar's.
    """
    rng, seen, count = np.random.default_rng(seed), abs(difference.sum()) - 1e-9, 0
    for part in _parts(draws, len(difference)):
        signs = rng.integers(0, 2, (part, len(difference)), dtype=np.int8) * 2 - 1
        count += int((np.abs(signs @ difference) >= seen).sum())
    return (1 + count) / (1 + draws)


def bootstrap(first: np.ndarray, second: np.ndarray, seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `second` − `first`, correctness (R, S) of R trainings on S samples.

    Percentiles over draws (Efron 1979): each draws samples, the same for both, and the trainings of each network.
    """
    rng, means = np.random.default_rng(seed), []
    for part in _parts(draws, first.shape[1]):
        one, other = (_drawn_runs(group, rng, part) for group in (first, second))
        chosen = rng.integers(0, first.shape[1], (part, first.shape[1]))
        means.append(np.take_along_axis(np.broadcast_to(other - one, chosen.shape), chosen, 1).mean(1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail))
    return float(low), float(high)


def _drawn_runs(group: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return the mean correctness (draws, S) of as many trainings as there are, drawn with replacement."""
    runs = len(group)
    if runs == 1:
        return group.astype(float)
    return rng.multinomial(runs, np.full(runs, 1 / runs), draws) @ group.astype(float) / runs


def _parts(draws: int, samples: int) -> list[int]:
    size = max(1, min(draws, _AT_ONCE // max(1, samples)))
    return [min(size, draws - start) for start in range(0, draws, size)]


def paired(first: np.ndarray, second: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Paired:
    """Return how `second` compares with `first`, correctness bool (R, S) of R trainings each on the same S samples.

    McNemar's exact test for one training each; sign flips of the samples' mean differences for more.
    """
    difference = second.mean(0) - first.mean(0)
    low, high = bootstrap(first, second, seed, draws)
    mean = float(difference.mean())
    if len(first) == len(second) == 1:
        only = int((first & ~second).sum()), int((second & ~first).sum())
        return Paired(mean, low, high, mcnemar(*only), "McNemar", *only)
    return Paired(mean, low, high, sign_flips(difference, seed, draws), "sign flips", None, None)
