"""Some samples of an array, copied a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Chosen:
    """The samples of `whole` (S, ...) at `places` (n,), without a copy of them all: `whole` may lie in a file."""

    whole: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """Return a copy of the samples at `chosen`, which counts among these."""
        found: np.ndarray = self.whole[self.places[chosen]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that a copy of them all would have."""
        return (len(self.places), *self.whole.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.whole.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value."""
        return self.whole.dtype

    @property
    def nbytes(self) -> int:
        """The bytes that a copy of them all would take."""
        return len(self.places) * self.whole[:1].nbytes
