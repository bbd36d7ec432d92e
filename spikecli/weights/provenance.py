"""Which data a network has learned from: the fingerprints of its splits, kept with the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikecli.datasets import splits_record
from spikecli.datasets.clouds import record
from spikecli.datasets.sets import kind_of
from spikecli.weights.trained import Trained


def fingerprints(data_dir: Path, dataset: str) -> dict[str, str]:
    """Return the sha256 of the content of each split of `dataset` as prepared now; SpikeError when it is not."""
    return _OF_KIND[kind_of(dataset)](data_dir, dataset)


def changes(trained: Trained, data_dir: Path, dataset: str | None = None) -> list[str]:
    """Return a line on each split that is not what it was when the network was trained on it.

    There is none if `dataset` is another one than it was trained on, or if its file says nothing of its data.
    """
    before, own = trained.fingerprints, trained.config.dataset
    if dataset not in (None, own) or not before:
        return []
    now = fingerprints(data_dir, own)
    return [_line(own, split, before, now) for split in before if now.get(split) != before[split]]


def _line(dataset: str, split: str, before: dict[str, str], now: dict[str, str]) -> str:
    found = f"{now[split][:12]}…" if split in now else "gone"
    return f"{dataset} has changed since training: its {split} split was {before[split][:12]}… and is {found}"


def _of_points(data_dir: Path, dataset: str) -> dict[str, str]:
    _, entry = record.current(data_dir, dataset)
    return {split: part["fingerprint"] for split, part in sorted(entry["splits"].items())}


def _of_others(data_dir: Path, dataset: str) -> dict[str, str]:
    _, entry = splits_record.current_entry(data_dir, dataset, kind_of(dataset))
    return {split: part["sha256"] for split, part in sorted(entry["splits"].items())}


_OF_KIND: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "points": _of_points,
    "events": _of_others,
    "images": _of_others,
}
