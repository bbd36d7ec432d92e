"""Decoder of EVT3: 16-bit words that set row, time and first pixel, or give events relative to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecli.datasets.events.columns import EVENT, Bounds, Columns, columns_of

_ROW, _PIXEL, _BASE, _VECTOR_12, _VECTOR_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_AT_ONCE = 1 << 16  # words, so that what one step leaves is still near for the next
_TURN = 1 << 24  # µs after which the clock of 24 bits begins again
# How many bits are set in each number of 12 bits, and how many pixels a word of each kind moves on.
_LIT = np.unpackbits(np.arange(1 << 12, dtype=">u2").view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1, dtype=np.uint8)
_WIDTHS = np.array([{_VECTOR_12: 12, _VECTOR_8: 8}.get(kind, 0) for kind in range(16)], np.uint8)


@dataclass
class _State:
    """The decoder's state between words."""

    row: int = 0
    time: int = -1  # µs, −1 before the first word of time
    high: int = -1  # the upper 12 bits, unwrapped, in µs
    base: int = 0  # the first pixel and polarity (bit 11) of the next vector
    # What `Bounds` says of the events so far: read while a few of them are near, which is faster than from all.
    right: int = 0
    bottom: int = 0
    brightest: int = 0
    in_order: bool = True


class _Words(NamedTuple):
    """Some words (N,), and those that give events."""

    kinds: np.ndarray  # the upper 4 bits, uint8
    values: np.ndarray  # the lower 12 bits, uint16
    ahead: np.ndarray  # (N,) how many words that give events come up to and with each
    places: np.ndarray  # where the words that give events are


def decode_evt3(words: np.ndarray) -> Columns:
    """Return the events of EVT3 words (N,) of 16 bits; events before the first time word are skipped."""
    blocks = [words[start : start + _AT_ONCE] for start in range(0, len(words), _AT_ONCE)]
    # Counted first, so that each event is written once, to its place: fresh memory costs more than counting.
    events, state = np.empty(sum(map(_count, blocks)), EVENT), _State()
    done = 0
    for block in blocks:
        done += _decode(block, state, events[done:])
    bounds = Bounds(state.right, state.bottom, state.brightest, state.in_order)
    return columns_of(events[:done])._replace(bounds=bounds)


def _count(words: np.ndarray) -> int:
    """Return how many events some words give, those before the first time word included."""
    kinds = words >> 12
    twelve, eight = kinds == _VECTOR_12, kinds == _VECTOR_8
    count = int(np.count_nonzero(kinds == _PIXEL))
    for vectors, bits in ((twelve, 0xFFF), (eight, 0xFF)):
        if vectors.any():
            count += int(_LIT[words[vectors] & bits].sum(dtype=np.int64))
    return count


def _decode(words: np.ndarray, state: _State, events: np.ndarray) -> int:
    """Write the events of some words to the first of `events`, update `state`, and return how many there are."""
    kinds = (words >> 12).astype(np.uint8)
    vectors = kinds >> 1 == _VECTOR_12 >> 1
    giving = (kinds == _PIXEL) | vectors
    some = _Words(kinds, words & 0xFFF, np.cumsum(giving, dtype=np.int32), np.flatnonzero(giving))
    if vectors.any():
        x, p, ends = _of_vectors(some, state)
    else:
        value = some.values[some.places]
        x, p, ends = value & 0x7FF, value >> 11, None
        state.base = int(_marked(some, _BASE, state.base)[1][-1])
    at, rows = _marked(some, _ROW, state.row)
    state.row = int(rows[-1])
    y, t = _spread(rows & 0x7FF, some.ahead[at], len(some.places), ends), _times(some, ends, state)
    if len(t) and t[0] < 0:
        x, y, t, p = (column[t >= 0] for column in (x, y, t, p))
    for name, column in zip("xytp", (x, y, t, p), strict=True):
        events[name][: len(t)] = column
    if len(t):
        largest = (int(column.max()) for column in (x, y, p))
        state.right, state.bottom, state.brightest = map(max, (state.right, state.bottom, state.brightest), largest)
    return len(t)


