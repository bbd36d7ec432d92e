"""Open the run that is named, or the newest, which is then said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained


def opened(console: Console, checkpoint: Path | None, device: str) -> Trained:
    """Return the network of a run folder or weights file, or of the newest run for None."""
    from spikecli.weights.trained import Trained

    trained = Trained.open(checkpoint, device)
    if checkpoint is None:
        console.note(f"the newest run: {trained.path.parent}")
    return trained
