"""The options of a preparation, the same for every kind of data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError, named

SplitOrder = Literal["number", "text"]


@dataclass(frozen=True)
class PrepareOptions:
    """Options of a preparation: the source, the points drawn from each shape, and the strictness."""

    source: Path | None = None  # None: built in, or fetched
    points: int | None = None  # of a cloud; 2,048 unless given
    sampling: Literal["uniform", "fps"] | None = None  # uniform unless given
    normals: bool | None = None  # keep a normal with each point: of the mesh, or in the file
    seed: int = 0
    force: bool = False  # even if it stands already
    offline: bool = False
    skip_bad: bool = False  # leave out files that cannot be used, instead of failing
    kind: str | None = None  # of a user's own data: points, events or images; None: by the files
    test_fraction: float = 0.2  # of each class, where the files say no split
    group: str | None = None  # pattern of a file's path: samples with the same match stay in one split
    class_pattern: str | None = None  # of a file's name
    dry_run: bool = False  # show what was found, write nothing
    split_order: SplitOrder | None = None  # of file names, where no official split is; None: number
    wait: bool = False  # for another process that prepares the same data set
    reading: ReadOptions = AS_FOUND


def refuse_split_order(name: str, options: PrepareOptions) -> None:
    """Raise SpikeError if an order of the split is given for a data set `name` whose split does not follow names."""
    if options.split_order is not None:
        raise SpikeError(f"found {named('split_order')}, but the split of {name} does not follow file names; remove it")


def refuse_point_options(name: str, kind: str, options: PrepareOptions) -> None:
    """Raise SpikeError if options of clouds are given for a data set `name` of another `kind`."""
    found = {"points": options.points, "sampling": options.sampling, "up": options.reading.up}
    found["normals"] = options.normals or None
    for option, value in found.items():
        if value is not None:
            raise SpikeError(f"found {named(option)}, which is for data sets of points; {name} holds {kind}; remove it")
