"""When the program began: a limit of time counts what loads before a command begins, torch above all."""

from __future__ import annotations

from time import monotonic

_BEGUN: list[float] = []


def start() -> None:
    """Note the time, once, as that at which the process began."""
    if not _BEGUN:
        _BEGUN.append(monotonic())


def begun() -> float:
    """Return the time, by the monotonic clock, at which the program began; now if it is used as a library."""
    return _BEGUN[0] if _BEGUN else monotonic()
