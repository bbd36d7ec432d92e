"""`spikecli view`: look at data, and at what a network made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spikecli.cli import clip_options, event_options
from spikecli.cli.options import DATA_DIR, DataDir, Seed
from spikecli.console import Advance, Console
from spikecli.errors import SpikeError

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE…", help="Files of points, meshes or events, or DATASET:SPLIT:INDEX.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="A .png, .gif, .mp4 or .html file to write; without it, a window.")
]
Show = Annotated[
    str | None, typer.Option("--show", help="clip: the pictures CLIP is given of a recording, and its answers.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", readable=False, help="A run folder or weights: show what that network sees."),
]
Timesteps = Annotated[
    int | None,
    typer.Option("--timesteps", "-T", min=1, help="Time steps T.", show_default="4; 10 slices of a recording"),
]
Points = Annotated[
    int | None, typer.Option("--points", min=2, help="Points to draw.", show_default="all; 4096 of a mesh")
]
Color = Annotated[
    str | None,
    typer.Option(
        "--color",
        help="Of clouds: height, normal (where the surface faces), or, with --checkpoint, wins or spikes.",
        show_default="height; wins with --checkpoint",
    ),
]
TIMESTEPS = {"points": 4, "events": 10}  # by kind of source, unless told otherwise
Theme = Annotated[Literal["light", "dark"], typer.Option("--theme", help="Color of the paper.")]


@clip_options.with_groups
def view(
    sources: Sources,
    recordings: event_options.Recordings,
    through: event_options.ThroughClip,
    speech: clip_options.Speech,
    out: Out = None,
    show: Show = None,
    checkpoint: Checkpoint = None,
    color: Color = None,
    points: Points = None,
    timesteps: Timesteps = None,
    theme: Theme = "light",
    data_dir: DataDir = DATA_DIR,
    seed: Seed = 0,
) -> None:
    """Show clouds or recordings: a window, or a PNG, a GIF or MP4 film, or a page that turns under the mouse.

    With --checkpoint, the classes step by step and the points that decided them.

    Example: spikecli view shapes:test:0 --checkpoint checkpoints/demo --out demo.png
    """
    from spikecli.view.event_look import ClipLook, EventLook
    from spikecli.view.look import Look
    from spikecli.view.sources import kind_of

    console = Console(speech.as_json, speech.quiet)
    kinds = sorted({kind_of(source) for source in sources})
    if len(kinds) > 1:
        raise SpikeError(f"found sources of different kinds ({', '.join(kinds)}); give one kind at a time")
    look_at = _looker(kinds[0], show)
    look = Look(
        tuple(sources), data_dir, out, checkpoint, timesteps or TIMESTEPS[kinds[0]], points, theme, seed, color,
        EventLook(**vars(recordings)), ClipLook(**vars(through)),
    )  # fmt: skip
    with console.progress("drawing" if out else "opening a window", total=look.work) as advance:
        document = look_at(look, advance)
    _say(console, document)


def _looker(kind: str, show: str | None) -> Callable[[Any, Advance], dict[str, Any]]:
    """Return what draws `show` of sources of a kind; SpikeError when there is nothing of the name."""
    from spikecli.view.events import look_at_clip, look_at_events
    from spikecli.view.look import look_at_points

    lookers: dict[tuple[str, str | None], Callable[[Any, Any], dict[str, Any]]] = {
        ("points", None): look_at_points,
        ("events", None): look_at_events,
        ("events", "clip"): look_at_clip,
    }
    if (kind, show) not in lookers:
        known = ", ".join(f"{word} for {kind}" for kind, word in lookers if word)
        raise SpikeError(f"found --show {show} for {kind}; wanted one of: {known}; or leave it out")
    return lookers[kind, show]


def _say(console: Console, document: dict[str, Any]) -> None:
    for record in document["sources"]:
        for step in record.get("predictions", ()):
            console.say(f"{record['name']}  T = {step['timesteps']}  {step['class']}  {step['probability']:.1%}")
    if document["out"]:
        console.say(f"wrote {document['out']}")
    console.document(document)
