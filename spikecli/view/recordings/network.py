"""A recording as a network on frames sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikecli.errors import SpikeError
from spikecli.view.drawing.network import NetworkView
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.take import NamedRecording

if TYPE_CHECKING:
    from spikecli.weights.trained import Trained


def check_takes_frames(trained: Trained) -> None:
    """Raise SpikeError unless the network was trained on frames of events."""
    model = trained.config.model
    if "events" not in model.takes or getattr(model, "inputs", 2) != 2:
        raise SpikeError(f"{trained.given} is no network on event frames; give one that was trained on recordings")


def look_through_network(
    take: NamedRecording, trained: Trained, timesteps: int, seed: int, theme: Theme
) -> NetworkView:
    """Return what a network on frames sees of a recording; raise SpikeError if the events are too few."""
    from spikecli.datasets.events.samples import Framing
    from spikecli.evaluation.probe import layer_rates

    frames = Framing.of_config(trained.config).of_recording(take.recording, timesteps)
    rates, shares = layer_rates(trained, frames, timesteps, seed)
    facts = f"{take.facts}   |   {trained.name}, frames of {frames.shape[3]} × {frames.shape[2]} pixels"
    return NetworkView(take.title, facts, rates, shares, trained.classnames, colored(frames, full_count(frames), theme))