def _marked(some: _Words, kind: int, before: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the words of a kind are, and `before` and their values, uint16."""
    at = np.flatnonzero(some.kinds == kind)
    return at, np.concatenate([np.array([before], np.uint16), some.values[at]])


def _spread(values: np.ndarray, ahead: np.ndarray, count: int, ends: np.ndarray | None = None) -> np.ndarray:
    """Return values (M + 1,) repeated: the first until `ahead[0]` of `count` words, the second until `ahead[1]`, …

    With `ends`, which says how many events come before each of the words and in all, once for each event.
    """
    borders = np.empty(len(ahead) + 2, np.int64)
    borders[0], borders[1:-1], borders[-1] = 0, ahead, count
    if ends is not None:
        borders = ends[borders]
    return np.repeat(values, borders[1:] - borders[:-1])


def _times(some: _Words, ends: np.ndarray | None, state: _State) -> np.ndarray:
    """Return the time of each event in µs: a word of upper bits sets the lower ones to 0 until theirs comes."""
    marks = np.flatnonzero((some.kinds == _LOW) | (some.kinds == _HIGH))
    values, upper = some.values[marks].astype(np.int64), some.kinds[marks] == _HIGH
    highs = values[upper] << 12
    if len(highs):
        ahead = state.high % _TURN if state.high >= 0 else int(highs[0])
        turns = np.cumsum(np.diff(highs, prepend=ahead) < -_TURN // 2)
        highs += (max(state.high, 0) // _TURN + turns) * _TURN
    high = np.concatenate([[state.high], highs])[np.cumsum(upper)]
    time = np.where(upper, high, high + values)
    time[high < 0] = -1
    time = np.concatenate([[state.time], time])
    state.in_order &= not bool((time[1:] < time[:-1]).any())  # whether events lie between two of them or not
    state.time, state.high = int(time[-1]), int(highs[-1]) if len(highs) else state.high
    return _spread(time, some.ahead[marks], len(some.places), ends)


def _of_vectors(some: _Words, state: _State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x and polarity of each event, and the events before each word that gives some, and in all."""
    kind, value = some.kinds[some.places], some.values[some.places]
    first = _first_pixels(some, kind, state)
    mask = np.where(kind == _VECTOR_12, value, value & 0xFF)
    single = kind == _PIXEL
    if single.any():
        first = np.where(single, (value & 0x7FF) << 1 | value >> 11, first)
        mask = np.where(single, np.uint16(1), mask)
    lit = np.flatnonzero(np.unpackbits(mask.astype("<u2").view(np.uint8), bitorder="little").view(bool))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(_LIT[mask], dtype=np.int64)])
    both = first[lit >> 4]
    return (both >> 1).astype(np.uint16) + (lit.astype(np.uint8) & 15), both & 1, ends


def _first_pixels(some: _Words, kind: np.ndarray, state: _State) -> np.ndarray:
    """Return the first pixel of each vector, shifted by one bit, and its polarity in that bit: int32.

    The pixel is that of the word of a base, moved on by the vectors since; `kind` is that of each word with events.
    """
    moved = np.concatenate([np.zeros(1, np.int32), np.cumsum(_WIDTHS[kind], dtype=np.int32)])
    marks, bases = _marked(some, _BASE, state.base)
    ahead, bases = some.ahead[marks], bases.astype(np.int32)
    first = ((bases & 0x7FF) - np.concatenate([np.zeros(1, np.int32), moved[ahead]])) << 1 | bases >> 11
    state.base = int(bases[-1]) & 0x800 | (int(first[-1] >> 1) + int(moved[-1])) & 0x7FF
    return _spread(first, ahead, len(kind)) + (moved[:-1] << 1)
