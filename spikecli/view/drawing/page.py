"""Web pages of clouds and recordings that turn with the mouse or the arrow keys: one file, works offline."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.files.atomic import write_text
from spikecli.view.drawing.canvas import AZIMUTH, ELEVATION, Panel, Ramp, Sheet
from spikecli.view.drawing.page_style import KEYS, STYLE
from spikecli.view.drawing.theme import Theme

GRID = 30_000  # places a radius of the unit sphere: sixteen bits a coordinate halve the page
MOST_POINTS = 9_000  # on the whole page: with the 4.8 MB of the drawing library it stays under 5 MB
CONFIG = '{"displayModeBar":false,"responsive":true}'


@dataclass(frozen=True)
class Turning:
    """One plotly figure on a page, with its heading and a note below that."""

    figure: Any
    heading: str
    note: str


def thinned(panels: Sequence[Panel], seed: int = 0) -> list[Panel]:
    """Return the panels, each thinned at random to its share of the points that fit a page."""
    share = MOST_POINTS // len(panels)
    generator = np.random.default_rng(seed)
    thin = []
    for panel in panels:
        if len(panel.points) > share:
            kept = np.sort(generator.permutation(len(panel.points))[:share])
            each = {name: getattr(panel, name) for name in ("points", "values", "muted", "colors")}
            panel = replace(panel, **{name: array[kept] for name, array in each.items() if array is not None})
        thin.append(panel)
    return thin


def save_page(sheet: Sheet, path: Path) -> None:
    """Write the sheet's clouds as one HTML file of under 5 MB; each row of the sheet begins a row of the page."""
    panels = thinned(sheet.panels)
    turning = [Turning(_figure(panel, sheet.theme), panel.title, panel.note or _chances(panel)) for panel in panels]
    rows = [turning[first : first + sheet.columns] for first in range(0, len(turning), sheet.columns)]
    title = " · ".join(panel.title for panel in panels)
    sources = " · ".join(panel.title for panel in panels if not panel.bars)  # bars stand below answers to a source
    write_page(rows, path, title, sheet.theme, sheet.caption, sheet.ramp, sources if len(panels) > 1 else "")


def write_page(
    rows: Sequence[Sequence[Turning]], path: Path, title: str, theme: Theme, caption: str = "",
    ramp: Ramp | None = None, heading: str = "",
) -> None:  # fmt: skip
    """Write rows of plotly figures in the theme's colors as one HTML file that works offline and on a narrow screen.

    `heading` stands above them all.
    """
    from plotly.offline import get_plotlyjs

    style = STYLE.format(paper=theme.paper, ink=theme.ink, faint=theme.faint)
    head = f"<h1>{html.escape(heading)}</h1>" if heading else ""
    parts = [
        f'<!doctype html><html lang="en"><head><title>{html.escape(title)}</title><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><meta name="generator" content="spikecli">'
        f'<meta name="description" content="{html.escape(caption or title)}"><style>{style}</style>'
        f"<script>{get_plotlyjs()}</script></head><body><main>{head}",
        *_rows(rows, theme),
        f"<p>{_ramp(ramp, theme)}{html.escape(caption)}</p>" if caption else "",
        f'<p class="help">Drag, or take the arrow keys, to turn · wheel, or + and −, to zoom</p>'
        f"<script>{KEYS}</script></main></body></html>\n",
    ]
    write_text(path, "\n".join(filter(None, parts)))


def _rows(rows: Sequence[Sequence[Turning]], theme: Theme) -> Iterable[str]:
    # Figures are drawn once all stand in their places: one drawn earlier would keep the width it had alone in its row.
    drawn: list[str] = []
    alone = len(rows) == len(rows[0]) == 1
    level = "h1" if alone else "h2"
    for row in rows:
        yield f'<div class="row{" alone" if alone else ""}">'
        for one in row:
            name = f"panel{len(drawn)}"
            words = f"{one.heading}: points in space. Arrow keys turn them, plus and minus zoom."
            yield (
                f"<figure><figcaption><{level}>{html.escape(one.heading)}</{level}>{html.escape(one.note)}</figcaption>"
                f'<div id="{name}" class="plotly-graph-div" tabindex="0" role="application" '
                f'aria-label="{html.escape(words)}"></div></figure>'
            )
            drawn.append(f"<script>{_drawn(name, one.figure, theme)}</script>")
        yield "</div>"
    yield from drawn


