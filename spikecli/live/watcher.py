"""A network that answers after each window of a stream, its membranes carried on from one to the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spikecli.datasets.events.frames import EqualCount, count_frames, to_images
from spikecli.datasets.events.samples import Framing
from spikecli.errors import SpikeError
from spikecli.evaluation.stopping import StopRule, carried, spikes
from spikecli.live.sources import Sensor, Stream
from spikecli.live.windows import EventWindow
from spikecli.weights.adapted import Adapted
from spikecli.weights.trained import Trained


@dataclass(frozen=True, eq=False)
class LiveAnswer:
    """The answer after a window: its step from 1, the time in µs of the last event so far, probabilities (K,), losses.

    `behind_ms` is how long the answer took. `counts` are the events of the window (2, H, W) on the sensor.
    """

    step: int
    t: int
    events: int
    probabilities: tuple[float, ...]
    sure: bool
    behind_ms: float
    lost_datagrams: int
    dropped_events: int
    counts: np.ndarray


class Stepper(Protocol):
    """Something that takes one frame of counts (2, H, W) after the other."""

    classnames: tuple[str, ...]

    def carrying(self) -> AbstractContextManager[Any]:
        """Return a block in which membranes are carried from step to step."""

    def step(self, counts: np.ndarray) -> Tensor:
        """Return the logits (K,) of this step and those before it, as far as they are kept."""


class NetworkStepper:
    """A network on frames; the answer is the mean logits of the last `keep` steps."""

    def __init__(self, trained: Trained, keep: int) -> None:
        if not spikes(trained.network):
            raise SpikeError(f"{trained.name} is an ANN, which remembers nothing from one window to the next")
        self.trained, self.classnames = trained, trained.classnames
        self.framing = Framing.of_config(trained.config)
        self.kept: deque[Tensor] = deque(maxlen=keep)

    def carrying(self) -> AbstractContextManager[Any]:
        """Return the membranes of the network's neurons."""
        return carried(self.trained.network)

    def step(self, counts: np.ndarray) -> Tensor:
        """Return the mean logits (K,)."""
        x = torch.from_numpy(np.ascontiguousarray(self.framing.of(counts[None, None])[0], np.float32))
        kind = next(self.trained.network.parameters()).dtype
        logits = self.trained.network(x[:, None].to(self.trained.device, kind), 1)[0, 0].float()
        self.kept.append(logits.cpu())
        return torch.stack(list(self.kept)).mean(0)


class ClipStepper:
    """An adapter, or CLIP alone, on the pictures of the windows.

    Over the last `keep` steps the logits are exp(s)·Σ⟨F_t, g⟩/√(Σ‖F_t‖²), as `predict` has them over all (2306.12073).
    """

    def __init__(self, adapted: Adapted, keep: int) -> None:
        self.adapted, self.classnames = adapted, adapted.classnames
        self.kept: deque[Tensor] = deque(maxlen=keep)

    def carrying(self) -> AbstractContextManager[Any]:
        """Return the membranes of the adapter's neurons, none without spikes."""
        adapter = self.adapted.network
        return carried(adapter) if spikes(adapter) else nullcontext([])

    def step(self, counts: np.ndarray) -> Tensor:
        """Return the logits (K,)."""
        adapted, viewing = self.adapted, self.adapted.viewing
        image = to_images(counts[None], viewing.preset, adapted.clip.size, viewing.threshold)
        feature = adapted.network(adapted.encode(image)[None])[0, 0]
        self.kept.append(feature)
        features = torch.stack(list(self.kept))
        logits: Tensor = adapted.scale * (features @ adapted.texts.T).sum(0) / features.square().sum().sqrt()
        return logits.float().cpu()


def answers(
    stepper: Stepper, stream: Stream, window: EventWindow, sensor: Sensor, rule: StopRule
) -> Iterator[LiveAnswer]:
    """Yield an answer for each window of a stream of events on a `sensor`.

    Raise SpikeError if an event lies outside the sensor.
    """
    width, height = sensor
    with torch.inference_mode(), stepper.carrying() as membranes:
        latest = 0
        for step, events in enumerate(window.over(stream.parts), start=1):
            begun = time.perf_counter()
            latest = int(events["t"][-1]) if len(events) else latest
            counts = _counted(events, width, height)
            mean = stepper.step(counts)
            for membrane in membranes:
                membrane.go_on(torch.ones(1, dtype=torch.bool))
            yield LiveAnswer(
                step,
                latest,
                len(events),
                tuple(mean.softmax(-1).tolist()),
                bool(rule.sure(mean)),
                (time.perf_counter() - begun) * 1e3,
                stream.losses.datagrams,
                stream.losses.events,
                counts,
            )


def _counted(events: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the counts (2, H, W) int32 of events."""
    if len(events) and (int(events["x"].max()) >= width or int(events["y"].max()) >= height):
        raise SpikeError(
            f"found an event at ({events['x'].max()}, {events['y'].max()}), outside the sensor of {width} x {height} "
            "pixels; name the sensor of the stream"
        )
    if not len(events):
        return np.zeros((2, height, width), np.int32)
    places = events["x"], events["y"], events["t"], np.minimum(events["p"], 1)
    return count_frames(*places, EqualCount(1), height, width)[0]
