"""Learning curves of training runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from spikecli.view.drawing.chart import (
    blank,
    color_of,
    dress,
    in_percent,
    legend,
    legend_above,
    mark_of,
    place,
    plainly,
    whole_steps,
)
from spikecli.view.drawing.theme import Theme
from spikecli.weights.run_record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = (0, (2.2, 1.4))


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
    """Add the key of lines and parts of the data."""
    from matplotlib.lines import Line2D

    color = color_of(theme, 0) if len(records) == 1 else theme.ink
    dot: dict[str, Any] = {"color": color, "marker": mark_of(0), "markersize": 3.4}
    kinds = [Line2D([], [], linestyle=DASHES, linewidth=1.2, markerfacecolor=theme.paper, label="training", **dot)]
    if any(epoch["val_accuracy"] is not None for record in records for epoch in record.epochs):
        kinds.insert(0, Line2D([], [], linewidth=1.6, label="held out", **dot))
    legend_above(axes, theme, kinds)
