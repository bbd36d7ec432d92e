"""Membrane potentials against the threshold: a histogram for each layer of one or two networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError, named
from spikecli.view.clouds.flow import needs_network, sees_clouds
from spikecli.view.clouds.shape import as_trained, read_shape
from spikecli.view.drawing.canvas import WIDTH
from spikecli.view.drawing.chart import TICK, blank, color_of, dress, in_percent, legend, place
from spikecli.view.drawing.report import REPORTS, picture
from spikecli.view.drawing.sections import Report, Section, Table
from spikecli.view.drawing.theme import THEMES, Theme
from spikecli.view.drawing.window import show_picture
from spikecli.view.look import Look, check_out, refuse_unused

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikecli.evaluation.probe import Membranes

BINS = 80
SHOWN = 0.999  # of the membranes of a layer lie within the chart; the outermost bins hold the others
DASHES = (0, (3, 2))
_MANY = "median and 90% of the channels"
MARKED = 4  # thresholds of a layer, at most, that are drawn one by one
TABLE = ("network", "layer", "membranes", "mean", "std", "beyond θ", "mean |u − spike|")


@dataclass(frozen=True)
class MembraneView:
    """One network and the inputs of its layers' fire functions."""

    name: str
    given: str
    layers: dict[str, Membranes]


def look_at_membranes(look: Look, on_work: Callable[..., None]) -> dict[str, Any]:
    """Draw the membranes of one or two networks for the same clouds; return a record. Raise SpikeError as parts do."""
    from spikecli.evaluation import probe

    check_out(look, REPORTS)
    refuse_unused(look, "checkpoint", "points", "against", "reading")
    networks = [given for given in (needs_network(look, "membranes"), look.against) if given is not None]
    on_work(0, total=len(networks) + 1)
    seen = []
    for trained in networks:
        probe.demand_spikes(trained)
        sees_clouds(trained)
        count = look.points or trained.config.points
        reading = as_trained(look.reading, trained)
        shapes = [read_shape(source, look.data_dir, count, look.seed, reading) for source in look.sources]
        sizes = {len(shape.points) for shape in shapes}
        if len(sizes) > 1:
            raise SpikeError(
                f"found clouds of {min(sizes)} to {max(sizes)} points; give {named('points')} {min(sizes)}"
            )
        points = np.stack([shape.seen_by(trained) for shape in shapes])
        layers = probe.membranes(trained.network, points, look.timesteps, look.seed)
        seen.append(MembraneView(trained.name, str(trained.given), layers))
        on_work(1)
    report = build_report(seen, look)
    if look.out is None:
        show_picture(picture(report), report.title)
    else:
        REPORTS[look.suffix](report, look.out)
    on_work(1)
    return {"out": look.out, "sources": [{"name": source} for source in look.sources], "networks": _record(seen)}


def build_report(seen: Sequence[MembraneView], look: Look) -> Report:
    """Return the report: the histograms, and their numbers as a table."""
    theme = THEMES[look.theme]
    title = f"Membranes in {' and '.join(one.name for one in seen)}"
    names = ", ".join(Path(source).name for source in look.sources)
    note = f"What every layer's fire function sees at {names}, in {look.timesteps} time steps"
    section = Section("Histograms", "", membranes_figure(seen, theme), _table(seen))
    return Report(title, note, theme, [section])


def membranes_figure(seen: Sequence[MembraneView], theme: Theme) -> Figure:
    """Return a histogram for each layer of any of the networks, with one color for each network."""
    names = list(dict.fromkeys(name for one in seen for name in one.layers))
    columns = 2 if len(names) <= 4 else 3 if len(names) <= 9 else 4
    rows = -(-len(names) // columns)
    head = 0.66
    tall, width = 2.05, (WIDTH - 0.15) / columns - 0.6
    figure = blank(head + rows * tall - 0.15, theme)
    for index, name in enumerate(names):
        row, column = divmod(index, columns)
        left = 0.6 + column * (width + 0.6)
        axes = place(figure, left, head + row * tall, width, tall - 0.72)
        prefix, _, last = name.rpartition(".")
        dress(axes, theme, last, "membrane potential u", "share of membranes" if column == 0 else "", "y")
        axes.text(0, 1.2, prefix, transform=axes.transAxes, fontsize=TICK, color=theme.ink, alpha=0.8)
        _draw_layer(axes, theme, [(place, one.layers[name]) for place, one in enumerate(seen) if name in one.layers])
    _name_networks(figure, seen, theme)
    return figure


def _name_networks(figure: Figure, seen: Sequence[MembraneView], theme: Theme) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=color_of(theme, place), alpha=0.7, label=one.name) for place, one in enumerate(seen)
    ]
    told = name_thresholds(seen)
    handles.append(Line2D([], [], color=theme.ink, linewidth=1.0, linestyle=DASHES, label=told))
    legend(figure, theme, handles=handles, loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=3)


