"""The input files of a command: names, folders, patterns, samples of data sets, or a list on stdin."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikecli.errors import SpikeError


def expand(given: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """Return the input files that the arguments `given` name, each once, in order.

    A folder stands for its files with one of `suffixes`, at any depth, without hidden ones; a pattern with * for what
    it matches; - for the lines of stdin. Raise SpikeError for a folder, a pattern or a list without files.
    """
    found: list[str] = []
    for one in given:
        if one == "-":
            lines = [line.strip() for line in sys.stdin if line.strip()]
            if not lines:
                raise SpikeError("found no file in the list on stdin; wanted the name of one in each line")
            found += lines
        else:
            found += _chosen(one, suffixes)
    return list(dict.fromkeys(found))


def files_named(source: str) -> Iterator[Path]:
    """Yield, in order, the files that a folder holds at any depth, without hidden ones, or that a pattern matches.

    Any other source is yielded itself, whether there is such a file or not.
    """
    path = Path(source)
    if path.is_dir():
        for one in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") or part == "__MACOSX" for part in one.relative_to(path).parts)
            if not hidden and one.is_file():
                yield one
    elif _is_pattern(source):
        for name in sorted(glob.glob(source, recursive=True)):  # noqa: PTH207 (a path's glob takes no absolute pattern)
            if Path(name).is_file():
                yield Path(name)
    else:
        yield path


def _is_pattern(source: str) -> bool:
    return glob.has_magic(source) and not Path(source).exists()


def _chosen(source: str, suffixes: Sequence[str]) -> list[str]:
    """Return the input files of a folder, a pattern or a file; raise SpikeError for a folder or pattern without any."""
    folder = Path(source).is_dir()
    if not folder and not _is_pattern(source):
        return [source]
    found = [str(path) for path in files_named(source) if not folder or path.suffix.lower() in suffixes]
    if not found and folder:
        wanted = f"wanted {', '.join(suffixes)}, or a run folder"
        raise SpikeError(f"found no file to name in the folder {Path(source)}; {wanted}")
    if not found:
        raise SpikeError(f"found no file that matches {source!r}; check the pattern")
    return found


def missing(sources: Sequence[str]) -> list[str]:
    """Return the `sources` that are neither files nor samples of data sets (DATASET:SPLIT:INDEX)."""
    return [one for one in sources if one.count(":") != 2 and not Path(one).is_file()]
