"""Gray frames with times, of a folder of pictures, a GIF, or a video that ffmpeg reads; and events to a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.datasets.upright import upright
from spikecli.datasets.walk import files_in
from spikecli.errors import SpikeError
from spikecli.files.atomic import atomic_path
from spikecli.files.extras import needed
from spikecli.files.gate import reading

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
Frame = tuple[float, np.ndarray]  # time in µs, gray (H, W) float64 in 0 … 255
_RATE = 30.0  # frames a second of a folder, unless given


def frames_of(source: Path, fps: float | None = None) -> Iterator[Frame]:
    """Yield the frames of a folder, a GIF or a video; `fps` overrules the file's own pace, 30 a second for a folder.

    Raise SpikeError if there are no frames, or they cannot be read.
    """
    if source.is_dir():
        return _folder(source, fps or _RATE)
    if source.suffix.lower() == ".gif":
        return _gif(source, fps)
    if not source.is_file():
        raise SpikeError(f"found no video or folder of pictures at {source}; check the path")
    return _video(source, fps)


def _folder(folder: Path, fps: float) -> Iterator[Frame]:
    files = files_in(folder, PICTURES)
    if len(files) < 2:
        found = f"{len(files)} picture{'s' * (len(files) != 1)}"
        raise SpikeError(f"found {found} in {folder}; wanted two or more: {', '.join(PICTURES)}")

    def numbered(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]

    for number, path in enumerate(sorted(files, key=numbered)):
        with reading(path, "write the picture again"):
            from PIL import Image

            with Image.open(path) as picture:
                gray = _gray(picture)
        yield number * 1e6 / fps, gray


def _gray(picture: Image) -> np.ndarray:
    return np.asarray(upright(picture).convert("L"), np.float64)


def _gif(path: Path, fps: float | None) -> Iterator[Frame]:
    with reading(path, "write the film again"):
        from PIL import Image, ImageSequence

        when = 0.0
        with Image.open(path) as film:
            for picture in ImageSequence.Iterator(film):
                yield when, _gray(picture)
                when += 1e6 / fps if fps else 1e3 * max(10, picture.info.get("duration", 100))


def _video(path: Path, fps: float | None) -> Iterator[Frame]:
    imageio_ffmpeg: Any = needed("imageio_ffmpeg", "a video", "or give a folder of pictures")
    with reading(path, "check that ffmpeg plays it, or give a folder of pictures"):
        frames = imageio_ffmpeg.read_frames(str(path), pix_fmt="gray", bits_per_pixel=8)
        about = next(frames)
        width, height = about["size"]
        step = 1e6 / (fps or about["fps"])
        for number, frame in enumerate(frames):
            yield number * step, np.frombuffer(frame, np.uint8).reshape(height, width).astype(np.float64)


def write_npz(path: Path, events: np.ndarray, sensor: tuple[int, int]) -> None:
    """Write events as arrays x, y, t, p, which every reader of .npz knows; t_offset says that t is in µs.

    `sensor` is its width and height in pixels, which are kept beside them.
    """
    events = events.astype(EVENT, copy=False)
    with atomic_path(path) as temporary:
        x, y, t, p = (events[axis] for axis in "xytp")
        width, height = np.array(sensor)
        np.savez_compressed(temporary, x=x, y=y, t=t, p=p, t_offset=np.int64(0), width=width, height=height)
