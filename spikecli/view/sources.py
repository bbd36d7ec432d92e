"""Sources of `view`: a file of points, a mesh or events, one sample of a prepared data set, or a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from spikecli.datasets.sets import KINDS, find_facts, kind_named, kind_of_file, known_names
from spikecli.errors import SpikeError
from spikecli.weights.run_folder import is_run, nearest_run

RUNS = "runs"


def timesteps_of(kind: str) -> int:
    """Return the default number of time steps to show for a kind of data, or for runs."""
    return 4 if kind == RUNS else kind_named(kind).view_timesteps


def kind_of(source: str, data_dir: Path = Path("data")) -> str:
    """Return the kind of `source`: "points", "events", "images" or "runs"; raise SpikeError if it cannot be shown."""
    if Path(source).is_dir():
        if is_run(Path(source)) or is_ablation(Path(source)):
            return RUNS
        raise SpikeError(
            f"found no training run in the folder {source}; give one that `spikecli train` or `spikecli ablate` wrote, "
            f"or name files, such as {_a_file_of(Path(source))}"
        )
    dataset = source.split(":")[0]
    names = known_names(data_dir)
    found = find_facts(dataset, data_dir).kind if dataset in names else kind_of_file(Path(source))
    if found and dataset not in names and not Path(source).is_file():
        raise SpikeError(f"found no file {source}; check the path")
    if found:
        return found
    if source.count(":") == 2 and dataset not in names:
        find_facts(dataset, data_dir)  # raises, and names the nearest
    files = "; ".join(f"{', '.join(kind_named(kind).suffixes())} of {kind}" for kind in KINDS)
    raise SpikeError(
        f"cannot tell what {source!r} is; {nearest_run(Path(source))}give a file ({files}), "
        f"DATASET:SPLIT:INDEX, such as shapes:test:0 or digits:test:0, or a run folder (data sets: {', '.join(names)})"
    )


def _a_file_of(folder: Path) -> str:
    """Return a file of the folder that can be drawn, or what its name may look like."""
    found = (path for path in sorted(folder.iterdir()) if path.is_file() and kind_of_file(path))
    return str(next(found, folder / "chair.off"))


def is_ablation(folder: Path) -> bool:
    """Return whether a folder is no run itself but holds some."""
    return folder.is_dir() and not is_run(folder) and any(is_run(path) for path in folder.iterdir())


def told_apart(names: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Return names of what lies in `sources`, each once: those that are shared give way to files' names, or paths."""
    counts, files = Counter(names), Counter(Path(source).name for source in sources)
    return [
        name if counts[name] == 1 else Path(source).name if files[Path(source).name] == 1 else source
        for name, source in zip(names, sources, strict=True)
    ]


def split_source(source: str) -> tuple[str, str, int]:
    """Return the three parts of DATASET:SPLIT:INDEX; raise SpikeError for any other form."""
    dataset, _, rest = source.partition(":")
    split, _, number = rest.partition(":")
    if not number.isdecimal():
        raise SpikeError(f"found {source!r}; wanted DATASET:SPLIT:INDEX with a number from 0, such as {dataset}:test:0")
    return dataset, split, int(number)