def _drawn(name: str, figure: Any, theme: Theme) -> str:
    from plotly.io.json import to_json_plotly

    figure.update_scenes(bgcolor=theme.paper)
    figure.update_layout(
        template="none", paper_bgcolor=theme.paper, font={"color": theme.ink, "family": "system-ui, sans-serif"}
    )
    content = figure.to_plotly_json()
    data, layout = to_json_plotly(content["data"]), to_json_plotly(content["layout"])
    return f'Plotly.newPlot("{name}",{data},{layout},{CONFIG});'


def _ramp(ramp: Ramp | None, theme: Theme) -> str:
    """Return the key of a scale of colors as HTML."""
    if ramp is None:
        return ""
    stops = ",".join(color for _, color in _scale(ramp.colormap, theme))
    bar = f'<span class="ramp" style="background:linear-gradient(90deg,{stops})"></span>'
    return f"{html.escape(ramp.low)} {bar} {html.escape(ramp.high)} · "


def _chances(panel: Panel) -> str:
    return ", ".join(f"{bar.label} {bar.share:.0%}" for bar in panel.bars)


def _figure(panel: Panel, theme: Theme) -> Any:
    from plotly.graph_objects import Figure

    figure = Figure(_traces(panel, theme))
    hidden = {"visible": False}
    figure.update_scenes(xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="data", camera=_camera())
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False)
    return figure


def _camera() -> dict[str, Any]:
    turn, tilt, distance = np.radians(AZIMUTH), np.radians(ELEVATION), 2.6
    eye = distance * np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
    return {"eye": dict(zip("xyz", eye.tolist(), strict=True)), "up": {"x": 0, "y": 0, "z": 1}}


def _traces(panel: Panel, theme: Theme) -> list[Any]:
    muted = np.zeros(len(panel.points), dtype=bool) if panel.muted is None else panel.muted
    values, scale = (panel.values * 255).astype(np.uint8), _scale(panel.colormap, theme)
    if panel.colors is not None:
        values, scale = _numbered(panel.colors)
    shown = _trace(panel.points[~muted], {"size": 2.4, "color": values[~muted]})
    shown.marker.update(colorscale=scale, cmin=0, cmax=255)
    return [_trace(panel.points[muted], {"size": 1.5, "color": theme.faint}), shown] if muted.any() else [shown]


def _numbered(colors: np.ndarray) -> tuple[np.ndarray, list[list[Any]]]:
    """Return for colors (N, 3) the index of each, 0 … 255, and the scale of the 216 colors that they select."""
    # A number takes a byte on the page, a color in words a dozen.
    levels = (np.clip(colors, 0, 1) * 5).round().astype(int)
    cube = [(red * 51, green * 51, blue * 51) for red in range(6) for green in range(6) for blue in range(6)]
    scale = [[place / 255, f"rgb{color}"] for place, color in enumerate(cube)]
    return (levels @ (36, 6, 1)).astype(np.uint8), [*scale, [1.0, scale[-1][1]]]


def _trace(points: np.ndarray, marker: dict[str, Any]) -> Any:
    from plotly.graph_objects import Scatter3d

    x, y, z = np.ascontiguousarray((points * GRID).round().T).astype(np.int16)
    return Scatter3d(x=x, y=y, z=z, mode="markers", marker={"line": {"width": 0}, **marker}, hoverinfo="skip")


def _scale(colormap: str, theme: Theme) -> list[list[Any]]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    stops = np.linspace(0, 1, 16)
    return [[float(stop), to_hex(colormaps[colormap](theme.low + (theme.high - theme.low) * stop))] for stop in stops]
