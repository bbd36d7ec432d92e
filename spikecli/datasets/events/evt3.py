"""Decoder of EVT3: 16-bit words that set row, time and first pixel, or give events relative to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.columns import Columns

_ROW, _PIXEL, _BASE, _VECTOR_12, _VECTOR_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_AT_ONCE = 1 << 17  # words, so that what one step leaves is still near for the next
_TURN = 1 << 24  # µs after which the clock of 24 bits begins again


@dataclass
class _State:
    """The decoder's state between words."""

    row: int = 0
    time: int = -1  # µs, −1 before the first word of time
    high: int = -1  # the upper 12 bits, unwrapped, in µs
    base: int = 0  # the first pixel and polarity (bit 11) of the next vector


def decode_evt3(words: np.ndarray) -> Columns:
    """Return the events of EVT3 words (N,) of 16 bits; events before the first time word are skipped."""
    state = _State()
    parts = [_decode(words[start : start + _AT_ONCE], state) for start in range(0, max(len(words), 1), _AT_ONCE)]
    x, y, t, p = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Columns(x, y, t, p)


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _decode(words: np.ndarray, state: _State) -> _Part:
    """Return x, y, t, p of some words and update `state`."""
    kinds, values = (words >> 12).astype(np.uint8), words & 0xFFF
    places = np.flatnonzero((kinds == _PIXEL) | (kinds == _VECTOR_12) | (kinds == _VECTOR_8))
    kind, value = kinds[places], values[places]
    y = _last(kinds == _ROW, values & 0x7FF, places, state.row)
    state.row = int(_final(kinds == _ROW, values & 0x7FF, state.row))
    t = _times(kinds, values, places, state)
    x, p, mask = value & 0x7FF, value >> 11, np.ones(len(places), np.uint16)
    vectors = np.flatnonzero(kind != _PIXEL)
    first, polarity = _bases(kinds, values, places[vectors], state)
    if len(vectors):
        x[vectors], p[vectors] = first, polarity
        mask[vectors] = np.where(kind[vectors] == _VECTOR_12, value[vectors], value[vectors] & 0xFF)
        x, y, t, p = _expanded(x, y, t, p, mask)
    p = p.astype(np.uint8)
    if len(t) and t[0] < 0:
        known = t >= 0
        x, y, t, p = x[known], y[known], t[known], p[known]
    return x, y, t, p


def _count(which: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return how many words `which` are ahead of each of `places`."""
    return np.cumsum(which, dtype=np.int32)[places]


def _last(which: np.ndarray, values: np.ndarray, places: np.ndarray, before: int) -> np.ndarray:
    """Return the value of the last word `which` ahead of each of `places`, or `before` if there is none."""
    found = np.concatenate([np.array([before], values.dtype), values[which]])
    return np.asarray(found[_count(which, places)])


def _final(which: np.ndarray, values: np.ndarray, before: int) -> int:
    marks = np.flatnonzero(which)
    return int(values[marks[-1]]) if len(marks) else before


def _times(kinds: np.ndarray, values: np.ndarray, places: np.ndarray, state: _State) -> np.ndarray:
    """Return the time in µs at each of `places`: a word of upper bits sets the lower ones to 0 until theirs comes."""
    which = (kinds == _LOW) | (kinds == _HIGH)
    marks = np.flatnonzero(which)
    if not len(marks):
        return np.full(len(places), state.time, np.int64)
    upper = kinds[marks] == _HIGH
    highs = values[marks[upper]].astype(np.int64) << 12
    if len(highs):
        ahead = state.high % _TURN if state.high >= 0 else int(highs[0])
        turns = np.cumsum(np.diff(highs, prepend=ahead) < -_TURN // 2)
        highs += (max(state.high, 0) // _TURN + turns) * _TURN
    high = np.concatenate([[state.high], highs])[np.cumsum(upper)]
    time = np.where(upper, high, high + values[marks])
    time[high < 0] = -1
    state.high, before = int(high[-1]), state.time
    state.time = int(time[-1])
    return np.asarray(np.concatenate([[before], time])[_count(which, places)])


def _bases(kinds: np.ndarray, values: np.ndarray, vectors: np.ndarray, state: _State) -> tuple[np.ndarray, np.ndarray]:
    """Return first pixel and polarity of each vector: the base word's, moved on by the vectors since."""
    which = kinds == _BASE
    widths = np.where(kinds[vectors] == _VECTOR_12, np.int32(12), np.int32(8))
    moved = np.concatenate([np.zeros(1, np.int32), np.cumsum(widths, dtype=np.int32)])
    number = _count(which, vectors)
    base = np.concatenate([np.array([state.base]), values[which]]).astype(np.int32)
    since = moved[np.searchsorted(number, np.arange(len(base)))]  # what vectors before the base word have moved
    pixel = ((base & 0x7FF) - since)[number] + moved[:-1]
    polarity = (base >> 11).astype(np.uint8)[number]
    state.base = int(base[-1] & 0x800) | int((base[-1] & 0x7FF) + moved[-1] - since[-1]) & 0x7FF
    return pixel, polarity


def _expanded(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray, mask: np.ndarray) -> _Part:
    """Return the columns with each word replaced by its events, one for each bit of its mask (N,) uint16."""
    lit = np.flatnonzero(np.unpackbits(mask.astype("<u2").view(np.uint8), bitorder="little").view(bool))
    word = lit >> 4
    # One word for x, y and p, as taking from a column costs more than taking it apart.
    packed = (x.astype(np.uint32) | y.astype(np.uint32) << 16 | p.astype(np.uint32) << 31)[word]
    x = (packed & 0xFFFF).astype(np.uint16) + (lit & 15).astype(np.uint16)
    return x, (packed >> 16 & 0x7FF).astype(np.uint16), t[word], (packed >> 31).astype(np.uint8)
