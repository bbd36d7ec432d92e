"""Python's garbage collector while the program loads its libraries and ends: what is loaded then is no garbage.

torch makes half a million objects. To look through them again and again while they are made, and once more at the end,
is a third of the time of a short command.
"""

from __future__ import annotations

import gc

_NEW_OBJECTS = 20_000  # more than those destroyed, before the collector looks; Python has 700
_USUAL: list[tuple[int, int, int]] = []


def look_rarely() -> None:
    """Let the collector look rarely until `look_as_usual`; a program begins with it, a library does not."""
    if not _USUAL:
        _USUAL.append(gc.get_threshold())
        gc.set_threshold(_NEW_OBJECTS)


def look_as_usual() -> None:
    """Undo `look_rarely`, if it was called; the collector never looks at what is loaded by now."""
    if _USUAL:
        gc.freeze()
        gc.set_threshold(*_USUAL.pop())
