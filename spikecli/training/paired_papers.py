"""Paired tests of the rows of an ablation against its first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikecli.evaluation.paired import Paired, paired
from spikecli.training.ablate import Outcome


@dataclass(frozen=True)
class PaperTest:
    """A paper, with a sweep's settings, against the first at one T, over the training seeds that both have."""

    paper: str
    against: str
    timesteps: int
    seeds: int
    paired: Paired


def paper_tests(outcomes: Sequence[Outcome], timesteps: Sequence[int], split: str, seed: int = 0) -> list[PaperTest]:
    """Return the test of each paper but the first at each T; a paper without a T, such as the ANN, keeps its one.

    The samples of split test are the same for every training seed; those of val are another part for each.
    Rows without a common seed, such as those that another process still trains, have no test; nor have, on val, rows
    of a sweep that hold out other shares of the training split.
    """
    papers: dict[str, dict[int, Outcome]] = {}
    for outcome in outcomes:
        papers.setdefault(outcome.trial.row_name, {})[outcome.trial.config.seed] = outcome
    (first, base), *others = papers.items()
    found = []
    for paper, runs in others:
        seeds = sorted(runs.keys() & base.keys())
        if not seeds or (split == "val" and _share(runs) != _share(base)):
            continue
        for t in [t for t in timesteps if str(t) in next(iter(runs.values())).right]:
            one, other = (np.stack([_right(group[each], t) for each in seeds]) for group in (base, runs))
            if split == "val":  # each seed holds out samples of its own
                one, other = one.reshape(1, -1), other.reshape(1, -1)
            found.append(PaperTest(paper, first, t, len(seeds), paired(one, other, seed)))
    return found


def _share(runs: dict[int, Outcome]) -> float:
    return next(iter(runs.values())).trial.config.val_fraction


def _right(outcome: Outcome, timesteps: int) -> np.ndarray:
    marks = outcome.right.get(str(timesteps)) or outcome.right[max(outcome.right, key=int)]
    return np.array([mark == "1" for mark in marks])
