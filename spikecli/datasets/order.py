"""The options of a preparation, and how its source is identified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spikecli.errors import SpikeError
from spikecli.files.gate import file_hash


@dataclass(frozen=True)
class Order:
    """What is asked of a preparation: from which folder or archive, which points of each shape, and how strictly."""

    source: Path | None = None  # None: built in, or fetched
    points: int | None = None  # of a cloud; 2,048 unless given
    sampling: Literal["uniform", "fps"] | None = None  # uniform unless given
    seed: int = 0
    force: bool = False  # even if it stands already
    offline: bool = False
    skip_bad: bool = False  # leave out files that cannot be used, instead of failing


def identify(source: Path) -> str:
    """Return a line that changes whenever the archive or the folder `source` does; SpikeError when it is not there."""
    if source.is_file():
        return f"{source.name} sha256:{file_hash(source)}"
    if not source.is_dir():
        raise SpikeError(f"found nothing at {source}; wanted a folder or an archive; check --from")
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(f"{path.relative_to(source)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return f"{source.name} listing:{digest.hexdigest()}"
