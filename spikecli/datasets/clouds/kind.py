"""Point clouds as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.clouds.augment import AUGMENTATIONS
from spikecli.datasets.clouds.damage import CLOUD_CORRUPTIONS, corrupt_clouds
from spikecli.datasets.clouds.facts import POINT_SETS, CloudFacts
from spikecli.datasets.clouds.formats import SUFFIXES, Mesh, read_cloud, read_sample
from spikecli.datasets.clouds.normals import PLACE
from spikecli.datasets.clouds.prepare import as_prepared, describe_points, prepare_points, write_own
from spikecli.datasets.clouds.sniff import SHARED, holds_points
from spikecli.datasets.clouds.stance import built_in_stances, stance_from, stance_of
from spikecli.datasets.clouds.store import RECORD, load_points, verify_points
from spikecli.datasets.corrupt import Corruption
from spikecli.datasets.kind import Augmentation, Defaults, Kind, Samples
from spikecli.datasets.own_sample import Inspected, OwnSample
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import named
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import point_inputs


class Clouds(Kind[CloudFacts]):
    """Points in space; the input is the same at every time step."""

    name = "points"
    unit_name = "clouds"
    record = RECORD
    facts_class = CloudFacts

    def built_in(self) -> Mapping[str, CloudFacts]:
        """Return ModelNet and the shapes."""
        return POINT_SETS

    def suffixes(self) -> tuple[str, ...]:
        """Return the suffixes of clouds and meshes."""
        return SUFFIXES

    def claims(self, path: Path) -> bool:
        """Return whether a file holds points; recordings come with some of the suffixes too."""
        suffix = path.suffix.lower()
        return suffix in SUFFIXES and (suffix not in SHARED or holds_points(path))

    def prepare(
        self, facts: CloudFacts, data_dir: Path, options: PrepareOptions, progress: Progress, workers: int | None = None
    ) -> dict[str, Any]:
        """Return what was prepared; raise SpikeError as `prepare_points` does."""
        return prepare_points(facts, data_dir, options, progress, workers)

    def inspect(self, path: Path, reading: ReadOptions) -> Inspected:
        """Return the number of points, or of a mesh's faces; raise SpikeError as `read_cloud` does."""
        shape = read_cloud(path, reading)
        return Inspected(len(shape.faces if isinstance(shape, Mesh) else shape.points), notes=shape.notes)

    def own_facts(self, facts: CloudFacts, found: Sequence[Inspected], options: PrepareOptions) -> CloudFacts:
        """Return the facts with the axis that points up."""
        return replace(facts, up=options.reading.up or facts.up)

    def write(
        self,
        facts: CloudFacts,
        place: Path,
        samples: Sequence[OwnSample],
        source: str,
        options: PrepareOptions,
        progress: Progress,
    ) -> dict[str, Any]:
        """Return the record's entry of a user's clouds; raise SpikeError as `write_own` does."""
        return write_own(facts, place, samples, source, options, progress)

    def describe(self, facts: CloudFacts, data_dir: Path) -> dict[str, Any]:
        """Return facts and what is prepared; raise SpikeError if the record is damaged."""
        return describe_points(facts, data_dir)

    def as_prepared(self, facts: CloudFacts, data_dir: Path) -> CloudFacts:
        """Return the facts with the axis that points up in the files; raise SpikeError if the record is damaged."""
        return as_prepared(facts, data_dir)

    def verify(self, facts: CloudFacts, data_dir: Path, progress: Progress) -> dict[str, Any]:
        """Return the checksums; raise SpikeError as `verify_points` does."""
        return verify_points(facts, data_dir, progress)

    def load(
        self, facts: CloudFacts, data_dir: Path, split: str, config: TrainConfig, fixed: bool, progress: Progress
    ) -> Samples:
        """Return the clouds of a split, `config.points` of each, or all where training draws among them.

        With `fixed` they have normals if the network reads them, else if they are prepared with them. Raise SpikeError
        as `load_points` does.
        """
        whole = config.resample and not fixed
        inputs = point_inputs(config.model) if fixed else None
        found = load_points(data_dir, facts.name, split, None if whole else config.points, inputs)
        return replace(found, classnames=facts.classnames) if facts.own else found

    def read_file(
        self,
        facts: CloudFacts,
        path: Path,
        config: TrainConfig,
        timesteps: int,
        seed: int,
        reading: ReadOptions = AS_FOUND,
    ) -> np.ndarray:
        """Return the file's points (N, 3 or 6) as a network takes them, z up; raise SpikeError as `read_sample` does.

        The axis that points up in the file is that of the network's data set, unless the user says another. Normals
        are taken if the network reads them: those of a mesh's faces, or those in the file.
        """
        options, normals = replace(reading, up=reading.up or facts.up), point_inputs(config.model) > PLACE
        sample = read_sample(path, config.points, seed=seed, options=options, normals=normals)
        turned = reading.up is None and facts.up != "z"
        notes = (f"read with {facts.up} up, as the files of {facts.name}; {named('up')} overrules",) if turned else ()
        if notes or sample.notes:
            reading.on_note(path, (*notes, *sample.notes))
        return sample.points

    def stance(self, inputs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Return the proportions of the clouds (S, N, 3 or 6) of each class; empty if they are too few."""
        found = stance_of(inputs[..., :PLACE], labels)
        return {} if found is None else found.as_values()

    def doubt(self, facts: CloudFacts, stance: Any, found: np.ndarray) -> str | None:
        """Return a note if a cloud (N, 3 or 6) lies another way than the training data; None if these are unknown."""
        values = stance or built_in_stances().get(facts.name)
        return stance_from(values, "the checkpoint").doubt(found[..., :PLACE], facts.up == "z") if values else None

    def defaults(self, facts: CloudFacts, model: str | None = None) -> Defaults:
        """Return PointNet with the neuron of its paper, or DeLA with ternary neurons if `model` is dela."""
        if model == "dela":
            return Defaults("dela", "dela", "ternary", "plain")
        return Defaults("pointnet", "short", "spiking-pointnet", "plain")

    def augmentations(self) -> Mapping[str, Augmentation]:
        """Return the augmentations of clouds."""
        return AUGMENTATIONS

    def corruptions(self) -> Mapping[str, Corruption]:
        """Return the kinds of damage to clouds."""
        return CLOUD_CORRUPTIONS

    def damaged(self, samples: Any, corruption: str, severity: int, seed: int, timesteps: int) -> np.ndarray:
        """Return the damaged clouds (S, n, 3 or 6)."""
        return corrupt_clouds(samples.inputs(timesteps), corruption, severity, seed)


KIND = Clouds()
