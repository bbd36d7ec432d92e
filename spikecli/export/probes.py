"""Samples that an export is checked on: a user's files, the test split if it is prepared, or made ones of a seed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikecli.datasets.events.frames import SLICINGS, to_frames, to_images
from spikecli.datasets.events.recording import EVENT, Recording, read_own
from spikecli.datasets.events.samples import EventSamples, Framing
from spikecli.datasets.samples import files_for, load_samples, spread
from spikecli.datasets.sets import find_facts, kind_named
from spikecli.errors import SpikeError, named
from spikecli.export import membranes
from spikecli.export.subject import Subject
from spikecli.export.wanted import Wanted
from spikecli.models.inputs import as_network_input
from spikecli.models.running import step_logits
from spikecli.weights.adapted import Adapted

MADE_EVENTS = 4000  # in a made recording


@dataclass(frozen=True, eq=False)
class CheckSamples:
    """Samples in words, what a graph is fed step by step, and what the program itself answers.

    `cases` are batches; a case holds the first input of each step: one for a graph of all steps.
    """

    source: str
    cases: list[list[Tensor]]
    answers: Tensor  # (S,) classes


def probe(subject: Subject, wanted: Wanted) -> CheckSamples:
    """Return the samples to check an export of `subject` on; raise SpikeError if a file cannot be read."""
    if subject.adapted is not None:
        return _of_clip(subject.adapted, wanted)
    source, inputs, recordings = inputs_of(subject, wanted)
    network = copy.deepcopy(subject.original)
    membranes.quiet(network)
    logits = step_logits(network, inputs, wanted.timesteps, torch.device("cpu"), "fp32", wanted.seed)
    if subject.kind == "events" and not wanted.raw:
        assert recordings is not None and subject.trained is not None
        slicing, sensor = subject.trained.config.slicing, subject.sensor(wanted.sensor)
        cases = [_events(each, slicing, sensor, wanted) for each in recordings]
    else:
        cases = [_steps(subject, part, wanted) for part in (inputs[:1], inputs[1:]) if len(part)]
    return CheckSamples(source, cases, logits.mean(0).argmax(-1))


def demand_files(subject: Subject, wanted: Wanted) -> None:
    """Raise SpikeError if a file that an export is to be checked on cannot be read."""
    if not wanted.files:
        return
    if subject.kind == "clip":
        for path in wanted.files:
            read_own(path)
    else:
        assert subject.facts is not None and subject.trained is not None
        files_for(subject.facts, subject.trained.config, wanted.files, wanted.timesteps, wanted.seed)


def inputs_of(subject: Subject, wanted: Wanted) -> tuple[str, np.ndarray, list[Recording] | None]:
    """Return where the samples are from, the network's input (S, ...), and for events the recordings.

    Raise SpikeError if a file cannot be read.
    """
    assert subject.trained is not None and subject.facts is not None
    config, facts = subject.trained.config, subject.facts
    steps, recordings = wanted.timesteps, None
    if wanted.files:
        inputs = files_for(facts, config, wanted.files, steps, wanted.seed)
        if subject.kind == "events":
            recordings = [read_own(path, facts=facts) for path in wanted.files]  # type: ignore[arg-type]
        return _files(len(inputs)), inputs, recordings
    if _is_prepared(subject, wanted) and wanted.sensor in (None, getattr(facts, "sensor", None)):
        samples = spread(load_samples(wanted.data_dir, config.dataset, "test", config, fixed=True), wanted.samples)
        if isinstance(samples.whole, EventSamples):
            recordings = [samples.whole.source.recording(int(index)) for index in samples.places]
        return f"{config.dataset}, test split", samples.inputs(steps), recordings
    rng = np.random.default_rng(wanted.seed)
    made = f"made samples, seed {wanted.seed} (no test split of {config.dataset} is prepared)"
    if subject.kind == "points":
        return made, made_clouds(wanted.samples, config.points, getattr(config.model, "inputs", 3), rng), None
    framing = Framing.of_config(config)
    size = framing.size
    if subject.kind == "images":
        return made, rng.integers(0, 256, (wanted.samples, 3, *size), dtype=np.uint8), None
    sensor = subject.sensor(wanted.sensor) or size[::-1]
    recordings = [made_recording(sensor, rng) for _ in range(wanted.samples)]
    return made, np.stack([framing.of_recording(each, steps) for each in recordings]), recordings


def made_clouds(count: int, points: int, inputs: int, rng: np.random.Generator) -> np.ndarray:
    """Return clouds float32 (count, points, inputs) of normal deviates, as preprocessing leaves them, or with normals
    of any direction."""
    clouds = rng.normal(size=(count, points, 3))
    clouds -= clouds.mean(1, keepdims=True)
    clouds /= np.sqrt(np.square(clouds).sum(-1).max(-1))[:, None, None]
    if inputs > 3:
        normals = rng.normal(size=clouds.shape)
        clouds = np.concatenate([clouds, normals / np.linalg.norm(normals, axis=-1, keepdims=True)], -1)
    return clouds.astype(np.float32)


def made_recording(sensor: tuple[int, int], rng: np.random.Generator) -> Recording:
    """Return events about a place that wanders over a sensor (width, height)."""
    events = np.empty(MADE_EVENTS, EVENT)
    way = np.linspace(0.2, 0.8, MADE_EVENTS)[:, None] * np.array(sensor)
    places = np.clip(rng.normal(way, np.array(sensor) / 10), 0, np.array(sensor) - 1)
    events["x"], events["y"] = places.round().astype(int).T
    events["t"] = np.sort(rng.integers(0, 1_000_000, MADE_EVENTS))
    events["p"] = rng.integers(0, 2, MADE_EVENTS)
    return Recording(events, *sensor)


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _is_prepared(subject: Subject, wanted: Wanted) -> bool:
    assert subject.trained is not None and subject.facts is not None
    name = subject.trained.config.dataset
    try:
        found = find_facts(name, wanted.data_dir)
        kind = kind_named(found.kind)
        return found.kind == subject.facts.kind and kind.is_prepared(name, wanted.data_dir)
    except SpikeError:  # a data set of another machine
        return False


def _steps(subject: Subject, part: np.ndarray, wanted: Wanted) -> list[Tensor]:
    whole = torch.from_numpy(np.ascontiguousarray(part))
    whole = whole if subject.kind == "images" and not wanted.raw else whole.float()
    if subject.kind == "images":
        whole = as_network_input(whole, torch.float32) if wanted.raw else whole
    if not wanted.step:
        return [whole]
    return list(whole.unbind(1)) if subject.kind == "events" else [whole] * wanted.timesteps


def _events(recording: Recording, slicing: str, sensor: tuple[int, int] | None, wanted: Wanted) -> list[Tensor]:
    """Return the events (n, 4) as columns x, y, t, p: all, or those of each slice.

    Raise SpikeError if the graph counts the events of another sensor (width, height) than the recording's.
    """
    if sensor is not None and sensor != (recording.width, recording.height):
        found = f"{recording.width}x{recording.height}"
        raise SpikeError(
            f"found a recording of {found} pixels, but the graph takes events of {sensor[0]}x{sensor[1]}; give "
            f"{named('sensor')} {found} for such a camera, or other samples"
        )
    events = recording.events
    table = torch.from_numpy(np.stack([events[axis].astype(np.int64) for axis in "xytp"], 1))
    if not wanted.step:
        return [table]
    place = torch.from_numpy(SLICINGS[slicing](wanted.timesteps).assign(events["t"]))
    return [table[place == step] for step in range(wanted.timesteps)]


def _of_clip(adapted: Adapted, wanted: Wanted) -> CheckSamples:
    viewing, rng = adapted.viewing, np.random.default_rng(wanted.seed)
    own = replace(wanted, timesteps=viewing.timesteps)
    recordings = [read_own(path) for path in wanted.files]
    source = _files(len(recordings)) if recordings else f"made recordings, seed {wanted.seed}"
    recordings = recordings or [made_recording(wanted.sensor or (128, 128), rng) for _ in range(wanted.samples)]
    cases, answers = [], []
    for recording in recordings:
        pictures = to_images(to_frames(recording, viewing.slices), viewing.preset, adapted.clip.size, viewing.threshold)
        answers.append(adapted.logits(adapted.encode(pictures)[None]).mean(0)[0].argmax())
        shown = pictures[:, None]
        if wanted.raw:
            cases.append(list(shown[:, None].unbind(0)) if wanted.step else [shown])
        else:
            cases.append(_events(recording, viewing.slicing, wanted.sensor, own))
    return CheckSamples(source, cases, torch.stack(answers))
