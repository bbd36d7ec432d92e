"""Events as plain columns of any file: order, polarities and times are recognized by their values."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, broken
from spikecli.datasets.events.units import in_microseconds
from spikecli.datasets.reading_options import ReadOptions, TimeUnit
from spikecli.errors import SpikeError, named

# The orders in use, those of tools and data sets before those of single users.
_USUAL = (("xytp", "txyp", "xypt"), ("tpxy", "ptxy", "pxyt", "txpy", "xtyp"))
_LARGEST = 2.0**62  # of a number that becomes an int64
_SIDE = 1 << 14  # pixels


def columns_of_table(path: Path, table: np.ndarray, options: ReadOptions) -> Columns:
    """Return the events of a table (N, 4), its columns in the order of `options` or the one their values fit.

    Raise SpikeError if the table has not four columns, or its values fit no order.
    """
    if table.ndim == 2 and table.shape[0] == 4 != table.shape[1]:  # a row each for x, y, t and p
        table = table.T
    if table.ndim != 2 or table.shape[1] != 4:
        raise SpikeError(
            f"{path} has an array of shape {table.shape}; wanted events: fields x, y, t, p or four columns; "
            "save it with one row an event"
        )
    if options.columns is not None:
        order, certain = options.columns, True
    else:
        order, certain = _order_of(path, table)
    found = dict(zip(order, table.T, strict=True))
    hint: TimeUnit | None = "ms" if order == "xypt" and options.columns is None else None  # tonic's DVS128 Gesture
    columns = checked_columns(path, found, options, hint)
    if certain:
        return columns
    note = f"took the columns for {' '.join(order)}; {named('columns')} overrules"
    return columns._replace(notes=(note, *columns.notes))


def _order_of(path: Path, table: np.ndarray) -> tuple[str, bool]:
    """Return the order of four columns, and whether it is the usual x y t p; raise SpikeError if values do not tell.

    Polarity has two values, time ascends (but for small steps back), x and y are pixels.
    """
    two = [_is_polarity(table[:, column]) for column in range(4)]
    rising = [_rises(table[:, column]) for column in range(4)]
    pixels = [_is_pixel(table[:, column]) for column in range(4)]
    fitting = [
        "".join(order)
        for order in permutations("xytp")
        if order.index("x") < order.index("y")
        and two[order.index("p")] and rising[order.index("t")]
        and pixels[order.index("x")] and pixels[order.index("y")]
    ]  # fmt: skip
    for some in (*_USUAL, _unsorted(two, pixels)):
        usual = [order for order in some if fitting == [] or order in fitting]
        if len(usual) == 1 or (len(usual) > 1 and fitting and _settled(table, usual)):
            return usual[0], usual[0] == "xytp"
        if len(usual) > 1 and fitting:
            break
    raise SpikeError(
        f"{path} has four columns whose order cannot be told; wanted polarities of two values, times that ascend, and "
        f"pixels; name the order, such as {named('columns')} xytp"
    )


def _unsorted(two: list[bool], pixels: list[bool]) -> tuple[str, ...]:
    """Return the order by polarity and pixels alone; the later check of times reports what is wrong with them."""
    places = [column for column in range(4) if pixels[column] and not two[column]]
    if sum(two) != 1 or len(places) != 2:
        return ()
    letters = {places[0]: "x", places[1]: "y", two.index(True): "p"}
    return ("".join(letters.get(column, "t") for column in range(4)),)


def _settled(table: np.ndarray, usual: list[str]) -> bool:
    """Return whether the first of several orders that fit may be taken: its times reach far beyond the others'."""
    spans = [float(table[-1, column]) - float(table[0, column]) for column in range(4)] if len(table) else [0.0] * 4
    first, *others = (spans[order.index("t")] for order in usual)
    return all(first > 4 * other for other in others)


def _rises(column: np.ndarray) -> bool:
    """Return whether at least nine of ten steps do not go back; overlapping packets cause a few that do."""
    return len(column) < 2 or float((column[1:] >= column[:-1]).mean()) >= 0.9


def _is_polarity(column: np.ndarray) -> bool:
    values = np.unique(column[:4096])
    if len(values) > 3 or not np.isin(values, _polarities(column.dtype)).all():
        return False
    return bool(np.isin(column, _polarities(column.dtype)).all())


def _polarities(kind: np.dtype) -> list[int]:
    return [-1, 0, 1] if kind.kind != "u" else [0, 1, int(np.iinfo(kind).max)]


def _is_pixel(column: np.ndarray) -> bool:
    if not len(column) or not (column.min() >= 0 and column.max() < _SIDE):
        return False
    return column.dtype.kind != "f" or bool((column == np.floor(column)).all())


def checked_columns(
    path: Path,
    found: dict[str, np.ndarray],
    options: ReadOptions,
    hint: TimeUnit | None = None,
) -> Columns:
    """Return the columns of arrays x, y, t, p: whole pixels, times in µs, polarities 0 and 1.

    Raise SpikeError for other values.
    """
    arrays = {axis: np.ravel(array) for axis, array in found.items()}
    if arrays["t"].dtype.kind in "mM":  # numpy's own times know their unit
        arrays["t"] = arrays["t"].astype(f"{arrays['t'].dtype.kind}8[us]").astype(np.int64)
        options = replace(options, time_unit="us")
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        broken(path, f"columns of {' and '.join(map(str, sorted(lengths)))} values", "x, y, t, p of equal length")
    for axis, array in arrays.items():
        if array.dtype.kind not in "iufb":
            broken(path, f"{axis} of type {array.dtype}", "numbers")
        if array.dtype.kind == "f" and not (np.abs(array) < _LARGEST).all():
            broken(path, f"{axis} that is not finite", "numbers")
    x, y = (_pixels(path, axis, arrays[axis]) for axis in "xy")
    p = _signs(path, arrays["p"])
    pixels = (int(x.max()) + 1) * (int(y.max()) + 1) if len(x) else 1
    timed = in_microseconds(path, arrays["t"], pixels, options, hint)
    return Columns(x, y, timed.t, p, notes=(timed.note,) if timed.note else ())


def _pixels(path: Path, axis: str, column: np.ndarray) -> np.ndarray:
    """Return whole coordinates; raise SpikeError for fractions, as in undistorted events or points."""
    if column.dtype.kind == "f" and bool((column != np.floor(column)).any()):
        bad = float(column[column != np.floor(column)][0])
        raise SpikeError(
            f"{path} has {axis} = {bad:g}; wanted whole pixels; round undistorted events to pixels before, or check "
            f"the order of the columns with {named('columns')}"
        )
    if column.dtype.kind == "u" and column.dtype.itemsize <= 2:
        return column
    return column.astype(np.int64)


def _signs(path: Path, column: np.ndarray) -> np.ndarray:
    """Return polarities 0 and 1 of 0 and 1, −1 and 1, or an unsigned type's largest value and 1: −1 as v2e keeps it."""
    if column.dtype.kind == "u" and len(column):
        largest = np.iinfo(column.dtype).max
        minus = column == largest
        # 0 and 255 alone may as well be a picture's black and white: that is not for us to say.
        if minus.any() and bool(((column == 1) | minus).all()) and bool((column == 1).any()):
            return (~minus).astype(np.uint8)
    if column.dtype.kind == "f" and bool((column != np.floor(column)).any()):
        broken(path, "polarities with fractions", "0 and 1, or -1 and 1")
    p = column.astype(np.int64)
    if len(p) and int(p.min()) == -1:
        p = (p > 0).astype(np.int64)
    return p
