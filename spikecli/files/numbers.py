"""Numbers from files: read at native speed, and sane."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from spikecli.errors import SpikeError

_LARGEST = 1e30


def numbers(path: Path, text: bytes) -> np.ndarray:
    """Return the numbers of white-space separated `text` as float64 (n,); SpikeError when a word is no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            bad = next((word for word in text.split() if not _is_number(word)), b"a control character")
            raise SpikeError(f"{path} holds {bad[:20]!r} where a number was wanted; fetch or write it again") from None


def check_finite(path: Path, values: np.ndarray) -> None:
    """SpikeError when a coordinate is NaN, infinite, or so large that its square is."""
    if not (np.abs(values) < _LARGEST).all():
        raise SpikeError(f"{path} has a coordinate that is not a finite number; remove the point or the file")


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
