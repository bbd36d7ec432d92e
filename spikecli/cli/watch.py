"""`spikecli watch`: name what a stream of events shows, while it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecli.cli.options import clip as clip_options
from spikecli.cli.options import common as options
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import ReadingOptions
from spikecli.cli.options.streams import Lines, StreamOptions
from spikecli.cli.shown.notes import FileNotes
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.datasets.events.facts import EventFacts
    from spikecli.live.watcher import LiveAnswer, Stepper
    from spikecli.weights.adapted import Adapted

Run = Annotated[
    Path,
    typer.Argument(
        readable=False, help="A run folder or weights file of a network on recordings, an adapter, zeroshot."
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        help="A recording, played at its own speed; a growing .rows file; - for stdin; udp:// or tcp://HOST:PORT."
    ),
]
ZEROSHOT = "zeroshot"
COLUMNS = ("s", "answer", "probability", "events", "ms", "lost", "dropped")
MOST_FRAMES = 5_000  # of a film


@dataclass(frozen=True)
class _Watched:
    """The stepper of a run, and the facts of the data that it was trained on, if known."""

    stepper: Stepper
    facts: EventFacts | None


@dataclass(frozen=True)
class ZeroShot:
    """Options of `zeroshot`, which is CLIP alone: the model, the class names, the style of pictures."""

    clip: clip_options.Clip = None
    weights: clip_options.Weights = None
    classes: clip_options.Classes = None
    templates: clip_options.Templates = None
    image_preset: clip_options.ImagePreset = "gray"
    normalization: clip_options.Normalization = "clip"


@with_groups
def watch(
    run: Run,
    source: Source,
    turned: StreamOptions,
    reading: ReadingOptions,
    asked: ZeroShot,
    speech: Lines,
    data_dir: options.DataDir = options.DATA_DIR,
    device: options.Device = "auto",
) -> None:
    """Answer after each window of a stream of events; membranes are carried on.

    Example: spikecli watch checkpoints/my-run gesture.bin, or spikecli watch zeroshot 7.bin --classes zero,seven
    """
    from spikecli.evaluation.stopping import StopRule
    from spikecli.live import sources, watcher
    from spikecli.live.windows import window_of

    span, console = window_of(turned.window, turned.hop), Console(speech.as_json, speech.quiet)
    _check_film(turned.record)
    seen = _opened(run, turned.keep, asked, data_dir, device)
    how = reading.options(FileNotes(console))
    with _pictured(turned.picture) as pictured:
        stream = sources.opened(source, turned.speed, turned.idle, seen.facts, how, console.note)
        sensor = stream.sensor or (seen.facts.sensor if seen.facts else None)
        if sensor is None:
            raise SpikeError(f"{source} names no sensor; give --sensor WxH, such as 128x128")
        found = watcher.answers(seen.stepper, stream, span, sensor, StopRule(turned.confidence))
        if not _show(console, found, seen.stepper.classnames, turned, pictured):
            raise SpikeError(
                f"{source} ended before a window of {turned.window} was full; give a shorter --window, or check what "
                "sends it"
            )


def _show(
    console: Console,
    found: Iterator[LiveAnswer],
    classnames: tuple[str, ...],
    turned: StreamOptions,
    pictured: Callable[[Any, str], bool],
) -> int:
    """Show each answer as it comes and return their number; the film is written also where Ctrl-C ends them."""
    kept, steps = list[tuple[Any, str]](), 0
    try:
        with console.live(COLUMNS) as show:
            for answer in found:
                steps, (name, share) = answer.step, _best(answer, classnames)
                console.json_line(_document(answer, classnames, name, share))
                show(_row(answer, name, share))
                text = f"{answer.t / 1e6:.2f} s   {name}   {share:.0%}"
                if turned.record is not None and len(kept) < MOST_FRAMES:
                    kept.append((answer.counts, text))
                if not pictured(answer.counts, text) or (turned.until_sure and answer.sure):
                    break
    finally:
        if turned.record is not None and kept:
            from spikecli.view.recordings.live import save_live

            save_live(turned.record, kept)
            console.note(f"wrote {turned.record}")
    return steps


def _pictured(wanted: bool) -> AbstractContextManager[Callable[[Any, str], bool]]:
    """Return a window's block, or one whose function shows nothing."""
    if not wanted:
        return nullcontext(lambda counts, text: True)
    from spikecli.files.extras import demand
    from spikecli.view.recordings.live import live_window

    demand("matplotlib", what="--picture")
    return live_window("spikecli watch")


