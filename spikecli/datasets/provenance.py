"""The data that a network was trained on: fingerprints of its splits, saved with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from spikecli.datasets.facts import Facts
from spikecli.datasets.sets import facts_from, find_facts, fingerprints
from spikecli.settings.config import TrainConfig


class Learned(Protocol):
    """A network with its settings and what its weights file notes; `weights.trained.Trained` is one."""

    @property
    def config(self) -> TrainConfig: ...
    @property
    def notes(self) -> Mapping[str, Any]: ...
    @property
    def path(self) -> Path: ...
    @property
    def fingerprints(self) -> dict[str, str]: ...


def facts_at_training(trained: Learned) -> Facts:
    """Return the facts, at the time of training, of the data set that a network was trained on.

    Old checkpoints do not hold them; then they are those of the built-in data set of that name. Raise
    SpikeError if there is none, or what the checkpoint holds are no facts.
    """
    noted: Any = trained.notes.get("facts")
    if noted:
        return facts_from(trained.config.dataset, noted, str(trained.path))
    return find_facts(trained.config.dataset, Path())


def changes(trained: Learned, data_dir: Path, dataset: str | None = None) -> list[str]:
    """Return a line on each split that has changed since the network was trained on it.

    Return no lines for another `dataset`, or if the weights file records no fingerprints.
    """
    before, own = trained.fingerprints, trained.config.dataset
    if dataset not in (None, own) or not before:
        return []
    now = fingerprints(data_dir, own)
    return [_line(own, split, before, now) for split in before if now.get(split) != before[split]]


def _line(dataset: str, split: str, before: dict[str, str], now: dict[str, str]) -> str:
    found = f"{now[split][:12]}…" if split in now else "gone"
    return f"{dataset} has changed since training: its {split} split was {before[split][:12]}… and is {found}"
