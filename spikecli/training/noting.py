"""What a run's files say of the data that it learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.facts_file import as_values
from spikecli.datasets.sets import find_facts, find_kind, fingerprints
from spikecli.training.runs import Run


def note_data(run: Run, data_dir: Path, inputs: np.ndarray, labels: np.ndarray) -> None:
    """Let a run's files say which data they are from, their facts, and how the samples stand."""
    name = run.config.dataset
    facts, kind = find_facts(name, data_dir), find_kind(name, data_dir)
    run.data = fingerprints(data_dir, name)
    run.facts = as_values(kind.as_prepared(facts, data_dir))
    run.stance = kind.stance(inputs, labels)
