"""Tables of points: find positions and normals among the columns, and drop points that are no measurements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Cloud
from spikecli.errors import SpikeError
from spikecli.files.numbers import LARGEST

POSITION = ("x", "y", "z")
_NORMALS = (
    ("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"), ("normalx", "normaly", "normalz"),
    ("normals:0", "normals:1", "normals:2"), ("normals_0", "normals_1", "normals_2"),
)  # fmt: skip
_OF = r"(?:points?|pos|positions?|coords?|coordinates?|vert(?:ex|ices)|loc|location)"
# Point_X, pos_x, coord-0 (ParaView: Points:0), x_coord, X_m
_LONG_NAME = re.compile(rf"{_OF}[\s_:.-]*([xyz])|{_OF}[\s_:.-]+([012])|([xyz])[\s_.-]+(?:{_OF}|world|mm|cm|km|m)")
_FAR = 1e4  # extents from the origin beyond which float32 would blur a shape
_WIDEST = 64  # columns of a table of points
_UNIT = 0.02  # how far the length of a normal may be from 1: some files round to two places


def name_columns(names: Sequence[str]) -> list[int] | None:
    """Return the indices of x, y, z, then those of the normals, among column names; None without x, y and z.

    Case, quotes, and what follows a name in brackets (`X [m]`) do not count. Names that come twice stand for nothing.
    """
    plain = [name.strip().strip("\"'").split("[")[0].split("(")[0].strip().lower() for name in names]
    if not set(POSITION) & set(plain):
        plain = [_axis_in(name) for name in plain]
    if any(plain.count(axis) != 1 for axis in POSITION):
        return None
    normals = next((three for three in _NORMALS if all(plain.count(name) == 1 for name in three)), ())
    return [plain.index(name) for name in (*POSITION, *normals)]


def _axis_in(name: str) -> str:
    """Return x, y or z if that is what a long name says, such as `pos_x` or `points:0`; else the name."""
    match = _LONG_NAME.fullmatch(name)
    letter = next((one for one in match.groups() if one), "") if match else ""
    return "xyz"[int(letter)] if letter.isdigit() else letter or name


def are_normals(values: np.ndarray) -> bool:
    """Return whether vectors (N, 3) are normals: each of length 1, or 0 where none is known, and not all 0."""
    lengths = np.linalg.norm(np.nan_to_num(values.astype(np.float64), nan=0, posinf=9, neginf=9), axis=1)
    return bool(((np.abs(lengths - 1) < _UNIT) | (lengths == 0)).all() and lengths.any())


def choose_columns(sample: np.ndarray) -> tuple[list[int], str | None]:
    """Return the columns to read of a table without names, judged from rows (n, k ≥ 3), and a note on the others."""
    width = sample.shape[1]
    if width == 3:
        return [0, 1, 2], None
    if _numbers_rows(sample[:, 0]):
        chosen, note = choose_columns(sample[:, 1:])
        said = "column 1 numbers the rows and is not read"
        return [place + 1 for place in chosen], f"{said}; of the others, {note}" if note else said
    for start in sorted({3, width - 3} if width >= 6 else set()):
        if are_normals(sample[:, start : start + 3]):
            rest = width - 6
            note = f"{rest} of {width} columns are not read; x y z come first, normals follow" if rest else None
            return [0, 1, 2, *range(start, start + 3)], note
    more = "column 4 is" if width == 4 else f"columns 4 to {width} are"
    return [0, 1, 2], f"{more} not read: no unit normals"


def _numbers_rows(column: np.ndarray) -> bool:
    """Return whether a column counts the rows from 0 or 1."""
    return len(column) > 2 and column[0] in (0, 1) and bool((np.diff(column.astype(np.float64)) == 1).all())


def cloud_of_table(path: Path, table: np.ndarray, notes: tuple[str, ...] = ()) -> Cloud:
    """Return the points of a table without names (N, k): x, y, z, and normals if three columns hold them.

    Raise SpikeError if it is no table of points. One that lies on its side (3, N) is turned, with a note.
    """
    if table.dtype.names:
        return _cloud_of_fields(path, table, notes)
    if table.dtype.kind not in "fiu":
        raise SpikeError(f"{path} holds no array of real numbers; wanted (N, 3) or (N, 6); write it again")
    found = table[0] if table.ndim == 3 and len(table) == 1 else table
    if found.ndim == 2 and found.shape[0] in (3, 6) and found.shape[1] > _WIDEST:
        found, notes = found.T, (*notes, f"an array {found.shape}, taken for {found.shape[1]} points on their side")
    if found.ndim != 2 or not 3 <= found.shape[1] <= _WIDEST:
        several = "; it may hold several clouds: write each to a file of its own" if table.ndim == 3 else ""
        raise SpikeError(
            f"{path} holds an array of shape {table.shape}; wanted (N, 3), or (N, 6) with normals{several}"
        )
    refuse_events(path, found)
    chosen, note = choose_columns(found)
    return checked_cloud(path, found[:, chosen], (*notes, *([note] if note else [])))


def _cloud_of_fields(path: Path, table: np.ndarray, notes: tuple[str, ...]) -> Cloud:
    names = list(table.dtype.names or ())
    chosen = name_columns(names)
    if chosen is None or any(table[names[place]].dtype.kind not in "fiu" for place in chosen):
        raise SpikeError(f"{path} has the fields {', '.join(names)[:80]}; wanted numbers x, y and z")
    if any(table[names[place]].ndim > 1 for place in chosen):
        raise SpikeError(f"{path} has several numbers in one of x, y, z; wanted one each")
    return checked_cloud(path, np.stack([table[names[place]].reshape(-1) for place in chosen], axis=1), notes)


def checked_cloud(path: Path, points: np.ndarray, notes: tuple[str, ...] = ()) -> Cloud:
    """Return points (N, 3) or (N, 6) as a cloud; drop points without a finite position, with a note.

    Raise SpikeError if fewer than two points are left, or a number is too large for a coordinate. Normals that are not
    finite become 0, which stands for unknown. A cloud far from the origin is brought near to it, before float32.
    """
    if points.ndim != 2 or points.shape[1] not in (3, 6):
        raise SpikeError(f"{path} holds an array of shape {points.shape}; wanted (N, 3), or (N, 6) with normals")
    found = np.isfinite(points[:, :3]).all(axis=1) if points.dtype.kind == "f" else np.ones(len(points), dtype=bool)
    kept = int(found.sum())
    if kept < len(points):
        if not kept:
            raise SpikeError(f"{path} has no point whose coordinates are finite numbers; remove the file")
        notes = (*notes, f"{len(points) - kept:,} of {len(points):,} points are not finite and are left out")
        points = points[found]
    if kept < 2:
        raise SpikeError(f"{path} holds {kept} points; wanted a cloud; remove the file")
    near = np.empty(points.shape, dtype=np.float32)
    near[:, :3] = _near_origin(path, points[:, :3])
    if points.shape[1] == 6:
        normals = points[:, 3:].astype(np.float32)
        unknown = ~np.isfinite(normals).all(axis=1)
        if unknown.any():
            notes = (*notes, f"{int(unknown.sum()):,} normals are not finite and are taken as unknown")
            normals[unknown] = 0
        near[:, 3:] = normals
    return Cloud(near, notes)


def _near_origin(path: Path, points: np.ndarray) -> np.ndarray:
    """Return points (N, 3), centered on their mean if they are too far from the origin for float32."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    if max(np.abs(low).max(), np.abs(high).max()) >= LARGEST:
        raise SpikeError(f"{path} has a coordinate that is too large to be one; remove the point or the file")
    center = points.mean(axis=0, dtype=np.float64)
    if np.abs(center).max() > _FAR * np.maximum(high - center, center - low).max():
        return points - center
    return points


def refuse_events(path: Path, table: np.ndarray) -> None:
    """Raise SpikeError if the table is one of events: whole x and y, ascending times, two polarities."""
    if table.shape[1] != 4 or len(table) < 3:
        return
    for t, x, y, p in ((0, 1, 2, 3), (3, 0, 1, 2), (2, 0, 1, 3)):
        pixels = table[:, [x, y]]
        if (
            (np.diff(table[:, t]) >= 0).all()
            and table[-1, t] > table[0, t]
            and (pixels >= 0).all()
            and (pixels == np.floor(pixels)).all()
            and set(np.unique(table[:, p]).tolist()) in ({0.0, 1.0}, {-1.0, 1.0})
        ):
            raise SpikeError(f"{path} holds events (x, y, t, p), not points; give it to a network of recordings")
