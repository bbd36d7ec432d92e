"""Times of files that do not name their unit: seconds, milliseconds, microseconds or nanoseconds, by their values."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikecli.datasets.reading_options import ReadOptions, TimeUnit
from spikecli.errors import SpikeError, named

MICROSECONDS: dict[TimeUnit, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_NAMES: dict[TimeUnit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_LARGEST = 2.0**62  # of a number that becomes an int64
_FEW = 100  # events that say nothing about their rate
_LONG_S = 600.0  # from here on a recording of few events a pixel is doubted
_QUIET = 0.1  # events a pixel and second; noise alone gives about as many
_PLAUSIBLE_US = 20_000.0  # a recording is longer
_EPOCHS: dict[TimeUnit, tuple[float, float]] = {  # the years 2001 to 2100 as time since 1970
    "s": (1e9, 4.1e9), "ms": (1e12, 4.1e12), "us": (1e15, 4.1e15), "ns": (1e18, 4.1e18),
}  # fmt: skip


class Timed(NamedTuple):
    """Times in µs, int64, and a note of what was guessed ("" for the usual whole microseconds)."""

    t: np.ndarray
    note: str


def in_microseconds(path: Path, t: np.ndarray, pixels: int, options: ReadOptions, hint: TimeUnit | None) -> Timed:
    """Return times t (N,) in µs: in the unit of `options`, or else in the one that their values are plausible in.

    `pixels` are those that the events cover; `hint` is the unit that tables of this order are known to have. Raise
    SpikeError if no unit gives a plausible recording: then the user has to say it.
    """
    if options.time_unit is not None:
        return Timed(_scaled(path, t, options.time_unit), "")
    if not len(t):
        return Timed(t.astype(np.int64), "")
    fractional = _fractional(t)
    unit = _unit_of_fractions(t, pixels) if fractional else _unit_of_whole(path, t, pixels, hint)
    if unit == "us" and not fractional:
        return Timed(_scaled(path, t, unit), "")
    span = float(t.max()) - float(t.min())
    note = f"took times for {_NAMES[unit]} (they span {span:g}); {named('time_unit')} overrules"
    return Timed(_scaled(path, t, unit), note)


def _scaled(path: Path, t: np.ndarray, unit: TimeUnit) -> np.ndarray:
    """Return t in µs, rounded: 0.000114 s, as a float has it, is 114 µs and not 113."""
    factor = MICROSECONDS[unit]
    if t.dtype.kind in "iub" and factor <= 1:
        return t.astype(np.int64) // round(1 / factor) if factor < 1 else t.astype(np.int64)
    most = float(np.abs(np.array([t.min(), t.max()], np.float64)).max()) if len(t) else 0.0
    if most * factor >= _LARGEST:
        raise SpikeError(
            f"{path} has times out to {most:g}, too large for {_NAMES[unit]}; choose another {named('time_unit')}"
        )
    return np.rint(t.astype(np.float64) * factor).astype(np.int64)


def _fractional(t: np.ndarray) -> bool:
    return t.dtype.kind == "f" and bool((t != np.floor(t)).any())


def _unit_of_fractions(t: np.ndarray, pixels: int) -> TimeUnit:
    """Return s or ms; µs, as simulators and finer clocks give them with fractions, if those are absurdly long."""
    least, most = float(t.min()), float(t.max())
    for unit in ("s", "ms", "us"):
        if _EPOCHS[unit][0] <= least and most <= _EPOCHS[unit][1]:
            return unit
    unit = _seconds_or_ms(t, least, most)
    seconds = (most - least) * MICROSECONDS[unit] * 1e-6
    return "us" if len(t) >= _FEW // 5 and _is_slow(seconds, len(t), pixels) else unit


def _seconds_or_ms(t: np.ndarray, least: float, most: float) -> TimeUnit:
    """Return s or ms: clocks tick in whole µs, so times with three decimals are ms.

    If the decimals do not decide, as with narrow floats or a clock of milliseconds, the more usual duration does.
    """
    thousandths = t.astype(np.float64) * 1e3
    slack = max(1e-6, 2 * float(np.finfo(t.dtype).eps) * max(abs(least), abs(most)) * 1e3)
    if slack < 0.1 and bool((np.abs(thousandths - np.rint(thousandths)) > slack).any()):
        return "ms" if most - least > 600 and len(t) >= _FEW else "s"
    span = most - least
    return "ms" if span >= 100 or (span >= 20 and len(t) >= _FEW and len(t) / span < 100) else "s"


def _unit_of_whole(path: Path, t: np.ndarray, pixels: int, hint: TimeUnit | None) -> TimeUnit:
    """Return µs if the values allow it, else `hint`; raise SpikeError if they allow neither."""
    least, most, count = float(t.min()), float(t.max()), len(t)
    for unit in ("us", "ns", "ms"):
        if _EPOCHS[unit][0] <= least and most <= _EPOCHS[unit][1]:
            return unit
    span = most - least
    if hint is not None and span < _PLAUSIBLE_US and (count < _FEW or count >= span):
        return hint
    if count < _FEW:
        return "us"
    rate, seconds = count / max(span * 1e-6, 1e-6), span * 1e-6
    slow = _is_slow(seconds, count, pixels) or (seconds > 20 and rate < 10_000 and bool((t % 1000 == 0).all()))
    # No pixel fires for long at more than some hundred hertz.
    fast = rate / max(pixels, 1) > (500 if span >= _PLAUSIBLE_US / 4 else 15)
    if not (slow or fast):
        return "us"
    likely: tuple[TimeUnit, ...] = ("ns",) if slow else ("ms", "s")
    option = named("time_unit")
    raise SpikeError(
        f"{path} has {count:,} events over {span:g} units of time: as microseconds that is {seconds:g} s and "
        f"{rate:,.3g} events a second, hardly a recording; wanted to know the unit; give "
        f"{' or '.join(f'{option} {unit}' for unit in likely)}, or {option} us if it is right"
    )


def _is_slow(seconds: float, count: int, pixels: int) -> bool:
    """Return whether there are too few events for so long a recording: noise alone gives hundreds a second."""
    return (seconds > 20 and count < 100 * seconds) or (seconds > _LONG_S and count < _QUIET * pixels * seconds)
