"""Pictures for `view`, of files or of prepared data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.images.picture import read_picture
from spikecli.datasets.images.prepare import load_images
from spikecli.datasets.sets import ensure_prepared, find_facts, known_names
from spikecli.errors import SpikeError
from spikecli.progress import Progress
from spikecli.view.sources import split_source, told_apart


@dataclass(frozen=True)
class NamedImage:
    """A picture (H, W, 3) uint8 with its name; `label` is its class where that is known."""

    name: str
    pixels: np.ndarray
    label: str = ""

    @property
    def title(self) -> str:
        """The class, or the name."""
        return self.label or self.name

    @property
    def facts(self) -> str:
        """Return name and size in one line."""
        height, width, _ = self.pixels.shape
        return " · ".join([*([self.name] if self.label else []), f"{width} × {height} pixels"])


def read_images(sources: Sequence[str], data_dir: Path, progress: Progress = Progress()) -> list[NamedImage]:
    """Return the pictures that `sources`, files or DATASET:SPLIT:INDEX, name, no two of one name.

    Raise SpikeError if one cannot be read.
    """
    found = [_read(source, data_dir, progress) for source in sources]
    names = told_apart([image.name for image in found], sources)
    return [replace(image, name=name) for image, name in zip(found, names, strict=True)]


def _read(source: str, data_dir: Path, progress: Progress) -> NamedImage:
    if source.split(":")[0] not in known_names(data_dir):
        return NamedImage(Path(source).stem, np.moveaxis(read_picture(Path(source), None), 0, -1))
    dataset, split, index = split_source(source)
    facts = find_facts(dataset, data_dir)
    ensure_prepared(facts, data_dir, progress)
    images = load_images(data_dir, dataset, split)
    if index >= len(images.labels):
        raise SpikeError(f"{dataset}:{split} has images 0 to {len(images.labels) - 1}, not {index}; give one of those")
    return NamedImage(source, np.moveaxis(images.images[index], 0, -1), facts.classnames[int(images.labels[index])])


def record_of(image: NamedImage) -> dict[str, Any]:
    """Return the record of a picture for `view --json`."""
    height, width, _ = image.pixels.shape
    return {"name": image.name, "label": image.label or None, "width": width, "height": height}
