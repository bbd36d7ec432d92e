"""What networks learn from: points, images or event frames, loaded and handed on alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from spikecli.datasets.clouds.formats import read_sample
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.own_files import read_own
from spikecli.datasets.events.samples import EventSamples, Framing
from spikecli.datasets.events.split import load_events
from spikecli.datasets.images.prepare import load_images, read_picture
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.sets import kind_of
from spikecli.errors import SpikeError
from spikecli.progress import Watch
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import map_size


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
    def static(self) -> bool: ...  # whether each time step shows the same

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return what a network is shown in so many steps, samples first, of those at the `chosen` indices or all."""


@dataclass(frozen=True)
class Part:
    """Some samples of a split, by their places in it."""

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
    def static(self) -> bool:
        return self.whole.static

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return what a network is shown of these samples in so many steps, or of those `chosen` among them."""
        return self.whole.inputs(timesteps, self.places if chosen is None else self.places[chosen])


def load_samples(
    data_dir: Path, dataset: str, split: str, config: TrainConfig, fixed: bool = False, watch: Watch = Watch()
) -> Samples:
    """Return a prepared split for a network of `config`; with `fixed`, at the size the network was built for.

    SpikeError when the data set or the split is not prepared or is damaged.
    """
    return _LOADERS[kind_of(dataset)](data_dir, dataset, split, config, fixed, watch)


def _points(data_dir: Path, dataset: str, split: str, config: TrainConfig, fixed: bool, watch: Watch) -> Samples:
    return load_points(data_dir, dataset, split, config.points)


def _images(data_dir: Path, dataset: str, split: str, config: TrainConfig, fixed: bool, watch: Watch) -> Samples:
    return load_images(data_dir, dataset, split)


def _events(data_dir: Path, dataset: str, split: str, config: TrainConfig, fixed: bool, watch: Watch) -> Samples:
    source = load_events(data_dir, dataset, split)
    side = config.size or EVENT_SETS[dataset].frame_size
    size = map_size(config.model) if fixed else (side, side) if side else (source.height, source.width)

    return EventSamples(source, Framing(config.slicing, size, config.timesteps), watch)


_LOADERS: dict[str, Callable[[Path, str, str, TrainConfig, bool, Watch], Samples]] = {
    "points": _points,
    "images": _images,
    "events": _events,
}


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices (rest, held out): `fraction` of each class of labels (S,), at least one, is held out."""
    if fraction == 0:
        return np.arange(len(labels)), np.arange(0)
    rng = np.random.default_rng([seed, 0])
    held = [
        rng.permutation(np.flatnonzero(labels == label))[: max(1, round(fraction * int((labels == label).sum())))]
        for label in np.unique(labels)
    ]
    held_out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def held_out(samples: Samples, config: TrainConfig) -> Part:
    """Return the part of a training split that a run of these settings was validated on; SpikeError without one."""
    if not config.val_fraction:
        raise SpikeError("nothing was held out in training (--val-fraction 0), so there is no split val; take test")
    return Part(samples, stratified_split(samples.labels, config.val_fraction, config.seed)[1])


def files_for(
    config: TrainConfig, files: Sequence[Path], timesteps: int, seed: int, reading: ReadOptions = AS_FOUND
) -> np.ndarray:
    """Return one's own files (S, ...) as a network of `config` is shown them; SpikeError when one cannot be read."""
    return np.stack([_READERS[kind_of(config.dataset)](file, config, timesteps, seed, reading) for file in files])


def _cloud(file: Path, config: TrainConfig, timesteps: int, seed: int, reading: ReadOptions) -> np.ndarray:
    sample = read_sample(file, config.points, seed=seed, options=reading)
    if sample.notes:
        reading.on_note(file, sample.notes)
    return sample.points


def _recording(file: Path, config: TrainConfig, timesteps: int, seed: int, reading: ReadOptions) -> np.ndarray:
    framing = Framing(config.slicing, map_size(config.model), config.timesteps)
    return framing.of_recording(read_own(file, reading, EVENT_SETS.get(config.dataset)), timesteps)


def _picture(file: Path, config: TrainConfig, timesteps: int, seed: int, reading: ReadOptions) -> np.ndarray:
    return read_picture(file, map_size(config.model))


_READERS: dict[str, Callable[[Path, TrainConfig, int, int, ReadOptions], np.ndarray]] = {
    "points": _cloud,
    "events": _recording,
    "images": _picture,
}
