"""Progress reports of long flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Callbacks of a long flow: each phase with its number of steps, if known, each step, and notes of one line."""

    on_phase: Callable[[str, int | None], None] = lambda what, total: None
    on_step: Callable[[int], None] = lambda steps: None
    on_note: Callable[[str], None] = lambda text: None
