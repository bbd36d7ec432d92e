"""`spikecli data simulate`: events of a video or of a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.groups import with_groups
from spikecli.console import Console
from spikecli.errors import SpikeError

Source = Annotated[
    Path, typer.Argument(metavar="VIDEO|FOLDER", readable=False, help="A video, a GIF, or a folder of pictures.")
]
Out = Annotated[Path, typer.Option(readable=False, help="The .npz to write, which every command here reads.")]
Fps = Annotated[
    float | None, typer.Option(min=0.001, help="Frames a second.", show_default="the file's; 30 for a folder")
]
Threshold = Annotated[float, typer.Option(help="Rise of log intensity that causes an event.")]
OffThreshold = Annotated[
    float | None, typer.Option(help="Fall that causes a darker event.", show_default="as --threshold")
]
Mismatch = Annotated[float, typer.Option(help="Standard deviation of the thresholds over the pixels.")]
Refractory = Annotated[float, typer.Option(help="µs for which a pixel is silent after an event.")]
Leak = Annotated[float, typer.Option(help="Leak noise: brighter events a second and pixel.")]
Shot = Annotated[float, typer.Option(help="Shot noise: events of either polarity a second and pixel.")]


@dataclass(frozen=True)
class PixelOptions:
    """Options of the pixels."""

    panel: ClassVar[str] = "Pixels (v2e, arXiv 2006.07722)"

    threshold: Threshold = 0.2
    off_threshold: OffThreshold = None
    mismatch: Mismatch = 0.0
    refractory: Refractory = 0.0
    leak: Leak = 0.0
    shot: Shot = 0.0


@with_groups
def simulate(
    source: Source,
    out: Out,
    pixels: PixelOptions,
    speech: options.Output,
    fps: Fps = None,
    seed: options.Seed = 0,
) -> None:
    """Write the events that an event camera would have sent of a video: the contrast-threshold model of v2e and ESIM.

    Example: spikecli data simulate clip.mp4 --out events.npz --threshold 0.3 --mismatch 0.03
    """
    import numpy as np

    from spikecli.datasets.events import simulate as model
    from spikecli.datasets.events.video import frames_of, write_npz
    from spikecli.files.atomic import demand_place

    if out.suffix != ".npz":
        raise SpikeError(f"found --out {out}; wanted a .npz")
    demand_place(out)
    off = pixels.threshold if pixels.off_threshold is None else pixels.off_threshold
    pixel = model.Pixel(pixels.threshold, off, pixels.mismatch, pixels.refractory, pixels.leak, pixels.shot)
    console, seen = Console(speech.as_json, speech.quiet), _Seen()
    with console.progress("simulating", unit="frames") as advance:
        parts = list(model.simulate(seen.pass_on(frames_of(source, fps), advance), pixel, seed))
    if seen.frames < 2:
        raise SpikeError(f"found {seen.frames} frame{'s' * (seen.frames != 1)} in {source}; wanted two or more")
    if not sum(map(len, parts)):
        raise SpikeError(f"{source} gives no event: nothing changes by {pixels.threshold:g}; lower --threshold")
    events = np.concatenate(parts)
    write_npz(out, events, (seen.width, seen.height))
    brighter, sensor = int(events["p"].sum()), f"{seen.width}x{seen.height}"
    known = {"out": str(out), "events": len(events), "brighter": brighter, "sensor": sensor}
    console.document({**known, "frames": seen.frames, "seconds": seen.seconds, "seed": seed})
    console.say(
        f"{seen.frames} frames, {seen.seconds:.2f} s → {out}: {len(events):,} events on {sensor} pixels, "
        f"{brighter / len(events):.0%} brighter"
    )


@dataclass
class _Seen:
    """What the frames of a film were, as they passed."""

    frames: int = 0
    seconds: float = 0.0
    width: int = 0
    height: int = 0

    def pass_on(self, film: Iterable[tuple[float, Any]], advance: Callable[[int], None]) -> Iterator[tuple[float, Any]]:
        """Yield the frames, and note their number, last time and size."""
        for when, gray in film:
            self.frames, self.seconds = self.frames + 1, when / 1e6
            self.height, self.width = gray.shape
            advance(1)
            yield when, gray
