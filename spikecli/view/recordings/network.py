"""What a network on frames sees of a recording: the frames it is given, spikes a layer, and its answer step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError
from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import TICK, shades, shown_steps
from spikecli.view.drawing.theme import Theme, class_color
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.picture import Area, framed
from spikecli.view.recordings.take import NamedRecording, record_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikecli.weights.trained import Trained

COLUMNS, CLASSES = 10, 5  # steps, and classes, at most that are drawn
NAMES, HEAD, ROW, GAP = 1.5, 0.86, 0.19, 0.34  # inches


@dataclass(frozen=True)
class NetworkView:
    """Frames (T, 2, H, W), each layer's firing rates (T,) in 0…1, and probabilities (T, K) of t + 1 steps."""

    take: NamedRecording
    frames: np.ndarray
    rates: dict[str, np.ndarray]
    probabilities: np.ndarray
    classnames: tuple[str, ...]
    name: str


def check_takes_frames(trained: Trained) -> None:
    """Raise SpikeError unless the network was trained on frames of events."""
    model = trained.config.model
    if "events" not in model.takes or getattr(model, "inputs", 2) != 2:
        raise SpikeError(f"{trained.given} is no network on event frames; give one that was trained on recordings")


def look_through_network(take: NamedRecording, trained: Trained, timesteps: int, seed: int) -> NetworkView:
    """Return what a network on frames sees of a recording; raise SpikeError if the events are too few."""
    from spikecli.datasets.events.samples import Framing
    from spikecli.evaluation.probe import layer_rates

    frames = Framing.of_config(trained.config).of_recording(take.recording, timesteps)
    rates, shares = layer_rates(trained, frames, timesteps, seed)
    return NetworkView(take, frames, rates, shares, trained.classnames, trained.name)


def network_record(seen: NetworkView) -> dict[str, Any]:
    """Return the record of a view for `view --json`: the answer after each step, and each layer's firing rates."""
    answers = [
        {"timesteps": step + 1, "class": seen.classnames[int(row.argmax())], "probability": float(row.max())}
        for step, row in enumerate(seen.probabilities)
    ]
    layers = [{"layer": name, "firing_rate": values.tolist()} for name, values in seen.rates.items()]
    return {**record_of(seen.take), "predictions": answers, "layers": layers}


def network_figure(views: Sequence[NetworkView], theme: Theme) -> Figure:
    """Return the figure of some recordings, one below the other."""
    from matplotlib.figure import Figure

    heights = [_height(seen) for seen in views]
    figure = Figure(figsize=(WIDTH, sum(heights)), facecolor=theme.paper)
    top, area = sum(heights), Area(figure, WIDTH, sum(heights))
    for seen, height in zip(views, heights, strict=True):
        _draw(area, seen, theme, top)
        top -= height
    return figure


def _steps(seen: NetworkView) -> list[int]:
    return shown_steps(len(seen.frames), COLUMNS)


def _cell(seen: NetworkView) -> float:
    return (WIDTH - NAMES - 0.15) / max(len(_steps(seen)), 5)


def _tall(seen: NetworkView) -> float:
    return _cell(seen) * seen.frames.shape[2] / seen.frames.shape[3]


def _best(seen: NetworkView) -> list[int]:
    return np.argsort(-seen.probabilities[-1], kind="stable")[:CLASSES].tolist()


def _height(seen: NetworkView) -> float:
    return HEAD + _tall(seen) + 2 * GAP + ROW * (len(seen.rates) + len(_best(seen))) + 0.3


def _draw(area: Area, seen: NetworkView, theme: Theme, top: float) -> None:
    """Draw frames, layers and classes downward from `top` inches, one column a step."""
    style: dict[str, Any] = {"color": theme.ink, "va": "top"}
    area.text(0.12, top - 0.12, seen.take.title, fontsize=12, fontweight="bold", **style)
    size = f"{seen.frames.shape[3]} × {seen.frames.shape[2]} pixels"
    area.text(0.12, top - 0.36, f"{seen.take.facts}   |   {seen.name}, frames of {size}", fontsize=8, **style)
    steps, cell, tall = _steps(seen), _cell(seen), _tall(seen)
    images = colored(seen.frames, full_count(seen.frames), theme)
    for column, step in enumerate(steps):
        left = NAMES + column * cell
        area.text(left + cell / 2, top - HEAD + 0.2, f"t = {step}", fontsize=8, ha="center", **style)
        axes = area.axes(left + 0.02, top - HEAD - tall, cell - 0.04, tall)
        axes.imshow(images[step - 1], interpolation="nearest", aspect="auto")
        framed(axes, theme)
    places = [step - 1 for step in steps]
    low = top - HEAD - tall - GAP
    layers = {name: values[places] for name, values in seen.rates.items()}
    _table(area, layers, theme, low, cell, "spikes a layer: share of neurons that fire", 0)
    classes = {seen.classnames[place]: seen.probabilities[places, place] for place in _best(seen)}
    low -= ROW * len(layers) + GAP
    _table(area, classes, theme, low, cell, "the answer: probability after so many steps", 1)
    for row, place in enumerate(_best(seen)):
        area.swatch(0.14, low - (row + 0.5) * ROW, class_color(theme, place))


def _table(
    area: Area, rows: dict[str, np.ndarray], theme: Theme, top: float, cell: float, title: str, color: int
) -> None:
    """Draw rows of shares as shaded cells with their numbers, below a title."""
    area.text(NAMES, top + 0.2, title, fontsize=8, fontweight="bold", color=theme.ink, va="top")
    shade = shades(theme, color)
    for number, (name, values) in enumerate(rows.items()):
        middle = top - (number + 0.5) * ROW
        area.text(NAMES - 0.08, middle, name[-24:], fontsize=TICK - 1, ha="right", va="center", color=theme.ink)
        axes = area.axes(NAMES, top - (number + 1) * ROW, cell * len(values), ROW)
        axes.imshow(values[None], cmap=shade, vmin=0, vmax=1.6 * max(float(values.max()), 1e-9), aspect="auto")
        for column, value in enumerate(values):
            axes.text(column, 0, f"{value:.0%}", fontsize=TICK - 1.5, ha="center", va="center", color=theme.ink)
        framed(axes, theme)
