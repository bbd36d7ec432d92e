"""A look at HDF5's heaps of texts before libhdf5 reads them: of a damaged one it may read the same bytes forever."""

from __future__ import annotations

import mmap
import re
from functools import lru_cache
from pathlib import Path

_BEGIN = re.compile(rb"GCOL\x01\0\0\0")  # a global heap collection of version 1, as the format's specification has it
_HEAD = 16  # bytes before the objects, and before the data of each


def check_heaps(path: Path) -> None:
    """Raise ValueError if a collection of texts or lists has an object that does not end within it."""
    about = path.stat()
    bad = _first_bad(path, about.st_mtime_ns, about.st_size)
    if bad is not None:
        raise ValueError(f"a heap of texts whose object at byte {bad} does not end")


@lru_cache(maxsize=64)
def _first_bad(path: Path, changed: int, size: int) -> int | None:
    """Return where the first such object is; the time of change and the size say whether the file is the same."""
    if not size:
        return None
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [found.start() for found in _BEGIN.finditer(data)]
        return next((bad for start in starts if (bad := _bad_object(data, start)) is not None), None)


def _bad_object(data: mmap.mmap, start: int) -> int | None:
    """Return where the first such object of the collection at `start` is."""
    end = start + _number(data, start + 8)
    place = start + _HEAD
    while place + _HEAD <= min(end, len(data)):
        length = _number(data, place + 8)
        free = data[place : place + 2] == b"\0\0"  # the rest; its length has the head in it
        step = length if free else _HEAD + -(-length // 8) * 8
        if not 0 < step <= end - place:
            return place
        place += step
    return None


def _number(data: mmap.mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")