def histogram(layer: Membranes, edges: np.ndarray) -> np.ndarray:
    """Return the number of membranes in each bin (bins,); values beyond the edges count in the outermost bins."""
    inside = np.clip(layer.values, edges[0], edges[-1])
    return np.histogram(inside, edges)[0]


def common_edges(layers: Sequence[Membranes]) -> np.ndarray:
    """Return bin edges that cover nearly all membranes and the thresholds."""
    tail = (1 - SHOWN) / 2
    ends = [float(np.quantile(layer.values, share)) for layer in layers for share in (tail, 1 - tail)]
    marks = [float(mark) for layer in layers for mark in shown_thresholds(layer)]
    low, high = min(ends + marks), max(ends + marks)
    margin = 0.04 * (high - low) + 1e-6
    return np.linspace(low - margin, high + margin, BINS + 1)


def shown_thresholds(layer: Membranes) -> np.ndarray:
    """Return the thresholds to draw: all, or for many channels the median and the ends of the central 90 %."""
    marks = layer.thresholds
    return marks if len(marks) <= MARKED else np.quantile(marks, [0.05, 0.5, 0.95])


def _draw_layer(axes: Axes, theme: Theme, layers: Sequence[tuple[int, Membranes]]) -> None:
    edges = common_edges([layer for _, layer in layers])
    for index, layer in layers:
        shares = histogram(layer, edges) / len(layer.values)
        color = color_of(theme, index)
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.28)
        axes.stairs(shares, edges, color=color, linewidth=1.3)
        at, side = ((0.015, "left"), (0.985, "right"))[index]
        style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": TICK, "color": color, "fontweight": "bold"}
        axes.text(at, 0.97, f"{layer.share_beyond:.1%} fire", ha=side, va="top", **style)
        _draw_thresholds(axes, theme, layer)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.3 * axes.dataLim.y1)  # what is written above stays free
    axes.yaxis.set_major_formatter(in_percent)


def _draw_thresholds(axes: Axes, theme: Theme, layer: Membranes) -> None:
    marks = shown_thresholds(layer)
    if len(layer.thresholds) > MARKED:
        axes.axvspan(marks[0], marks[-1], ymax=0.83, color=theme.ink, alpha=0.12, linewidth=0)
        marks = marks[1:2]
    for mark in marks:
        axes.axvline(mark, ymax=0.83, color=theme.ink, linewidth=1.0, linestyle=DASHES)


def name_thresholds(seen: Sequence[MembraneView]) -> str:
    """Return the thresholds of the networks in words, each network's own where they differ."""
    words = [_thresholds_of(list(one.layers.values())) for one in seen]
    if len(set(words)) == 1:
        return f"threshold {words[0]}" if words[0] != _MANY else f"threshold: {_MANY}"
    return "threshold: " + "; ".join(f"{one.name} {word}" for one, word in zip(seen, words, strict=True))


def _thresholds_of(layers: Sequence[Membranes]) -> str:
    values = sorted({float(mark) for layer in layers for mark in layer.thresholds})
    if len(values) > MARKED:
        return _MANY
    if len(values) == 2 and values[0] == -values[1]:
        return f"±{values[1]:g}"
    return ", ".join(f"{value:g}" for value in values)


def _table(seen: Sequence[MembraneView]) -> Table:
    rows = [
        (
            one.name,
            name,
            f"{len(layer.values):,}",
            f"{layer.values.mean(dtype=np.float64):.4f}",
            f"{layer.values.std(dtype=np.float64):.4f}",
            f"{layer.share_beyond:.2%}",
            f"{layer.quantization_error:.4f}",
        )
        for one in seen
        for name, layer in one.layers.items()
    ]
    return Table(TABLE, rows)


def _record(seen: Sequence[MembraneView]) -> list[dict[str, Any]]:
    return [
        {
            "checkpoint": one.given,
            "layers": [
                {
                    "layer": name,
                    "thresholds": layer.thresholds.tolist(),
                    "membranes": len(layer.values),
                    "mean": float(layer.values.mean(dtype=np.float64)),
                    "std": float(layer.values.std(dtype=np.float64)),
                    "share_beyond_threshold": layer.share_beyond,
                    "quantization_error": layer.quantization_error,
                }
                for name, layer in one.layers.items()
            ],
        }
        for one in seen
    ]
