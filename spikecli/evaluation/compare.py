"""Compare trained networks on the same samples: accuracies, paired differences from the first, and their tests."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.kind import Samples
from spikecli.errors import SpikeError
from spikecli.evaluation import metrics
from spikecli.evaluation.evaluate import logits_of, samples_for, shared_passes
from spikecli.evaluation.how import How
from spikecli.evaluation.paired import Paired, paired
from spikecli.evaluation.stopping import distinct_steps
from spikecli.weights.trained import Trained

SEED = re.compile(r"[-_]?seed\d+")


@dataclass(frozen=True, eq=False)
class Answers:
    """Which samples a network gets right: `right` bool (S,) by its number of time steps."""

    trained: Trained
    samples: str  # what they are of: data set, split and content
    right: dict[int, np.ndarray]


@dataclass(frozen=True)
class ComparedRow:
    """A network, or the same one from several training seeds, at one T; `paired` with the first, None for itself.

    Accuracies in 0…1; the deviation over training seeds is None for one.
    """

    network: str
    runs: tuple[str, ...]
    timesteps: int
    accuracy: float
    accuracy_std: float | None
    paired: Paired | None


def answers(
    trained: Trained, timesteps: Sequence[int], data_dir: Path, data: str | None, split: str, how: How
) -> Answers:
    """Return which samples of a split a network gets right; raise SpikeError as `samples_for` does."""
    samples = samples_for(trained, data_dir, data, split)
    right: dict[int, np.ndarray] = {}
    for longest, shorter in shared_passes(samples, distinct_steps(trained.network, timesteps)).items():
        logits = logits_of(trained.network, samples.inputs(longest), longest, how)
        predictions = metrics.cumulative_predictions(logits)
        right |= {t: predictions[t - 1].numpy() == samples.labels for t in shorter}
    return Answers(trained, _words_of(samples, split), right)


def _words_of(samples: Samples, split: str) -> str:
    """Return what tells samples from others: data set, split, content, and which of them."""
    places = getattr(samples, "places", np.arange(len(samples.labels)))
    return f"{samples.dataset}:{split} {samples.fingerprint} {places.tolist()}"


def demand_same_samples(given: Sequence[Trained], data_dir: Path, data: str | None, split: str) -> None:
    """Raise SpikeError if the networks cannot be asked about the same samples; none is asked yet."""
    found = [_words_of(samples_for(one, data_dir, data, split), split) for one in given]
    for one, words in zip(given, found, strict=True):
        _demand_same(one, words, given[0], found[0])


def _demand_same(one: Trained, words: str, first: Trained, wanted: str) -> None:
    if words != wanted:
        raise SpikeError(
            f"{one.name} and {first.name} were scored on other samples, so no test is paired; "
            "take split test, or one data set for all"
        )


def grouped(given: Sequence[Answers]) -> dict[str, list[Answers]]:
    """Return runs by the name of their group: those whose settings differ in the training seed alone."""
    groups: dict[tuple[str, int], list[Answers]] = {}
    seen: Counter[str] = Counter()
    for one in given:
        same = one.trained.config.model_dump_json()  # a second run of the same seed is another network
        key = one.trained.config.model_copy(update={"seed": 0}).model_dump_json()
        groups.setdefault((key, seen[same]), []).append(one)
        seen[same] += 1
    found: dict[str, list[Answers]] = {}
    for members in groups.values():
        first = members[0].trained.name
        name = SEED.sub("", first) if len(members) > 1 else first
        found[name if name not in found else f"{name} ({len(found) + 1})"] = members
    return found


def compared(given: Sequence[Answers], seed: int = 0) -> list[ComparedRow]:
    """Return a row for each group and number of time steps, each but the first group's with its paired test.

    Raise SpikeError if two runs were not asked about the same samples.
    """
    for one in given[1:]:
        _demand_same(one.trained, one.samples, given[0].trained, given[0].samples)
    groups = grouped(given)
    base = next(iter(groups.values()))
    rows = []
    for name, members in groups.items():
        for t in sorted(members[0].right):
            right = np.stack([one.right[t] for one in members])
            accuracies = right.mean(1).tolist()
            test = None
            if members is not base:
                test = paired(np.stack([_at(one, t) for one in base]), right, seed)
            spread = statistics.stdev(accuracies) if len(accuracies) > 1 else None
            paths = tuple(str(one.trained.given) for one in members)
            rows.append(ComparedRow(name, paths, t, statistics.fmean(accuracies), spread, test))
    return rows


def _at(one: Answers, timesteps: int) -> np.ndarray:
    """Return what a network gets right after so many steps, or after its last: an ANN has one."""
    return one.right.get(timesteps, one.right[max(one.right)])