def _opened(run: Path, keep: int, asked: ZeroShot, data_dir: Path, device: str) -> _Watched:
    """Return what answers; raise SpikeError if the run is not of recordings, or options are given that it ignores."""
    from spikecli.datasets.provenance import facts_at_training
    from spikecli.live.watcher import ClipStepper, NetworkStepper
    from spikecli.neuroclip.adapted import open_any
    from spikecli.weights.adapted import Adapted

    if str(run) == ZEROSHOT:
        return _Watched(ClipStepper(_zero_shot(asked, data_dir, device), keep), None)
    if asked != ZeroShot():
        raise SpikeError(f"found options of CLIP beside {run}, which brings its own; watch {ZEROSHOT} with them")
    trained = open_any(run, device, data_dir)
    if isinstance(trained, Adapted):
        return _Watched(ClipStepper(trained, keep), None)
    facts: Any = facts_at_training(trained)
    if facts.kind != "events":
        raise SpikeError(
            f"{trained.name} was trained on {facts.kind}; a stream of events needs a network on recordings"
        )
    return _Watched(NetworkStepper(trained, keep), facts)


def _zero_shot(asked: ZeroShot, data_dir: Path, device: str) -> Adapted:
    """Return CLIP as an adapter that leaves its features as they are; raise SpikeError without class names."""
    from torch import nn

    from spikecli.neuroclip.backbone import open_backbone
    from spikecli.neuroclip.clip import demand_clip
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.learned import demand_learned
    from spikecli.neuroclip.zeroshot import ask_of_files, read_words, text_features
    from spikecli.weights.adapted import Adapted

    demand_clip()
    question = ask_of_files(["the stream"], *read_words(asked.classes, asked.templates), lost=True)
    demand_learned(asked.clip, asked.weights, question.classnames)
    clip = open_backbone(asked.clip, asked.weights, data_dir, device)
    viewing = Viewing(1, preset=asked.image_preset, normalization=asked.normalization)
    place = (Path(ZEROSHOT), Path(ZEROSHOT), ZEROSHOT, clip.device)
    texts = text_features(clip, question)
    return Adapted(nn.Identity(), question.classnames, *place, clip, viewing, texts, clip.logit_scale)


def _check_film(record: Path | None) -> None:
    """Raise SpikeError if the film's ending is of no film, its place cannot be written, or packages are missing."""
    if record is not None:
        from spikecli.files.atomic import demand_place
        from spikecli.files.extras import demand
        from spikecli.view.drawing.film import FILMS, encoders

        if record.suffix not in FILMS:
            raise SpikeError(f"found --record {record}; wanted a film: {', '.join(FILMS)}")
        demand_place(record)
        demand("matplotlib", *encoders(record.suffix), what="a film")


def _best(answer: LiveAnswer, classnames: tuple[str, ...]) -> tuple[str, float]:
    share = max(answer.probabilities)
    return classnames[answer.probabilities.index(share)], share


def _document(answer: LiveAnswer, classnames: tuple[str, ...], name: str, share: float) -> dict[str, Any]:
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
    numbers = f"{answer.events:,}", f"{answer.behind_ms:.1f}", str(answer.lost_datagrams), f"{answer.dropped_events:,}"
    return f"{answer.t / 1e6:.2f}", sure, f"{share:.1%}", *numbers
