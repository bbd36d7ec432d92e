"""The program as it is shipped: its version, and where its files lie, in a checkout or an installed wheel."""

from __future__ import annotations

import sys
from pathlib import Path

VERSION = "0.1.0"
PLACES = (Path(__file__).parents[2], Path(sys.prefix) / "share" / "spikecli")


def shipped_folders(name: str) -> list[Path]:
    """Return the folders where weights of this name may lie, the first to be taken."""
    return [place / "checkpoints" / name for place in PLACES]
