"""Sensors of event cameras: by the name in a header, or else by the extent of the events."""

from __future__ import annotations

import re
from pathlib import Path

from spikecli.datasets.events.columns import LARGEST_SIDE, Size
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
