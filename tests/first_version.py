"""Data and runs of the first version, unpacked: see test_first_version.py."""

from __future__ import annotations

import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "released" / "first_version.tar.xz"


def unpack(folder: Path) -> Path:
    """Return `folder` with data/, the runs clouds/ and frames/, a file for each, and answers.json in it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder
