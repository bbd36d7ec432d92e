"""What `view` is asked to look at: a file of points, a mesh or events, or one sample of a prepared data set."""

from __future__ import annotations

from pathlib import Path

from spikecli.datasets.clouds.facts import POINT_SETS
from spikecli.datasets.clouds.formats import SUFFIXES
from spikecli.datasets.clouds.sniff import holds_points
from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.formats import DECODERS
from spikecli.errors import SpikeError
from spikecli.weights.run_folder import is_run


def kind_of(source: str) -> str:
    """Return which kind of thing `source` names: "points", "events" or "runs". SpikeError when it cannot be shown."""
    if Path(source).is_dir():
        if is_run(Path(source)):
            return "runs"
        raise SpikeError(f"found no training run in the folder {source}; give one that `spikecli train` wrote")
    suffix, dataset = Path(source).suffix.lower(), source.split(":")[0]
    if dataset in POINT_SETS:
        return "points"
    if dataset in EVENT_SETS:
        return "events"
    if suffix in SUFFIXES and suffix in DECODERS:
        return "points" if holds_points(Path(source)) else "events"
    if suffix in SUFFIXES:
        return "points"
    if suffix in DECODERS:
        return "events"
    raise SpikeError(
        f"cannot tell what {source!r} is; give a file ({', '.join(SUFFIXES)} of points, {', '.join(DECODERS)} of "
        "events), DATASET:SPLIT:INDEX, such as shapes:test:0 or digits:test:0, or a run folder "
        f"(data sets: {', '.join([*POINT_SETS, *EVENT_SETS])})"
    )


def split_source(source: str) -> tuple[str, str, int]:
    """Return the three parts of DATASET:SPLIT:INDEX; SpikeError when it is not of that form."""
    dataset, _, rest = source.partition(":")
    split, _, number = rest.partition(":")
    if not number.isdecimal():
        raise SpikeError(f"found {source!r}; wanted DATASET:SPLIT:INDEX with a number from 0, such as {dataset}:test:0")
    return dataset, split, int(number)
