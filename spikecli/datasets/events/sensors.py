"""Sensors of event cameras: by the name in a header, or else by the extent of the events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import LARGEST_SIDE, Columns, Size, demand_sides, sensor_of
from spikecli.errors import SpikeError, named

# The sensors in the field, smallest first: a file that does not name its own gets the first that holds every event.
SENSORS: tuple[Size, ...] = (
    (34, 34), (128, 128), (208, 192), (240, 180), (304, 240), (320, 240), (346, 260), (320, 320), (640, 480),
    (1280, 720), (1280, 800), (1280, 960),
)  # fmt: skip

# Cameras by the names that headers of jAER, cAER and DV give them; the first pattern that is found counts.
_CAMERAS: tuple[tuple[str, Size], ...] = (
    (r"DVS128|DAVIS128", (128, 128)),
    (r"DAVIS208", (208, 192)),
    (r"DAVIS240", (240, 180)),
    (r"DAVIS346", (346, 260)),
    (r"DAVIS(HET|RGB)?640", (640, 480)),
    (r"DVXPLORER_?MINI|DVXPLORER_?LITE", (320, 240)),
    (r"DVXPLORER", (640, 480)),
)


def sensor_of_camera(text: str) -> Size | None:
    """Return the sensor of the camera that `text` names, None for one that is not known."""
    return next((size for name, size in _CAMERAS if re.search(name, text, re.IGNORECASE)), None)


# Names under which files of arrays keep both sides. event_utils writes the height first, others the width.
_SIDES: dict[str, bool] = {
    "sensor_resolution": True, "geometry": False, "resolution": False, "sensor_size": False, "sensor": False,
}  # fmt: skip
SENSOR_NAMES = frozenset({"width", "height", *_SIDES})


def sensor_among(path: Path, values: Mapping[str, object], columns: Columns) -> Size | None:
    """Return the sensor that `values` name by width and height, or by one of `SENSOR_NAMES`; None without them.

    Both sides are an array of two or three numbers, or text such as 1280x720. Raise SpikeError if they are no size.
    """
    if {"width", "height"} <= set(values):
        width, height = (str(_one(values[name])) for name in ("width", "height"))
        return sensor_of(path, width, height)
    for name, rows_first in _SIDES.items():
        found = _one(values.get(name, ()))
        if isinstance(found, str):
            return sensor_in_words(path, f"{name} {found}")
        sides = np.ravel(np.asarray(found))
        if len(sides) in (2, 3) and sides.dtype.kind in "iuf" and (sides[:2] > 0).all():
            demand_sides(path, sides[:2], f"{name} {sides[0]} x {sides[1]}")
            return _that_holds(int(sides[0]), int(sides[1]), rows_first, columns)
    return None


def _one(value: object) -> object:
    """Return text of bytes, the value of an array of one, or else the value."""
    array = np.asarray(value)
    value = array.reshape(-1)[0] if array.size == 1 else value
    return value.decode("latin-1") if isinstance(value, bytes) else str(value) if isinstance(value, str) else value


def _that_holds(first: int, second: int, rows_first: bool, columns: Columns) -> Size | None:
    """Return two sides as width and height: as a known sensor has them, or in the usual order, if all events fit."""
    choices = [(second, first), (first, second)] if rows_first else [(first, second), (second, first)]
    right, bottom = (int(axis.max(initial=0)) for axis in (columns.x, columns.y))
    fitting = [size for size in choices if right < size[0] and bottom < size[1]]
    return next((size for size in fitting if size in SENSORS), fitting[0] if fitting else None)


def sensor_in_words(path: Path, text: str) -> Size | None:
    """Return the sensor that a line names, such as `geometry:1280,720` or `width=346 height=260`; else None.

    Raise SpikeError if it is no size.
    """
    both = re.search(r"(?:geometry|resolution|sensor\w*|size)\W{0,3}(\d+)\s*[x×*,; ]\s*(\d+)", text, re.IGNORECASE)
    each = re.search(r"width\W{0,3}(\d+)\D{1,9}height\W{0,3}(\d+)", text, re.IGNORECASE)
    match = both or each
    return sensor_of(path, match[1], match[2]) if match else None


def sensor_around(right: int, bottom: int, path: Path) -> tuple[Size, str]:
    """Return the smallest known sensor with a pixel (right, bottom), or else just that extent, and a note of the guess.

    Raise SpikeError if no camera is so large.
    """
    extent = (right + 1, bottom + 1)
    if max(extent) > LARGEST_SIDE:
        raise SpikeError(
            f"{path} has an event at ({right}, {bottom}), outside every known sensor; wanted at most {LARGEST_SIDE} "
            "pixels in a row; check that the file is of the format its name says"
        )
    known = next((size for size in SENSORS if right < size[0] and bottom < size[1]), None)
    width, height = known or extent
    kind = "known sensor that holds all events" if known else "extent of its events"
    return (
        width,
        height,
    ), f"the file names no sensor: took {width} x {height}, the {kind}; {named('sensor')} WxH overrules"
