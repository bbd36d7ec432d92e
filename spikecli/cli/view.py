"""`spikecli view`: look at data, at what a network made of it, and at training runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from spikecli.cli.clip_options import Speech, with_groups
from spikecli.cli.view_options import Asked, Drawing, Scoring
from spikecli.console import Advance, Console
from spikecli.errors import SpikeError

Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE…", help="Files of points or meshes, DATASET:SPLIT:INDEX, or run folders."),
]


@with_groups
def view(sources: Sources, drawing: Drawing, asked: Asked, scoring: Scoring, speech: Speech) -> None:
    """Show point clouds side by side: a window, or a PNG, a turntable GIF or MP4, or a page that turns under the mouse.

    With --checkpoint, the classes step by step and the points that decided them, its spikes or its membranes.

    Run folders: learning curves, accuracy against time and energy, confusions and mistakes, as a PNG or a page.

    Example: spikecli view shapes:test:0 --checkpoint checkpoints/demo --out demo.png
    """
    from spikecli.view.look import Look, look_at_points
    from spikecli.view.membranes import look_at_membranes
    from spikecli.view.report import look_at_runs
    from spikecli.view.sources import kind_of
    from spikecli.view.spikes import look_at_spikes

    lookers: dict[str, Callable[[Look, Advance], dict[str, Any]]] = {
        "points": look_at_points,
        "runs": look_at_runs,
        "spikes": look_at_spikes,
        "membranes": look_at_membranes,
    }
    console = Console(speech.as_json, speech.quiet)
    kinds = sorted({kind_of(source) for source in sources})
    if len(kinds) > 1:
        raise SpikeError(f"found sources of different kinds ({', '.join(kinds)}); give one kind at a time")
    shown = _of_network(kinds[0], asked)
    look = Look(
        tuple(sources), scoring.data_dir, drawing.out, asked.checkpoint, asked.timesteps, drawing.points,
        drawing.theme, scoring.seed, scoring.split, scoring.runs, asked.against,
    )  # fmt: skip
    with console.progress("drawing" if look.out else "opening a window", total=look.work) as advance:
        document = lookers[shown](look, advance)
    for line in document.get("left_out", ()):
        console.warn(line)
    for line in _lines(document):
        console.say(line)
    if look.out:
        console.say(f"wrote {look.out}")
    console.document(document)


def _of_network(kind: str, asked: Asked) -> str:
    """Return what is to be drawn of sources of a kind; SpikeError when the options contradict each other."""
    if asked.against and asked.show != "membranes":
        raise SpikeError("found --against, which compares membranes; add --show membranes")
    if asked.show == "points":
        return kind
    if kind != "points":
        raise SpikeError(f"--show {asked.show} is for point clouds, found {kind}; give a cloud such as shapes:test:0")
    if asked.checkpoint is None:
        raise SpikeError(f"--show {asked.show} needs a network; give one with --checkpoint RUN")
    return asked.show


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield a line of result for each time step of what was looked at."""
    for record in document.get("sources", ()):
        for step in record.get("predictions", ()):
            yield f"{record['name']}  T = {step['timesteps']}  {step['class']}  {step['probability']:.1%}"
        for layer in record.get("layers", ()):
            rates = "  ".join(f"{rate:.1%}" for rate in layer["firing_rate"])
            yield f"{record['name']}  {layer['layer']}  firing at T = 1…{len(layer['firing_rate'])}: {rates}"
    for run in document.get("runs", ()):
        for row in run.get("results", ()):
            accuracy = f"{row['instance_accuracy']:.2%} ± {100 * row['instance_accuracy_std']:.2f}"
            yield f"{run['run']}  T = {row['timesteps']}  {accuracy}  {row['energy_uj']:.0f} µJ"
    for network in document.get("networks", ()):
        for layer in network["layers"]:
            yield (
                f"{network['checkpoint']}  {layer['layer']}  u {layer['mean']:.3f} ± {layer['std']:.3f}, "
                f"{layer['share_beyond_threshold']:.1%} beyond the threshold"
            )
