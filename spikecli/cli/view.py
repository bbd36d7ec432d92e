"""`spikecli view`: show data, a network's predictions for them, and training runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options import evaluation as run_options
from spikecli.cli.options import recordings as event_options
from spikecli.cli.options.common import DATA_DIR, DataDir, Seed
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import ReadingOptions
from spikecli.cli.shown.notes import FileNotes
from spikecli.console import Advance, Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE…",
        help="Files of points, meshes, events or pictures, DATASET:SPLIT:INDEX, or run folders.",
        autocompletion=complete.ablations,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="A .png, .svg, .pdf, .gif, .mp4 or .html file to write; without it, a window."),
]
Show = Annotated[
    str | None,
    typer.Option(
        "--show",
        help="With --checkpoint, spikes: which neurons fire when; membranes: their potentials and the threshold. With "
        "a recording, clip: the pictures that CLIP gets, and its answers.",
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        readable=False,
        help="A run folder or weights: show what that network sees.",
        autocompletion=complete.runs,
    ),
]
Against = Annotated[
    Path | None,
    typer.Option("--against", help="A second network, with --show membranes.", autocompletion=complete.runs),
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
Theme = Annotated[Literal["light", "dark"], typer.Option("--theme", help="Color of the paper.")]


@with_groups
def view(
    sources: Sources,
    recordings: event_options.RecordingOptions,
    through: event_options.ThroughClip,
    evaluation: run_options.RunEvalOptions,
    reading: ReadingOptions,
    output: options.Output,
    out: Out = None,
    show: Show = None,
    checkpoint: Checkpoint = None,
    against: Against = None,
    color: Color = None,
    points: Points = None,
    timesteps: Timesteps = None,
    theme: Theme = "light",
    data_dir: DataDir = DATA_DIR,
    seed: Seed = 0,
) -> None:
    """Show clouds, recordings or pictures: a window, or a PNG, a GIF or MP4 film, or a page that turns with the mouse.

    With --checkpoint, the classes step by step and the points that decided them, its spikes or its membranes.

    Runs: learning curves, accuracy against T and energy, mistakes. An ablation's folder: its seeds as bands.

    Example: spikecli view shapes:test:0 --checkpoint checkpoints/demo --out demo.png
    """
    from spikecli.view.look import ClipLook, EventLook, Look
    from spikecli.view.sources import timesteps_of

    console = Console(output.as_json, output.quiet)
    kind = _kind(sources, data_dir)
    look_at = _looker(kind, show)
    look = Look(
        tuple(sources), data_dir, out, _opened(checkpoint), timesteps or timesteps_of(kind), points, theme, seed, color,
        EventLook(**vars(recordings)), ClipLook(**vars(through)), evaluation.split, evaluation.runs, _opened(against),
        reading.options(FileNotes(console)),
    )  # fmt: skip
    with console.progress("drawing" if out else "opening a window", total=look.work) as advance:
        document = look_at(look, advance)
    _say(console, document)


def _kind(sources: list[str], data_dir: Path) -> str:
    """Return the kind of the sources; raise SpikeError if they are of several kinds."""
    from spikecli.view.sources import kind_of

    kinds = sorted({kind_of(source, data_dir) for source in sources})
    if len(kinds) > 1:
        raise SpikeError(f"found sources of different kinds ({', '.join(kinds)}); give one kind at a time")
    return kinds[0]


def _looker(kind: str, show: str | None) -> Callable[[Any, Advance], dict[str, Any]]:
    """Return the function that draws `show` for a kind of source; raise SpikeError if there is none."""
    from spikecli.view.clouds.flow import look_at_points
    from spikecli.view.clouds.membranes import look_at_membranes
    from spikecli.view.clouds.spikes import look_at_spikes
    from spikecli.view.images.flow import look_at_images
    from spikecli.view.recordings.flow import look_at_clip, look_at_events
    from spikecli.view.runs.flow import look_at_runs

    lookers: dict[tuple[str, str | None], Callable[[Any, Any], dict[str, Any]]] = {
        ("points", None): look_at_points,
        ("points", "spikes"): look_at_spikes,
        ("points", "membranes"): look_at_membranes,
        ("events", None): look_at_events,
        ("events", "clip"): look_at_clip,
        ("images", None): look_at_images,
        ("runs", None): look_at_runs,
    }
    if (kind, show) not in lookers:
        known = " or ".join(f"--show {word}" for other, word in lookers if other == kind and word)
        wanted = f"wanted {known}, or no --show" if known else "remove --show"
        raise SpikeError(f"found --show {show}, which cannot show {kind}; {wanted}")
    return lookers[kind, show]


def _opened(given: Path | None) -> Trained | None:
    """Return the network of a run folder or weights file; None for None."""
    if given is None:
        return None
    from spikecli.weights.trained import Trained

    return Trained.open(given)


def _say(console: Console, document: dict[str, Any]) -> None:
    for line in document.get("warnings", ()):
        console.warn(line)
    for line in _lines(document):
        console.say(line)
    if document["out"]:
        console.say(f"wrote {document['out']}")
    console.document(document)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield a line of result for each time step or layer of the sources."""
    for record in document.get("sources", ()):
        for step in record.get("predictions", ()):
            yield f"{record['name']}  T = {step['timesteps']}  {step['class']}  {step['probability']:.1%}"
        for layer in record.get("layers", ()):
            rates = "  ".join(f"{rate:.1%}" for rate in layer["firing_rate"])
            yield f"{record['name']}  {layer['layer']}  firing at T = 1…{len(layer['firing_rate'])}: {rates}"
    for run in document.get("runs", ()):
        for row in run.get("results", ()):
            deviation = row["instance_accuracy_std"]
            spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
            accuracy = f"{row['instance_accuracy']:.2%}{spread}"
            yield f"{run['run']}  T = {row['timesteps']}  {accuracy}  {row['energy_uj']:.0f} µJ"
    for network in document.get("networks", ()):
        for layer in network["layers"]:
            told = f"u {layer['mean']:.3f} ± {layer['std']:.3f}, {layer['share_beyond_threshold']:.1%} fire"
            yield f"{network['checkpoint']}  {layer['layer']}  {told}"
