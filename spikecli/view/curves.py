"""Training runs as they lie in their folders, and their learning curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.config import TrainConfig, validated
from spikecli.errors import SpikeError
from spikecli.reading import fits, read_json, read_lines, reading
from spikecli.view.canvas import Theme
from spikecli.view.chart import (
    blank,
    color_of,
    dress,
    in_percent,
    legend,
    mark_of,
    place,
    plainly,
    whole_steps,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE, WEIGHTS, STATE, SETTINGS = "metrics.jsonl", "model.safetensors", "state.safetensors", "config.json"
DASHES = (0, (2.2, 1.4))
NOTHING = type(None)
EPOCH = {"epoch": int, "loss": float, "train_accuracy": float, "val_accuracy": (float, NOTHING), "lr": float}
CURE = "copy the run again, or resume it"


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it: a dictionary an epoch with the fields of `runs.Epoch`; `weights` where they are."""

    name: str
    folder: Path
    config: TrainConfig
    epochs: tuple[dict[str, Any], ...]
    weights: Path | None

    @property
    def label(self) -> str:
        """The name, and how far the run has come where it is not done."""
        done = len(self.epochs)
        return self.name if done in (0, self.config.epochs) else f"{self.name} ({done} of {self.config.epochs} epochs)"


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a training run, be it at work or done."""
    return any((folder / name).is_file() for name in (CURVE, WEIGHTS, STATE))


def read_run(folder: Path) -> RunRecord:
    """Return the run in a folder; one that was stopped in its first epoch has no epochs. SpikeError when damaged."""
    weights = folder / WEIGHTS
    config, noted = _settings(folder)
    epochs = _epochs(folder / CURVE) if (folder / CURVE).is_file() else noted
    name = folder.resolve().name
    return RunRecord(name, folder, config, epochs, weights if weights.is_file() else None)


def _settings(folder: Path) -> tuple[TrainConfig, tuple[dict[str, Any], ...]]:
    """Return the settings, and the epochs that the state file notes where there is nothing else yet."""
    from spikecli.weights import checkpoint as checkpoints

    path = folder / SETTINGS
    if path.is_file():
        return validated(TrainConfig, read_json(path, dict, CURE)), ()
    for name in (WEIGHTS, STATE):
        if (folder / name).is_file():
            stored = checkpoints.load(folder / name)
            epochs = stored.notes.get("progress", {}).get("epochs", [])
            if not fits(epochs, [EPOCH]):
                raise SpikeError(f"{folder / name} does not say how its epochs went; {CURE}")
            return stored.config, tuple(epochs)
    raise SpikeError(f"{folder} holds {CURVE}, but neither {SETTINGS} nor weights; copy the whole run folder")


def _epochs(path: Path) -> tuple[dict[str, Any], ...]:
    epochs = []
    for number, line in enumerate(read_lines(path, CURE), start=1):
        with reading(path, f"look at line {number}, or {CURE}"):
            epochs.append(json.loads(line))
        if not fits(epochs[-1], EPOCH):
            raise SpikeError(f"{path} does not say in line {number} how an epoch went; {CURE}")
    return tuple(epochs)


def learning_curves(records: Sequence[RunRecord], theme: Theme) -> Figure:
    """Return loss, accuracies and learning rate over the epochs of the runs that have any, side by side."""
    several = len(records) > 1
    top = 0.6 if several else 0.3
    figure = blank(top + 2.12, theme)
    loss, accuracy, rate = (place(figure, left, top, 2.15, 1.68) for left in (0.56, 3.42, 6.3))
    dress(loss, theme, "Loss in training", "epoch", "cross-entropy, nats")
    dress(accuracy, theme, "Accuracy", "epoch")
    dress(rate, theme, "Learning rate", "epoch")
    _lines(loss, theme, records, lambda epoch: epoch["loss"])
    _lines(accuracy, theme, records, lambda epoch: epoch["train_accuracy"], dashed=True)
    _lines(accuracy, theme, records, lambda epoch: epoch["val_accuracy"])
    _lines(rate, theme, records, lambda epoch: epoch["lr"])
    accuracy.yaxis.set_major_formatter(in_percent)
    rate.yaxis.set_major_formatter(plainly)
    loss.set_ylim(bottom=0)
    rate.set_ylim(bottom=0)
    steps = [epoch["epoch"] for record in records for epoch in record.epochs]
    for axes in (loss, accuracy, rate):
        whole_steps(axes, steps)
    _explain(accuracy, theme, records)
    if several:
        handles = loss.get_lines()
        legend(
            figure, theme, handles=handles, loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=min(len(records), 4)
        )
    return figure


def _lines(
    axes: Axes,
    theme: Theme,
    records: Sequence[RunRecord],
    value: Callable[[dict[str, Any]], float | None],
    dashed: bool = False,
) -> None:
    for index, record in enumerate(records):
        points = [(epoch["epoch"], found) for epoch in record.epochs if (found := value(epoch)) is not None]
        if not points:
            continue
        axes.plot(
            *zip(*points, strict=True),
            color=color_of(theme, index),
            linestyle=DASHES if dashed else "-",
            linewidth=1.2 if dashed else 1.6,
            marker=mark_of(index),
            markersize=3.4,
            markerfacecolor=theme.paper if dashed else color_of(theme, index),
            markevery=[len(points) - 1] if len(points) > 1 else None,
            label=record.label,
        )


def _explain(axes: Axes, theme: Theme, records: Sequence[RunRecord]) -> None:
    """Say which line is of which part of the data."""
    from matplotlib.lines import Line2D

    color = color_of(theme, 0) if len(records) == 1 else theme.ink
    dot: dict[str, Any] = {"color": color, "marker": mark_of(0), "markersize": 3.4}
    kinds = [Line2D([], [], linestyle=DASHES, linewidth=1.2, markerfacecolor=theme.paper, label="training", **dot)]
    if any(epoch["val_accuracy"] is not None for record in records for epoch in record.epochs):
        kinds.insert(0, Line2D([], [], linewidth=1.6, label="held out", **dot))
    legend(axes, theme, handles=kinds, loc="lower right")
