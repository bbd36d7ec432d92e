"""Films of pictures as GIF or MP4; a rotating sheet of clouds."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikecli.errors import SpikeError
from spikecli.files.atomic import atomic_path
from spikecli.files.extras import MissingExtra, needed
from spikecli.view.drawing.canvas import AZIMUTH, Sheet, pixels

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES = 48  # in one turn
RATE = 16  # frames a second
DOTS = 100  # pixels an inch
AZIMUTHS = tuple(float(angle) for angle in AZIMUTH + np.arange(FRAMES) * 360 / FRAMES)


def turn(sheet: Sheet, on_frame: Callable[[int], None]) -> Iterator[Image]:
    """Yield the sheet from all sides; `on_frame` is called for each frame."""
    for azimuth in AZIMUTHS:
        yield pixels(sheet.figure(azimuth), DOTS)
        on_frame(1)


def save_gif(
    images: Iterable[Image], path: Path, rate: float = RATE, sample: Image | None = None, title: str = ""
) -> None:
    """Write the images as a GIF that repeats, `rate` a second; the colors are those of `sample`, or of the first."""
    from PIL.Image import Dither

    frames: list[Image] = []
    palette, colors = sample.quantize(192) if sample else None, None
    for image in images:
        # One palette for all frames: colors of its own in each would flicker.
        palette = palette or image.quantize(192)
        frame = image.quantize(palette=palette, dither=Dither.NONE)
        colors = colors or _with_paper(frame, image)
        frame.putpalette(colors)
        frames.append(frame)
    with atomic_path(path) as temporary:
        frames[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=_durations(len(frames), rate),
            loop=0,
            optimize=False,
            comment=f"{title} (spikecli)".encode(),
        )


def _durations(frames: int, rate: float) -> list[int]:
    """Return the time of each frame in ms: whole hundredths of a second, as GIFs require, with the right sum."""
    ends = (np.arange(frames + 1) * 100 / rate).round().astype(int)
    return (np.diff(ends) * 10).tolist()


def _with_paper(frame: Image, image: Image) -> list[int]:
    """Return the frame's palette with the exact background color, so that the film has no visible edge on a page."""
    colors, place = frame.getpalette(), frame.getpixel((0, 0))
    assert colors is not None and isinstance(place, int)
    return [*colors[: 3 * place], *np.asarray(image)[0, 0].tolist(), *colors[3 * place + 3 :]]


def save_mp4(
    images: Iterable[Image], path: Path, rate: float = RATE, sample: Image | None = None, title: str = ""
) -> None:
    """Write the images as an MP4 film that every browser plays, `rate` a second; `sample` is not used.

    Raise SpikeError if ffmpeg fails.
    """
    program, images = ffmpeg(), iter(images)
    first = next(images)
    given = f"-f rawvideo -pix_fmt rgb24 -s {first.width}x{first.height} -r {rate} -i -"
    wanted = "-c:v libx264 -crf 24 -pix_fmt yuv420p -movflags +faststart -f mp4"
    with atomic_path(path) as temporary, tempfile.TemporaryFile() as words:
        command = [program, "-y", "-loglevel", "error", *given.split(), *wanted.split()]
        command += ["-metadata", f"title={title}", "-metadata", "comment=spikecli", str(temporary)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=words) as encoder:
            assert encoder.stdin is not None
            try:
                for image in itertools.chain([first], images):
                    encoder.stdin.write(np.asarray(image).tobytes())
                encoder.stdin.close()
            except BrokenPipeError:
                encoder.wait()  # its own words, below, say why it ended early
        if encoder.returncode:
            words.seek(0)
            last = (words.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise SpikeError(f"ffmpeg could not write {path} (exit {encoder.returncode}: {last}); name a .gif instead")


def encoders(suffix: str) -> tuple[str, ...]:
    """Return the packages that a film with this suffix needs, beside those of its pictures."""
    return ("imageio_ffmpeg",) if suffix == ".mp4" and shutil.which("ffmpeg") is None else ()


def ffmpeg() -> str:
    """Return the path of an ffmpeg program, of the package or the system; raise SpikeError if there is neither."""
    try:
        return str(needed("imageio_ffmpeg", "MP4", "or name a .gif").get_ffmpeg_exe())
    except MissingExtra:
        if found := shutil.which("ffmpeg"):
            return found
        raise


FILMS = {".gif": save_gif, ".mp4": save_mp4}
