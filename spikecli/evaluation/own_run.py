"""The newest run that can answer a user's files: one that was trained on data of their kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikecli.datasets.sets import KINDS, find_kind, kind_of_source
from spikecli.errors import SpikeError
from spikecli.evaluation.own_files import is_sample
from spikecli.weights import checkpoint


def newest_run_for(sources: Sequence[str], data_dir: Path) -> tuple[Path, str | None] | None:
    """Return the weights of the newest run that was trained on data of the kind of `sources`, and that kind.

    The first source decides. The kind is None for a list on stdin, which any run may answer. Return None if no run
    does, or if the source is none that can be read.
    """
    runs = checkpoint.finished_runs()
    if not runs or not sources:
        return None
    kind = _kind_of(sources[0], data_dir)
    if kind is None and sources[0] != "-":
        return None
    for run in runs:
        if kind is None or _kind_at_training(run) == kind:
            return run, kind
    return None


def _kind_of(source: str, data_dir: Path) -> str | None:
    if is_sample(source):
        try:
            return find_kind(source.split(":")[0], data_dir).name
        except SpikeError:  # what is wrong is said when the sample is read
            return None
    return kind_of_source(source)


def _kind_at_training(run: Path) -> str | None:
    dataset, facts = checkpoint.trained_on(run)
    if facts.get("kind") in KINDS:
        return str(facts["kind"])
    try:
        return find_kind(dataset, Path()).name
    except SpikeError:  # a data set that this machine does not know, in a file without facts
        return None
