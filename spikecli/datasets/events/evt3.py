"""Decoder of EVT3: 16-bit words that set row, time and first pixel, or give events relative to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikecli.datasets.events.columns import Columns

_ROW, _PIXEL, _BASE, _VECTOR_12, _VECTOR_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_AT_ONCE = 1 << 17  # words, so that what one step leaves is still near for the next
_TURN = 1 << 24  # µs after which the clock of 24 bits begins again

_BITS = (np.arange(1 << 12)[:, None] >> np.arange(12)) & 1  # of each 12-bit mask
_COUNT = _BITS.sum(axis=1).astype(np.uint8)
_FIRST = np.concatenate([[0], np.cumsum(_COUNT.astype(np.int32))]).astype(np.int32)
_PLACES = np.nonzero(_BITS)[1].astype(np.uint16)  # of the set bits, mask after mask


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
    x = value & 0x7FF
    p = (value >> 11).astype(np.uint8)
    vectors = np.flatnonzero(kind != _PIXEL)
    first, polarity = _bases(kinds, values, places[vectors], state)
    if len(vectors):
        mask = np.where(kind[vectors] == _VECTOR_12, value[vectors], value[vectors] & 0xFF)
        x, y, t, p = _expanded(x, y, t, p, vectors, mask, first, polarity)
    if len(t) and t[0] < 0:
        known = t >= 0
        x, y, t, p = x[known], y[known], t[known], p[known]
    return x, y, t, p


def _last(which: np.ndarray, values: np.ndarray, places: np.ndarray, before: int) -> np.ndarray:
    """Return the value of the last word `which` ahead of each of `places`, or `before` if there is none."""
    marks = np.flatnonzero(which)
    ends = np.append(np.searchsorted(places, marks), len(places))
    found = np.concatenate([np.array([before], values.dtype), values[marks]])
    return np.repeat(found, np.diff(ends, prepend=0))


def _final(which: np.ndarray, values: np.ndarray, before: int) -> int:
    marks = np.flatnonzero(which)
    return int(values[marks[-1]]) if len(marks) else before


def _times(kinds: np.ndarray, values: np.ndarray, places: np.ndarray, state: _State) -> np.ndarray:
    """Return the time in µs at each of `places`: a word of upper bits sets the lower ones to 0 until theirs comes."""
    marks = np.flatnonzero((kinds == _LOW) | (kinds == _HIGH))
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
    ends = np.append(np.searchsorted(places, marks), len(places))
    return np.repeat(np.concatenate([[before], time]), np.diff(ends, prepend=0))


def _bases(kinds: np.ndarray, values: np.ndarray, vectors: np.ndarray, state: _State) -> tuple[np.ndarray, np.ndarray]:
    """Return first pixel and polarity of each vector: the base word's, moved on by the vectors since."""
    marks = np.flatnonzero(kinds == _BASE)
    widths = np.where(kinds[vectors] == _VECTOR_12, 12, 8)
    moved = np.concatenate([[0], np.cumsum(widths)])
    starts = np.searchsorted(vectors, marks)
    counts = np.diff(np.append(starts, len(vectors)), prepend=0)
    base = np.concatenate([[state.base], values[marks]]).astype(np.int64)
    since = moved[np.concatenate([[0], starts])]
    pixel = np.repeat((base & 0x7FF) - since, counts) + moved[:-1]
    polarity = np.repeat((base >> 11).astype(np.uint8), counts)
    state.base = int(base[-1] & 0x800) | int((base[-1] & 0x7FF) + moved[-1] - since[-1]) & 0x7FF
    return pixel, polarity


def _expanded(
    x: np.ndarray,
    y: np.ndarray,
    t: np.ndarray,
    p: np.ndarray,
    vectors: np.ndarray,
    mask: np.ndarray,
    first: np.ndarray,
    polarity: np.ndarray,
) -> _Part:
    """Return the columns with each vector replaced by its events, one for each bit of its mask."""
    counts = np.ones(len(x), np.int32)
    counts[vectors] = _COUNT[mask]
    start = np.full(len(x), _FIRST[1], np.int32)  # of each word's places; a single event has those of the mask 1
    start[vectors] = _FIRST[mask]
    x, p = x.copy(), p.copy()
    x[vectors], p[vectors] = first, polarity
    start -= np.cumsum(counts, dtype=np.int32) - counts
    word = np.repeat(np.arange(len(x), dtype=np.int32), counts)
    x = x[word] + _PLACES[start[word] + np.arange(len(word), dtype=np.int32)]
    return x, y[word], t[word], p[word]
