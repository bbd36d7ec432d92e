"""`spikecli watch`: name what a stream of events shows, while it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.evaluation import Confidence
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import ReadingOptions
from spikecli.cli.shown.notes import FileNotes
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.datasets.events.facts import EventFacts
    from spikecli.live.watcher import LiveAnswer, Stepper

Run = Annotated[
    Path, typer.Argument(readable=False, help="A run folder or weights file of a network on recordings, or an adapter.")
]
Source = Annotated[
    str,
    typer.Argument(help="A recording, played at its own speed; a growing .rows file; - for stdin; udp://HOST:PORT."),
]
WindowOf = Annotated[
    str, typer.Option("--window", help="Length of a window: a time such as 100ms, or a number of events: 5000.")
]
Hop = Annotated[str | None, typer.Option(help="Beginning of the next window, if they overlap.", show_default="window")]
Keep = Annotated[int, typer.Option(min=1, help="Number of last steps whose mean is the answer.")]
Speed = Annotated[float, typer.Option(min=0, help="Speed of a recording: 1 is real time; 0: as fast as possible.")]
Idle = Annotated[float, typer.Option(min=0, help="Seconds without events that end a stream; 0: never.")]
UntilSure = Annotated[bool, typer.Option("--until-sure", help="End at the first answer that is sure.")]
Record = Annotated[
    Path | None, typer.Option(readable=False, help="Write a film of the windows and answers: .mp4 or .gif.")
]
MOST_FRAMES = 5_000  # of a film


@dataclass(frozen=True)
class _Watched:
    """The stepper of a run, and the facts of the data that it was trained on, if known."""

    stepper: Stepper
    facts: EventFacts | None


@dataclass(frozen=True)
class StreamOptions:
    """Options of the windows, of the answers and of the film."""

    window: WindowOf = "100ms"
    hop: Hop = None
    keep: Keep = 8
    speed: Speed = 1.0
    idle: Idle = 5.0
    until_sure: UntilSure = False
    confidence: Confidence = 0.9
    record: Record = None


@with_groups
def watch(
    run: Run,
    source: Source,
    turned: StreamOptions,
    reading: ReadingOptions,
    speech: options.Output,
    data_dir: options.DataDir = options.DATA_DIR,
    device: options.Device = "auto",
) -> None:
    """Answer after each window of a stream of events; membranes are carried on. With --json, one line a window.

    Example: spikecli watch checkpoints/my-run gesture.bin, or spikecli watch adapter.safetensors udp://127.0.0.1:4000
    """
    from spikecli.evaluation.stopping import StopRule
    from spikecli.live import sources, watcher
    from spikecli.live.windows import window_of

    span, console = window_of(turned.window, turned.hop), Console(speech.as_json, speech.quiet)
    _check_film(turned.record)
    seen = _opened(run, turned.keep, data_dir, device)
    how = reading.options(FileNotes(console))
    stream = sources.opened(source, turned.speed, turned.idle, seen.facts, how)
    sensor = stream.sensor or (seen.facts.sensor if seen.facts else None)
    if sensor is None:
        raise SpikeError(f"{source} names no sensor; give --sensor WxH, such as 128x128")
    found = watcher.answers(seen.stepper, stream, span, sensor, StopRule(turned.confidence))
    _show(console, found, seen.stepper.classnames, turned)


def _show(console: Console, found: Iterator[LiveAnswer], classnames: tuple[str, ...], turned: StreamOptions) -> None:
    """Show each answer as it comes, and write the film at the end."""
    kept: list[tuple[Any, str]] = []
    with console.live(("s", "answer", "probability", "events", "ms", "lost", "dropped")) as show:
        for answer in found:
            name, share = _best(answer, classnames)
            console.json_line(_document(answer, classnames))
            show(_row(answer, name, share))
            if turned.record is not None and len(kept) < MOST_FRAMES:
                kept.append((answer.counts, f"{answer.t / 1e6:.2f} s   {name}   {share:.0%}"))
            if turned.until_sure and answer.sure:
                break
    if turned.record is not None and kept:
        from spikecli.view.recordings.live import save_live

        save_live(turned.record, kept)
        console.note(f"wrote {turned.record}")


def _opened(run: Path, keep: int, data_dir: Path, device: str) -> _Watched:
    """Return what answers; raise SpikeError if the run is not of recordings."""
    from spikecli.datasets.provenance import facts_at_training
    from spikecli.live.watcher import ClipStepper, NetworkStepper
    from spikecli.neuroclip.adapted import open_any
    from spikecli.weights.adapted import Adapted

    trained = open_any(run, device, data_dir)
    if isinstance(trained, Adapted):
        return _Watched(ClipStepper(trained, keep), None)
    facts: Any = facts_at_training(trained)
    if facts.kind != "events":
        raise SpikeError(
            f"{trained.name} was trained on {facts.kind}; a stream of events needs a network on recordings"
        )
    return _Watched(NetworkStepper(trained, keep), facts)


def _check_film(record: Path | None) -> None:
    """Raise SpikeError if the film's ending is of no film."""
    if record is not None:
        from spikecli.view.drawing.film import FILMS

        if record.suffix not in FILMS:
            raise SpikeError(f"found --record {record}; wanted a film: {', '.join(FILMS)}")


def _best(answer: LiveAnswer, classnames: tuple[str, ...]) -> tuple[str, float]:
    share = max(answer.probabilities)
    return classnames[answer.probabilities.index(share)], share


def _document(answer: LiveAnswer, classnames: tuple[str, ...]) -> dict[str, Any]:
    name, share = _best(answer, classnames)
    return {
        "step": answer.step,
        "t": answer.t,
        "events": answer.events,
        "class": name,
        "probability": share,
        "sure": answer.sure,
        "probabilities": dict(zip(classnames, answer.probabilities, strict=True)),
        "behind_ms": answer.behind_ms,
        "lost_datagrams": answer.lost_datagrams,
        "dropped_events": answer.dropped_events,
    }


def _row(answer: LiveAnswer, name: str, share: float) -> tuple[str, ...]:
    sure = f"{name} (sure)" if answer.sure else name
    numbers = (
        f"{answer.events:,}",
        f"{answer.behind_ms:.1f}",
        str(answer.lost_datagrams),
        f"{answer.dropped_events:,}",
    )
    return f"{answer.t / 1e6:.2f}", sure, f"{share:.1%}", *numbers
