"""Progress reports of long flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Watch:
    """Callbacks for the progress of a preparation: each phase with its number of steps, if known, then each step."""

    on_phase: Callable[[str, int | None], None] = lambda what, total: None
    on_step: Callable[[int], None] = lambda steps: None
