"""A look at HDF5's heaps of texts before libhdf5 reads them: of a damaged one it may read the same bytes forever."""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path

_SIGNATURE, _VERSION = b"GCOL", b"\x01\0\0\0"  # of a global heap collection, as the format's specification has it
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
        start = data.find(_SIGNATURE)
        while start >= 0:
            if data[start + 4 : start + 8] == _VERSION:
                end = start + int.from_bytes(data[start + 8 : start + _HEAD], "little")
                place = start + _HEAD
                while place + _HEAD <= min(end, size):
                    length = int.from_bytes(data[place + 8 : place + _HEAD], "little")
                    free = data[place : place + 2] == b"\0\0"  # the rest; its length has the head in it
                    step = length if free else _HEAD + -(-length // 8) * 8
                    if not 0 < step <= end - place:
                        return place
                    place += step
            start = data.find(_SIGNATURE, start + 4)
    return None
