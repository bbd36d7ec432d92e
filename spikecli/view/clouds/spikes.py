"""Spike rasters: every layer's channels over the time steps, with the firing rates below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.view.clouds.flow import needs_network, sees_clouds
from spikecli.view.clouds.panels import cloud_panel
from spikecli.view.clouds.shape import Shape, as_trained, read_shapes
from spikecli.view.drawing.canvas import AZIMUTH, WIDTH, draw_cloud, frame
from spikecli.view.drawing.chart import LABEL, TICK, TITLE, blank, color_of, dress, in_percent, place
from spikecli.view.drawing.report import REPORTS, picture
from spikecli.view.drawing.sections import Report, Section, Table
from spikecli.view.drawing.theme import THEMES, Theme
from spikecli.view.drawing.window import show_picture
from spikecli.view.look import Look, check_out, refuse_unused

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikecli.evaluation.probe import Firing
    from spikecli.weights.trained import Trained

ROWS = 64  # channels of a layer that are drawn
BESIDE = 7  # layers in one row
CLOUD, LEFT = 1.75, 2.45  # inches: the cloud's side, and where the rasters begin
RASTER, BARS, HEAD, FOOT = 2.3, 0.62, 0.58, 0.48  # inches: heights of a row's parts


@dataclass(frozen=True)
class Fired:
    """One cloud, the firing of the layers for it, and the class and its probability after each step."""

    shape: Shape
    layers: dict[str, Firing]
    said: tuple[tuple[str, float], ...]


def look_at_spikes(look: Look, on_work: Callable[..., None]) -> dict[str, Any]:
    """Draw the spikes of a network for the clouds and return the record. Raise SpikeError as its parts do."""
    from spikecli.evaluation import probe

    check_out(look, REPORTS)
    refuse_unused(look, "checkpoint", "points", "reading")
    trained = needs_network(look, "spikes")
    on_work(0, total=len(look.sources) + 1)
    probe.demand_spikes(trained)
    sees_clouds(trained)
    fired = []
    for shape in read_shapes(
        look.sources, look.data_dir, look.points or trained.config.points, look.seed, as_trained(look.reading, trained)
    ):
        layers = probe.firing(trained.network, shape.seen_by(trained), look.timesteps, look.seed)
        fired.append(Fired(shape, layers, _said(look, trained, shape)))
        on_work(1)
    report = build_report(fired, trained.name, THEMES[look.theme])
    if look.out is None:
        show_picture(picture(report), report.title)
    else:
        REPORTS[look.suffix](report, look.out)
    on_work(1)
    return {"out": look.out, "checkpoint": str(trained.given), "sources": [_record(one) for one in fired]}


def _said(look: Look, trained: Trained, shape: Shape) -> tuple[tuple[str, float], ...]:
    from spikecli.evaluation.evaluate import probabilities

    found = probabilities(trained, shape.seen_by(trained)[None], look.timesteps, look.seed)[:, 0]
    return tuple((trained.classnames[int(row.argmax())], float(row.max())) for row in found)


def build_report(fired: Sequence[Fired], network: str, theme: Theme) -> Report:
    """Return the report: a figure for each cloud, and its firing rates as a table."""
    signed = any(layer.negative.any() for one in fired for layer in one.layers.values())
    colors = "left and blue: +1, right and orange: −1; " if signed else ""
    note = (
        f"a row is a channel, up to {ROWS} of a layer; color: the share of its points, or its one neuron, that fires; "
        f"{colors}the cloud: warm points fire most"
    )
    sections = [
        Section(one.shape.name, _verdict(one, -1), spikes_figure(one, theme), _rates(one), flat=True) for one in fired
    ]
    return Report(f"Spikes in {network}", note, theme, sections)


def _verdict(one: Fired, step: int) -> str:
    name, chance = one.said[step]
    mark = "" if not one.shape.label else " ✓" if name == one.shape.label else " ✗"
    return f"T = {len(one.said[: step + 1 or None])}: {name} {chance:.0%}{mark}"


def spikes_figure(one: Fired, theme: Theme) -> Figure:
    """Return the figure of a cloud: the prediction step by step, and every layer's raster and firing rates."""
    beside = min(BESIDE, len(one.layers))
    rows = -(-len(one.layers) // beside)
    tall = HEAD + RASTER + BARS + FOOT
    figure = blank(rows * tall, theme)
    _draw_source(figure, one, theme)
    gap = 0.16 if beside > 4 else 0.3
    width = (WIDTH - LEFT - 0.2 + gap) / beside - gap
    highest = max(_by_step(layer).max() for layer in one.layers.values())
    for index, (name, layer) in enumerate(one.layers.items()):
        row, column = divmod(index, beside)
        left, top = LEFT + column * (width + gap), row * tall + HEAD
        _draw_raster(place(figure, left, top, width, RASTER), layer, name, theme, column == 0, width > 1.2)
        axes = place(figure, left, top + RASTER + 0.06, width, BARS)
        _draw_rates(axes, layer, theme, width, 1.3 * highest, column == 0)
    return figure


def _draw_source(figure: Figure, one: Fired, theme: Theme) -> None:
    side = place(figure, 0.12, HEAD, CLOUD, CLOUD)
    panel = replace(cloud_panel(one.shape), values=activity(one), colormap="plasma")
    draw_cloud(side, panel, theme, AZIMUTH, frame([panel], [AZIMUTH])[0], CLOUD)
    width, height = figure.get_size_inches()
    style: dict[str, Any] = {"ha": "center", "color": theme.ink}
    center = (0.12 + CLOUD / 2) / width
    figure.text(center, 1 - 0.23 / height, panel.title, fontsize=TITLE, fontweight="bold", va="center", **style)
    figure.text(center, 1 - 0.4 / height, panel.note, fontsize=TICK, alpha=0.8, va="center", **style)
    steps = sorted({int(step) for step in np.linspace(0, len(one.said) - 1, min(len(one.said), 6)).round()})
    for line, step in enumerate(steps):
        down = 1 - (HEAD + CLOUD + 0.22 + 0.19 * line) / height
        figure.text(center, down, _verdict(one, step), fontsize=LABEL, va="center", **style)


def activity(one: Fired) -> np.ndarray:
    """Return each point's spikes in the layers that see single points (N,), scaled from 0, the least, to 1."""
    total = sum(layer.by_point for layer in one.layers.values() if len(layer.by_point) == len(one.shape.points))
    spikes = np.broadcast_to(total, len(one.shape.points)).astype(float)
    return (spikes - spikes.min()) / max(float(np.ptp(spikes)), 1e-12)


def raster(layer: Firing) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of +1 and of −1 spikes (rows, T) of channels spread evenly over the order of firing."""
    order = np.lexsort([*layer.rates[::-1], layer.rates.sum(axis=0)])[::-1]
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(ROWS, len(order))).round().astype(int))]
    return layer.positive.T[shown] / len(layer.by_point), layer.negative.T[shown] / len(layer.by_point)


def _draw_raster(axes: Axes, layer: Firing, name: str, theme: Theme, first: bool, wide: bool) -> None:
    from matplotlib.colors import to_rgb

    plus, minus = raster(layer)
    steps, channels = layer.rates.shape
    most = max(float(plus.max()), float(minus.max()), 1e-12)
    shown = [(plus, color_of(theme, 0)), (minus, color_of(theme, 1))][: 2 if layer.negative.any() else 1]
    paper = np.array(to_rgb(theme.paper))
    halves = [paper + share[..., None] / most * (np.array(to_rgb(ink)) - paper) for share, ink in shown]
    image = np.stack(halves, axis=2).reshape(len(plus), -1, 3)  # with both signs, each step has a column for each
    axes.imshow(image, aspect="auto", interpolation="nearest", extent=(0.5, steps + 0.5, len(plus), 0))
    dress(axes, theme, grid="none")
    for edge in axes.spines.values():
        edge.set_visible(True)
    axes.set_xticks([])
    axes.set_yticks([])
    for step in range(1, steps):
        axes.axvline(step + 0.5, color=theme.paper, linewidth=1.2)
    if first:
        axes.set_ylabel("channels, busiest first", fontsize=LABEL, color=theme.ink)
    points = len(layer.by_point)
    room = f" × {points:,}" if wide else ""
    counted = f"{channels} channels{room}\nfull color: {most:.0%}" if points > 1 else f"{channels} neurons\n"
    axes.text(0, 1.125, name.rpartition(".")[2], fontsize=TITLE, fontweight="bold", **_above(axes, theme))
    axes.text(0, 1.02, counted, fontsize=TICK - 0.5, alpha=0.8, linespacing=1.15, **_above(axes, theme))
    if "." in name:
        axes.text(0, 1.19, name.rpartition(".")[0], fontsize=TICK - 0.5, alpha=0.8, **_above(axes, theme))


def _above(axes: Axes, theme: Theme) -> dict[str, Any]:
    return {"transform": axes.transAxes, "ha": "left", "va": "bottom", "color": theme.ink}


def _by_step(layer: Firing) -> np.ndarray:
    """Return the firing rate of a whole layer at each step (T,)."""
    return layer.rates.mean(axis=1)


def _draw_rates(axes: Axes, layer: Firing, theme: Theme, width: float, highest: float, first: bool) -> None:
    rates = _by_step(layer)
    numbers = np.arange(1, len(rates) + 1)
    axes.bar(numbers, rates, width=0.82, color=color_of(theme, 0))
    dress(axes, theme, across="time step", up="rate" if first else "", grid="y")
    axes.set_xlim(0.5, len(rates) + 0.5)
    axes.set_ylim(0, max(highest, 0.01))
    axes.yaxis.set_major_locator(_few_ticks())
    axes.yaxis.set_major_formatter(in_percent)
    if not first:
        axes.tick_params(labelleft=False)
    axes.set_xticks(numbers if len(rates) <= 6 else numbers[:: -(-len(rates) // 5)])
    if width / len(rates) >= 0.24:
        for number, rate in zip(numbers, rates, strict=True):
            axes.text(
                float(number), rate, f"{rate:.0%}", ha="center", va="bottom", fontsize=TICK - 1.5, color=theme.ink
            )


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=3)


def _rates(one: Fired) -> Table:
    rows = [(name, *(f"{rate:.2%}" for rate in _by_step(layer))) for name, layer in one.layers.items()]
    steps = len(one.said)
    return Table(("layer", *(f"firing at step {step}" for step in range(1, steps + 1))), rows)


def _record(one: Fired) -> dict[str, Any]:
    total = sum(layer.positive.sum(axis=1) + layer.negative.sum(axis=1) for layer in one.layers.values())
    seen = sum(len(layer.by_point) * layer.rates.shape[1] for layer in one.layers.values())
    return {
        "name": one.shape.name,
        "label": one.shape.label or None,
        "points": len(one.shape.points),
        "firing_rate": (total / seen).tolist(),
        "predictions": [
            {"timesteps": step, "class": name, "probability": chance}
            for step, (name, chance) in enumerate(one.said, start=1)
        ],
        "layers": [
            {"layer": name, "channels": layer.rates.shape[1], "firing_rate": _by_step(layer).tolist()}
            for name, layer in one.layers.items()
        ],
    }
