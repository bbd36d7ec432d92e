"""Class names that `mini` has learned: of others its answers mean nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spikecli.errors import SpikeError
from spikecli.neuroclip.mini_lessons import NAMES

_SHOWN = 3  # names in a message


def never_learned(clip: str | None, weights: str | None, classnames: Sequence[str]) -> list[str]:
    """Return the class names that the CLIP called `clip` is known not to have learned: those of no digit, for `mini`.

    Of other models, and of weights that a user names, nothing is known.
    """
    if clip not in (None, "mini") or weights is not None:
        return []
    known = {*NAMES, *map(str, range(10))}
    return [name for name in classnames if not known & set(re.findall(r"[a-z]+|[0-9]+", name.casefold()))]


def said_of(names: Sequence[str]) -> str:
    """Return a sentence on class names that `mini` never learned."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"mini has learned the digits zero to nine alone, and never saw {', '.join(names[:_SHOWN])}{more}"


def demand_learned(clip: str | None, weights: str | None, classnames: Sequence[str]) -> None:
    """Raise SpikeError if `mini` would answer about class names that it never learned."""
    if names := never_learned(clip, weights, classnames):
        raise SpikeError(
            f"{said_of(names)}: its answer would mean nothing; take a CLIP that knows them, such as RN50 with the "
            "weights openai, or fit an adapter to some recordings of each"
        )
