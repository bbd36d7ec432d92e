"""The kinds of data: clouds, recordings or images. Each kind is one object with all that depends on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from spikecli.datasets.corrupt import Corruption
from spikecli.datasets.facts import Facts
from spikecli.datasets.facts_file import prepare_again
from spikecli.datasets.own_sample import Inspected, OwnSample
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.record import RecordOf, current_entry, read_record
from spikecli.errors import SpikeError
from spikecli.files.hdf5 import check_labels, stored
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Samples(Protocol):
    """A split in memory."""

    @property
    def labels(self) -> np.ndarray: ...  # int64 (S,), places in classnames
    @property
    def classnames(self) -> tuple[str, ...]: ...
    @property
    def dataset(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def unit_name(self) -> str: ...  # clouds, recordings or images
    @property
    def kind(self) -> str: ...  # points, events or images
    @property
    def static(self) -> bool: ...  # whether each time step shows the same

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return the network input for `timesteps` steps, samples first, of all samples or those at `chosen`."""


@dataclass(frozen=True)
class Defaults:
    """The default network, recipe and neuron of a run on a data set."""

    model: str
    recipe: str
    paper: str
    batch_norm: str  # of a spiking network; the ANN's is plain
    augment: str | None = None  # None: the recipe's


F = TypeVar("F", bound=Facts)


class Kind(ABC, Generic[F]):
    """One kind of data. Its names are those of settings, options and JSON documents."""

    name: ClassVar[str]  # points, events or images
    unit_name: ClassVar[str]  # clouds, recordings or images
    record: ClassVar[RecordOf]
    facts_class: ClassVar[type[Facts]]
    view_timesteps: ClassVar[int] = 4  # that `view` shows by default

    @abstractmethod
    def built_in(self) -> Mapping[str, F]:
        """Return the facts of the data sets that come with the program, by name."""

    @abstractmethod
    def suffixes(self) -> tuple[str, ...]:
        """Return the suffixes, in lower case, of readable files."""

    def claims(self, path: Path) -> bool:
        """Return whether a file seems to be of this kind: by its suffix and, for a shared suffix, by its values."""
        return path.suffix.lower() in self.suffixes()

    @abstractmethod
    def prepare(
        self, facts: F, data_dir: Path, options: PrepareOptions, progress: Progress, workers: int | None = None
    ) -> dict[str, Any]:
        """Prepare a data set; return its record with `samples` a split and `reused`. Raise SpikeError if that fails."""

    @abstractmethod
    def inspect(self, path: Path, reading: ReadOptions) -> Inspected:
        """Return the contents of a file in numbers; raise SpikeError if it cannot be read."""

    @abstractmethod
    def own_facts(self, facts: F, found: Sequence[Inspected], options: PrepareOptions) -> F:
        """Return the user's `facts`, completed from the files and options for this kind."""

    def notes_on(self, facts: F, found: Sequence[Inspected]) -> list[str]:
        """Return notes on what preparing does to a user's files; none by default."""
        return []

    @abstractmethod
    def write(
        self,
        facts: F,
        place: Path,
        samples: Sequence[OwnSample],
        source: str,
        options: PrepareOptions,
        progress: Progress,
    ) -> dict[str, Any]:
        """Return the record's entry after writing a user's samples, each of a split; raise SpikeError for a bad one."""

    @abstractmethod
    def describe(self, facts: F, data_dir: Path) -> dict[str, Any]:
        """Return the facts of a data set and its prepared data; raise SpikeError if its record is damaged."""

    def as_prepared(self, facts: F, data_dir: Path) -> F:
        """Return the facts with what was said when the data set was prepared; raise SpikeError for a damaged record."""
        return facts

    @abstractmethod
    def verify(self, facts: F, data_dir: Path, progress: Progress) -> dict[str, Any]:
        """Verify the prepared data and return its checksums; raise SpikeError if one differs."""

    def is_prepared(self, name: str, data_dir: Path) -> bool:
        """Return whether a data set has prepared data; raise SpikeError if its record is damaged."""
        return read_record(data_dir / name, self.record) is not None

    def counts(self, facts: F, data_dir: Path) -> dict[str, dict[str, int]]:
        """Return the number of samples of each class in each prepared split; missing splits are left out."""
        if not self.is_prepared(facts.name, data_dir):
            return {}
        place, entry = current_entry(data_dir, facts.name, self.record)
        found: dict[str, dict[str, int]] = {name: {} for name in facts.classnames}
        for split, part in entry["splits"].items():
            if (path := place / part["file"]).is_file():
                with stored(path, prepare_again(path)) as file:
                    labels = check_labels(path, file.array("labels", "i"), len(facts.classnames))
                for name, count in zip(facts.classnames, np.bincount(labels, minlength=len(found)), strict=True):
                    found[name][split] = int(count)
        return found

    def fingerprints(self, name: str, data_dir: Path) -> dict[str, str]:
        """Return the sha256 of each split prepared last; raise SpikeError if the data set is not prepared."""
        _, entry = current_entry(data_dir, name, self.record)
        return {split: part["fingerprint"] for split, part in sorted(entry["splits"].items())}

    @abstractmethod
    def load(
        self, facts: F, data_dir: Path, split: str, config: TrainConfig, fixed: bool, progress: Progress
    ) -> Samples:
        """Return a prepared split for a network of `config`; with `fixed`, at the size the network was built for.

        Raise SpikeError if the split is not prepared or is damaged.
        """

    def stance(self, inputs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Return how training samples (S, ...) of `labels` (S,) stand, for the checkpoint; empty by default."""
        return {}

    def doubt(self, facts: F, stance: Any, found: np.ndarray) -> str | None:
        """Return a note if one file's input is far from the training data's `stance`; None by default."""
        return None

    @abstractmethod
    def read_file(
        self, facts: F, path: Path, config: TrainConfig, timesteps: int, seed: int, reading: ReadOptions = AS_FOUND
    ) -> np.ndarray:
        """Return a user's file as input of a network of `config`, trained on the data set of `facts`.

        Raise SpikeError if it cannot be read.
        """

    @abstractmethod
    def defaults(self, facts: F, model: str | None = None) -> Defaults:
        """Return the default network, recipe and neuron for a data set, or those for the network `model`."""

    @abstractmethod
    def augmentations(self) -> Mapping[str, Augmentation]:
        """Return the augmentations of batches by their names in `--augment`."""

    def corruptions(self) -> Mapping[str, Corruption]:
        """Return the kinds of damage by their names in `--corrupt`; empty by default."""
        return {}

    def damaged(self, samples: Any, corruption: str, severity: int, seed: int, timesteps: int) -> np.ndarray:
        """Return damaged samples as input for `timesteps` steps; raise SpikeError if this kind has no damage."""
        raise SpikeError(f"{self.unit_name} cannot be damaged here; wanted clouds or recordings")
