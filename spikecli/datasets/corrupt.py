"""Seeded damage to clouds and to recordings, each kind in five severities.

The kinds for clouds are those of ModelNet-C (2202.03377); the levels are our own, so scores do not compare with its
tables. A seed gives the same random numbers at every severity: severity 5 does more of what severity 1 does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikecli.errors import ChoiceError
from spikecli.settings.choices import advice

SEVERITIES = (1, 2, 3, 4, 5)
PATCHES = 3  # places of a cloud that the local kinds act on
CLUMP = 0.1  # deviation of the outliers about such a place, in radii of the cloud

Generator = np.random.Generator


@dataclass(frozen=True)
class Corruption:
    """A kind of damage: the function, its parameter at each of the five severities, and the parameter's meaning."""

    damage: Callable[[Any, float, Generator], Any]
    levels: tuple[float, float, float, float, float]
    unit: str

    def applied(self, sample: Any, severity: int, *seed: int) -> Any:
        """Return what the damage of a severity, 1 to 5, leaves of a sample; `seed` decides the random draws."""
        return self.damage(sample, self.levels[severity - 1], np.random.default_rng(seed))


def chosen_kinds(text: str, known: Mapping[str, Corruption]) -> tuple[str, ...]:
    """Return the names in "a,b" in the table's order, or all for "all"; raise ChoiceError if one is unknown."""
    names = list(known) if text.strip() == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ChoiceError("corrupt", f"cannot be {name!r}: {advice(name, ('all', *known))}")
    return tuple(name for name in known if name in names)


def chosen_severities(text: str) -> tuple[int, ...]:
    """Return the sorted severities in "1,3,5"; raise ChoiceError if one is not in 1 … 5."""
    parts: Sequence[str] = [part.strip() for part in text.split(",")]
    for part in parts:
        if part not in map(str, SEVERITIES):
            raise ChoiceError("severities", f"cannot be {text!r}: choose some of {','.join(map(str, SEVERITIES))}")
    return tuple(sorted({int(part) for part in parts}))
