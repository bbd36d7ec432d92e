"""Where files lie that come with the program: in a checkout, or in an installed wheel."""

from __future__ import annotations

import sys
from pathlib import Path

PLACES = (Path(__file__).parents[2], Path(sys.prefix) / "share" / "spikecli")


def shipped_folders(name: str) -> list[Path]:
    """Return the folders where weights of this name may lie, the first to be taken."""
    return [place / "checkpoints" / name for place in PLACES]
