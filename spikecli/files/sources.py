"""The input files of a command: names, folders, patterns, samples of data sets, or a list on stdin."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
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
        elif Path(one).is_dir():
            found += _in_folder(Path(one), suffixes)
        elif glob.has_magic(one) and not Path(one).exists():
            names = sorted(name for name in glob.glob(one, recursive=True) if Path(name).is_file())  # noqa: PTH207
            if not names:
                raise SpikeError(f"found no file that matches {one!r}; check the pattern")
            found += names
        else:
            found.append(one)
    return list(dict.fromkeys(found))


def _in_folder(folder: Path, suffixes: Sequence[str]) -> list[str]:
    files = [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise SpikeError(f"found no file to name in the folder {folder}; wanted {', '.join(suffixes)}, or a run folder")
    return files


def missing(sources: Sequence[str]) -> list[str]:
    """Return the `sources` that are neither files nor samples of data sets (DATASET:SPLIT:INDEX)."""
    return [one for one in sources if one.count(":") != 2 and not Path(one).is_file()]
