"""Event recordings as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.augment_maps import EVENT_AUGMENTATIONS
from spikecli.datasets.corrupt import Corruption
from spikecli.datasets.events.damage import EVENT_CORRUPTIONS, corrupt_recording
from spikecli.datasets.events.describe import describe_events, verify_events
from spikecli.datasets.events.facts import EVENT_SETS, EventFacts
from spikecli.datasets.events.formats import DECODERS
from spikecli.datasets.events.likeness import far_notes, rates_of
from spikecli.datasets.events.prepare import prepare_events, write_own
from spikecli.datasets.events.recording import read_own
from spikecli.datasets.events.samples import EventSamples, Framing
from spikecli.datasets.events.split import load_events
from spikecli.datasets.events.store import RECORD
from spikecli.datasets.kind import Augmentation, Defaults, Kind, Samples
from spikecli.datasets.own_sample import Inspected, OwnSample
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import map_size


class Recordings(Kind[EventFacts]):
    """Events of a camera; they are sliced into frames for each number of time steps."""

    name = "events"
    unit_name = "recordings"
    record = RECORD
    facts_class = EventFacts
    view_timesteps = 10

    def built_in(self) -> Mapping[str, EventFacts]:
        """Return N-MNIST and its like, and the digits."""
        return EVENT_SETS

    def suffixes(self) -> tuple[str, ...]:
        """Return the suffixes of recordings."""
        return tuple(DECODERS)

    def prepare(
        self, facts: EventFacts, data_dir: Path, options: PrepareOptions, progress: Progress, workers: int | None = None
    ) -> dict[str, Any]:
        """Return what was prepared; raise SpikeError as `prepare_events` does."""
        return prepare_events(facts, data_dir, options, progress, workers)

    def inspect(self, path: Path, reading: ReadOptions) -> Inspected:
        """Return the number of events, the sensor and the duration; raise SpikeError as `read_own` does."""
        found = read_own(path, reading)
        t = found.events["t"]
        return Inspected(len(found), (found.width, found.height), float(t[-1] - t[0]) / 1e6, found.notes)

    def own_facts(self, facts: EventFacts, found: Sequence[Inspected], options: PrepareOptions) -> EventFacts:
        """Return the facts with the sensor: from the options, from the facts file, or the largest of the files."""
        sizes = [one.size for one in found if one.size]
        largest = (max(size[0] for size in sizes), max(size[1] for size in sizes))
        known = facts.sensor if min(facts.sensor) else largest
        return replace(facts, sensor=options.reading.sensor or known)

    def write(
        self,
        facts: EventFacts,
        place: Path,
        samples: Sequence[OwnSample],
        source: str,
        options: PrepareOptions,
        progress: Progress,
    ) -> dict[str, Any]:
        """Return the record's entry of a user's recordings; raise SpikeError as `write_own` does."""
        return write_own(facts, place, samples, source, options, progress)

    def describe(self, facts: EventFacts, data_dir: Path) -> dict[str, Any]:
        """Return facts and what is prepared; raise SpikeError if the record is damaged."""
        return describe_events(facts, data_dir)

    def as_prepared(self, facts: EventFacts, data_dir: Path) -> EventFacts:
        """Return the facts with the rates of the training recordings; raise SpikeError as `load_events` does."""
        return replace(facts, rates=rates_of(load_events(data_dir, facts.name, "train")))

    def verify(self, facts: EventFacts, data_dir: Path, progress: Progress) -> dict[str, Any]:
        """Return the checksums; raise SpikeError as `verify_events` does."""
        return verify_events(facts, data_dir, progress)

    def load(
        self, facts: EventFacts, data_dir: Path, split: str, config: TrainConfig, fixed: bool, progress: Progress
    ) -> Samples:
        """Return the recordings of a split, framed at the data set's size; raise SpikeError as `load_events` does."""
        source = load_events(data_dir, facts.name, split)
        source = replace(source, classnames=facts.classnames) if facts.own else source
        side = config.size or facts.frame_size
        size = map_size(config.model) if fixed else (side, side) if side else (source.height, source.width)
        return EventSamples(source, Framing(config.slicing, size, config.timesteps, config.resize), progress)

    def read_file(
        self,
        facts: EventFacts,
        path: Path,
        config: TrainConfig,
        timesteps: int,
        seed: int,
        reading: ReadOptions = AS_FOUND,
    ) -> np.ndarray:
        """Return the file's frames (T, 2, H, W) as a network takes them; raise SpikeError as `read_events` does."""
        found = read_own(path, reading, facts)
        if told := far_notes(found, facts, sensor=reading.sensor is not None):
            reading.on_note(path, told)
        return Framing.of_config(config).of_recording(found, timesteps)

    def defaults(self, facts: EventFacts, model: str | None = None) -> Defaults:
        """Return ResNet-20 of LIF neurons; frames are mirrored where that keeps the class.

        Frames of built-in data sets are moved around their edges, as the releases do, those of a user's own are not.
        """
        moved = "shift" if facts.own else "roll"
        return Defaults("resnet20", "events", "lif", "tdbn", f"flip-{moved}" if facts.mirrors else moved)

    def augmentations(self) -> Mapping[str, Augmentation]:
        """Return the augmentations of frames."""
        return EVENT_AUGMENTATIONS

    def corruptions(self) -> Mapping[str, Corruption]:
        """Return the kinds of damage to recordings."""
        return EVENT_CORRUPTIONS

    def damaged(self, samples: Any, corruption: str, severity: int, seed: int, timesteps: int) -> np.ndarray:
        """Return the frames (S, T, 2, H, W) of the damaged recordings."""
        source = samples.source
        recordings = (corrupt_recording(source.recording(i), corruption, severity, seed, i) for i in range(len(source)))
        return np.stack([samples.framing.of_recording(recording, timesteps) for recording in recordings])


KIND = Recordings()
