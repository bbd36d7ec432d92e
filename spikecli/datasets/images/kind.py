"""Images as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.augment_maps import IMAGE_AUGMENTATIONS
from spikecli.datasets.corrupt import Corruption
from spikecli.datasets.facts_file import FILE
from spikecli.datasets.images.damage import IMAGE_CORRUPTIONS, corrupt_images
from spikecli.datasets.images.facts import IMAGE_SETS, ImageFacts
from spikecli.datasets.images.picture import picture_size, read_picture
from spikecli.datasets.images.prepare import (
    RECORD,
    describe_images,
    load_images,
    prepare_images,
    verify_images,
    write_own,
)
from spikecli.datasets.kind import Augmentation, Defaults, Kind, Samples
from spikecli.datasets.own_sample import Inspected, OwnSample
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import map_size

_NEARLY = 1.25  # width by height, against the wanted: squeezed more than that a thing looks like another


class Pictures(Kind[ImageFacts]):
    """Color images; the input is the same at every time step."""

    name = "images"
    unit_name = "images"
    record = RECORD
    facts_class = ImageFacts

    def built_in(self) -> Mapping[str, ImageFacts]:
        """Return CIFAR."""
        return IMAGE_SETS

    def suffixes(self) -> tuple[str, ...]:
        """Return the suffixes of pictures."""
        return (".png", ".jpg", ".jpeg", ".bmp", ".webp")

    def prepare(
        self, facts: ImageFacts, data_dir: Path, options: PrepareOptions, progress: Progress, workers: int | None = None
    ) -> dict[str, Any]:
        """Return what was prepared; raise SpikeError as `prepare_images` does."""
        return prepare_images(facts, data_dir, options, progress, workers)

    def inspect(self, path: Path, reading: ReadOptions) -> Inspected:
        """Return the number of pixels and the size (width, height); raise SpikeError as `picture_size` does."""
        width, height = picture_size(path)
        return Inspected(width * height, (width, height))

    def own_facts(self, facts: ImageFacts, found: Sequence[Inspected], options: PrepareOptions) -> ImageFacts:
        """Return the facts unchanged: pictures are scaled to their size."""
        return facts

    def notes_on(self, facts: ImageFacts, found: Sequence[Inspected]) -> list[str]:
        """Return a note if pictures of clearly another shape than the data set's are to be squeezed."""
        tall, wide = facts.size
        sizes = [one.size for one in found if one.size]
        other = [(x, y) for x, y in sizes if max(x * tall / (y * wide), y * wide / (x * tall)) > _NEARLY]
        if facts.fit != "squeeze" or not other:
            return []
        width, height = other[0]
        return [
            f"{len(other)} of {len(sizes)} pictures are squeezed to {wide} x {tall}, the first of them from {width} x "
            f'{height}; to keep their shapes, crop them, or write fit = "crop" in {FILE} and prepare again: then their '
            "middles are taken"
        ]

    def write(
        self,
        facts: ImageFacts,
        place: Path,
        samples: Sequence[OwnSample],
        source: str,
        options: PrepareOptions,
        progress: Progress,
    ) -> dict[str, Any]:
        """Return the record's entry of a user's pictures; raise SpikeError as `write_own` does."""
        return write_own(facts, place, samples, source, progress)

    def describe(self, facts: ImageFacts, data_dir: Path) -> dict[str, Any]:
        """Return facts and what is prepared; raise SpikeError if the record is damaged."""
        return describe_images(facts, data_dir)

    def verify(self, facts: ImageFacts, data_dir: Path, progress: Progress) -> dict[str, Any]:
        """Return the checksums; raise SpikeError as `verify_images` does."""
        return verify_images(facts, data_dir, progress)

    def load(
        self, facts: ImageFacts, data_dir: Path, split: str, config: TrainConfig, fixed: bool, progress: Progress
    ) -> Samples:
        """Return the images of a split; raise SpikeError as `load_images` does."""
        found = load_images(data_dir, facts.name, split)
        return replace(found, classnames=facts.classnames) if facts.own else found

    def read_file(
        self,
        facts: ImageFacts,
        path: Path,
        config: TrainConfig,
        timesteps: int,
        seed: int,
        reading: ReadOptions = AS_FOUND,
    ) -> np.ndarray:
        """Return the picture (3, H, W) at the network's size; raise SpikeError as `read_picture` does."""
        return read_picture(path, map_size(config.model), facts.fit)

    def defaults(self, facts: ImageFacts, model: str | None = None) -> Defaults:
        """Return ResNet-20 of LIF neurons; a user's own pictures get a recipe for a few hundred of them."""
        if not facts.own:
            return Defaults("resnet20", "cifar", "lif", "tdbn")
        return Defaults("resnet20", "pictures", "lif", "tdbn", "flip-crop" if facts.mirrors else "crop")

    def augmentations(self) -> Mapping[str, Augmentation]:
        """Return the augmentations of images."""
        return IMAGE_AUGMENTATIONS

    def corruptions(self) -> Mapping[str, Corruption]:
        """Return the kinds of damage to pictures."""
        return IMAGE_CORRUPTIONS

    def damaged(self, samples: Any, corruption: str, severity: int, seed: int, timesteps: int) -> np.ndarray:
        """Return the damaged pictures (S, 3, H, W)."""
        return corrupt_images(samples.inputs(timesteps), corruption, severity, seed)


KIND = Pictures()
