"""`spikecli view`: look at data, and at what a network made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spikecli.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, Quiet, Seed
from spikecli.console import Console
from spikecli.errors import SpikeError

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE…", help="Files of points or meshes, or DATASET:SPLIT:INDEX.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="A .png, .gif, .mp4 or .html file to write; without it, a window.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", readable=False, help="A run folder or weights: show what that network sees."),
]
Timesteps = Annotated[int, typer.Option("--timesteps", min=1, help="Time steps T, with --checkpoint.")]
Points = Annotated[
    int | None, typer.Option("--points", min=2, help="Points to draw.", show_default="all; 4096 of a mesh")
]
Theme = Annotated[Literal["light", "dark"], typer.Option("--theme", help="Color of the paper.")]


def view(
    sources: Sources,
    out: Out = None,
    checkpoint: Checkpoint = None,
    timesteps: Timesteps = 4,
    points: Points = None,
    theme: Theme = "light",
    data_dir: DataDir = DATA_DIR,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: ConfigFile = None,
) -> None:
    """Show point clouds side by side: a window, or a PNG, a turntable GIF or MP4, or a page that turns under the mouse.

    With --checkpoint, the classes step by step and the points that decided them.

    Example: spikecli view shapes:test:0 --checkpoint checkpoints/demo --out demo.png
    """
    from spikecli.view.look import Look, look_at_points
    from spikecli.view.sources import kind_of

    lookers = {"points": look_at_points}
    console = Console(as_json=as_json, quiet=quiet)
    kinds = sorted({kind_of(source) for source in sources})
    if len(kinds) > 1:
        raise SpikeError(f"found sources of different kinds ({', '.join(kinds)}); give one kind at a time")
    look = Look(tuple(sources), data_dir, out, checkpoint, timesteps, points, theme, seed)
    with console.progress("drawing" if out else "opening a window", total=look.work) as advance:
        document = lookers[kinds[0]](look, advance)
    for record in document["sources"]:
        for step in record.get("predictions", ()):
            console.say(f"{record['name']}  T = {step['timesteps']}  {step['class']}  {step['probability']:.1%}")
    if out:
        console.say(f"wrote {out}")
    console.document(document)
