"""View recordings as a picture, a film, a page or in a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from spikecli.datasets.events.likeness import far_notes
from spikecli.datasets.events.recording import read_own
from spikecli.errors import SpikeError, named
from spikecli.progress import Progress
from spikecli.view.drawing.film import FILMS
from spikecli.view.drawing.network import answers_of, network_figure
from spikecli.view.drawing.picture import PICTURES, save_figure
from spikecli.view.drawing.theme import THEMES
from spikecli.view.drawing.window import show
from spikecli.view.look import ClipLook, Look, check_out, refuse_unused
from spikecli.view.recordings.clip import look_through_clip, predictions_of
from spikecli.view.recordings.clip_figure import clip_figure
from spikecli.view.recordings.film import EventFilm
from spikecli.view.recordings.network import check_takes_frames, look_through_network
from spikecli.view.recordings.page import event_panel, save_event_page
from spikecli.view.recordings.picture import EventSheet
from spikecli.view.recordings.take import NamedRecording, read_take, record_of
from spikecli.view.sources import told_apart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikecli.datasets.events.facts import EventFacts
    from spikecli.weights.trained import Trained

Advance = Callable[..., None]  # steps, or a new text and a new total, for one bar


def look_at_events(look: Look, advance: Advance) -> dict[str, Any]:
    """Draw recordings as `look` says; return `out` and a record for each source. Raise SpikeError as its parts do."""
    if look.checkpoint is not None:
        return _look_at_network(look, look.checkpoint, advance)
    check_out(look)
    refuse_unused(look, "checkpoint", "color", "points", "events", "clip", "reading")
    _check_options(look)
    _check_alone(look)
    if look.clip != ClipLook():
        raise SpikeError(f"found options of CLIP's pictures; add {named('show')} clip, or remove them")
    progress = _watching(advance)
    takes = _read(look, progress)
    if look.out is None:
        show([event_panel(takes[0], THEMES[look.theme])], THEMES[look.theme])
    elif look.suffix in FILMS:
        _film(look, takes[0], progress)
    elif look.suffix == ".html":
        save_event_page(takes[0], look.out, THEMES[look.theme], look.seed)
    else:
        _check_lengths(look, takes)
        slices = look.events.slices(look.timesteps)
        _save(look, EventSheet(takes, slices, THEMES[look.theme], look.seed).figure(), takes)
    return {"out": look.out, "sources": [record_of(take) for take in takes]}


def _look_at_network(look: Look, trained: Trained, advance: Advance) -> dict[str, Any]:
    """Draw the frames that a network is given, its spikes and answers; raise SpikeError unless `out` is a picture."""
    from spikecli.datasets.provenance import facts_at_training

    check_out(look, PICTURES)
    refuse_unused(look, "checkpoint", "reading")
    check_takes_frames(trained)
    progress = _watching(advance)
    takes = _read(look, progress)
    _check_lengths(look, takes)
    progress.on_phase("looking through the network", len(takes))
    facts, shown = cast("EventFacts", facts_at_training(trained)), []
    for source, take in zip(look.sources, takes, strict=True):
        if not take.dataset:  # a file, which the network's data set says how to read
            take = replace(take, recording=read_own(Path(source), look.reading, facts))
            if told := far_notes(take.recording, facts):
                look.reading.on_note(Path(source), told)
        shown.append((take, look_through_network(take, trained, look.timesteps, look.seed, THEMES[look.theme])))
        progress.on_step(1)
    _save(look, network_figure([seen for _, seen in shown], THEMES[look.theme]), takes)
    return {"out": look.out, "sources": [{**record_of(take), **answers_of(seen)} for take, seen in shown]}


def look_at_clip(look: Look, advance: Advance) -> dict[str, Any]:
    """Draw CLIP's pictures of recordings and its predictions step by step.

    Raise SpikeError as `look_at_events` does, and unless `out` is a picture.
    """
    from spikecli.neuroclip.clip import demand_clip
    from spikecli.neuroclip.learned import never_learned, said_of

    demand_clip()
    if look.suffix not in PICTURES:
        found = f"found {look.out}" if look.out else f"found no {named('out')}"
        endings = ", ".join(PICTURES)
        raise SpikeError(f"{found}; what CLIP sees is a still picture: give {named('out')} FILE, with one of {endings}")
    check_out(look, PICTURES)
    _check_options(look)
    progress = _watching(advance)
    takes = _read(look, progress)
    _check_lengths(look, takes)
    sights = look_through_clip(look, takes, progress)
    _save(look, clip_figure(sights, THEMES[look.theme]), takes)
    records = [{**record_of(sight.take), "predictions": predictions_of(sight)} for sight in sights]
    names = never_learned(look.clip.clip, look.clip.weights, sights[0].classnames)
    warnings = {"warnings": [f"{said_of(names)}: its answer means nothing"]} if names else {}
    return {"out": look.out, "sources": records, **warnings}


def _watching(advance: Advance) -> Progress:
    """Return callbacks that extend one progress bar with each new phase."""
    total = 0

    def on_phase(what: str, steps: int | None) -> None:
        nonlocal total
        total += steps or 0
        advance(0, fields=what, total=total)

    return Progress(on_phase, advance)


def _check_options(look: Look) -> None:
    """Raise SpikeError for options that would be ignored."""
    if look.checkpoint or look.color or look.points:
        given = "checkpoint" if look.checkpoint else "color" if look.color else "points"
        raise SpikeError(f"found {named(given)} and a recording to show; it needs a cloud; remove it")


def _check_alone(look: Look) -> None:
    if len(look.sources) > 1 and look.suffix not in PICTURES:
        what = f"a {look.suffix}" if look.out else "a window"
        raise SpikeError(
            f"found {len(look.sources)} recordings for {what}; wanted one; give one at a time, or name a .png"
        )


def _check_lengths(look: Look, takes: list[NamedRecording]) -> None:
    for source, take in zip(look.sources, takes, strict=True):
        if len(take.recording) < look.timesteps:
            raise SpikeError(
                f"{source} holds {len(take.recording)} events; wanted at least one for each of {look.timesteps} "
                f"slices; lower {named('timesteps')}"
            )


def _read(look: Look, progress: Progress) -> list[NamedRecording]:
    progress.on_phase("reading", len(look.sources))
    takes = []
    for source in look.sources:
        takes.append(read_take(source, look.data_dir, progress, look.reading))
        progress.on_step(1)
    names = told_apart([take.name for take in takes], look.sources)
    return [replace(take, name=name) for take, name in zip(takes, names, strict=True)]


def _film(look: Look, take: NamedRecording, progress: Progress) -> None:
    assert look.out is not None
    frames = look.events.frames(take.name, take.duration)
    progress.on_phase("filming", frames)
    film = EventFilm(take, frames, look.events.speed, THEMES[look.theme])
    FILMS[look.suffix](film.images(progress.on_step), look.out, look.events.fps, film.sample(), take.title)


def _save(look: Look, figure: Figure, takes: list[NamedRecording]) -> None:
    assert look.out is not None
    save_figure(figure, look.out, " · ".join(take.title for take in takes), takes[0].facts)
