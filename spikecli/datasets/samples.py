"""Samples for a network: a prepared split, a part of it, or a user's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.facts import Facts
from spikecli.datasets.kind import Samples
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.sets import ensure_prepared, find_facts, kind_named
from spikecli.errors import SpikeError, named
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig

__all__ = ["Part", "Samples", "files_for", "held_out", "load_samples", "spread", "stratified_split"]


@dataclass(frozen=True)
class Part:
    """Some samples of a split, by their indices in it."""

    whole: Samples
    places: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.whole.labels[self.places]

    @property
    def classnames(self) -> tuple[str, ...]:
        return self.whole.classnames

    @property
    def dataset(self) -> str:
        return self.whole.dataset

    @property
    def fingerprint(self) -> str:
        return self.whole.fingerprint

    @property
    def unit_name(self) -> str:
        return self.whole.unit_name

    @property
    def kind(self) -> str:
        return self.whole.kind

    @property
    def static(self) -> bool:
        return self.whole.static

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return these samples, or the `chosen` of them, as network input for `timesteps` steps."""
        return self.whole.inputs(timesteps, self.places if chosen is None else self.places[chosen])


def load_samples(
    data_dir: Path, dataset: str, split: str, config: TrainConfig, fixed: bool = False, progress: Progress = Progress()
) -> Samples:
    """Return a prepared split for a network of `config`; with `fixed`, at the size the network was built for.

    Data made on this machine are prepared on the way. Raise SpikeError if the split is not prepared or is damaged.
    """
    facts = find_facts(dataset, data_dir)
    ensure_prepared(facts, data_dir, progress)
    return kind_named(facts.kind).load(facts, data_dir, split, config, fixed, progress)


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices (rest, held out): `fraction` of each class of labels (S,), at least one, is held out.

    Every class keeps at least one sample in the rest: of a class of one sample nothing is held out.
    """
    if fraction == 0:
        return np.arange(len(labels)), np.arange(0)
    rng = np.random.default_rng([seed, 0])
    held = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held.append(rng.permutation(members)[:count])
    held_out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def held_out(samples: Samples, config: TrainConfig) -> Part:
    """Return the held-out part of a training split for a run of these settings; raise SpikeError if it has none."""
    if not config.val_fraction:
        raise SpikeError(
            f"nothing was held out in training ({named('val_fraction')} 0), so there is no split val; take test"
        )
    return Part(samples, stratified_split(samples.labels, config.val_fraction, config.seed)[1])


def spread(samples: Samples, most: int) -> Part:
    """Return at most `most` samples, evenly over a split, whose samples are sorted by class."""
    return Part(samples, np.unique(np.linspace(0, len(samples.labels) - 1, most).astype(int)))


def files_for(
    facts: Facts,
    config: TrainConfig,
    files: Sequence[Path],
    timesteps: int,
    seed: int,
    reading: ReadOptions = AS_FOUND,
) -> np.ndarray:
    """Return a user's files (S, ...) as input of a network of `config`; raise SpikeError if one cannot be read.

    `facts` are those of the data set that the network was trained on.
    """
    kind = kind_named(facts.kind)
    return np.stack([kind.read_file(facts, file, config, timesteps, seed, reading) for file in files])
