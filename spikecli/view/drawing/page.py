"""Web pages of clouds that turn with the mouse: one file, works offline."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.files.atomic import write_text
from spikecli.view.drawing.canvas import AZIMUTH, ELEVATION, Panel, Sheet, Theme

GRID = 30_000  # places a radius of the unit sphere: sixteen bits a coordinate halve the page
COLUMNS = 3  # a narrower view would cut the clouds at its sides
MOST_POINTS = 9_000  # on the whole page: with the 4.8 MB of the drawing library it stays under 5 MB


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
    """Write the sheet's clouds as one HTML file of under 5 MB with everything in it."""
    from plotly.subplots import make_subplots

    panels = thinned(sheet.panels)
    theme = sheet.theme
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    kinds, headings = [[{"type": "scene"}] * columns] * rows, [_heading(panel) for panel in panels]
    gaps = {"horizontal_spacing": 0.01, "vertical_spacing": 0.14 / rows}
    figure = make_subplots(rows, columns, specs=kinds, subplot_titles=headings, **gaps)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        figure.add_traces(_traces(panel, theme), rows=row + 1, cols=column + 1)
    hidden = {"visible": False}
    figure.update_scenes(xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="data", camera=_camera())
    figure.update_layout(
        margin={"l": 10, "r": 10, "t": 70, "b": 50},
        title={"text": sheet.caption.replace("\n", "<br>"), "y": 0.02, "font": {"size": 13}},
        showlegend=False,
    )
    write_page(figure, path, " · ".join(panel.title for panel in panels), theme, f"{max(100, 60 * rows)}vh")


def write_page(figure: Any, path: Path, title: str, theme: Theme, height: str = "100vh") -> None:
    """Write a plotly figure in the theme's colors as one HTML file that works offline."""
    figure.update_scenes(bgcolor=theme.paper)
    figure.update_layout(
        template="none", paper_bgcolor=theme.paper, font={"color": theme.ink, "family": "system-ui, sans-serif"}
    )
    config = {"displayModeBar": False, "responsive": True}
    page = figure.to_html(include_plotlyjs=True, config=config, default_height=height)
    style = f"<style>body{{margin:0;background:{theme.paper}}}</style>"
    write_text(path, page.replace("<head>", f"<head><title>{html.escape(title)}</title>{style}", 1))


def _heading(panel: Panel) -> str:
    chances = ", ".join(f"{label} {share:.0%}" for label, share in panel.bars)
    return f"<b>{html.escape(panel.title)}</b><br>{html.escape(panel.note or chances)}"


def _camera() -> dict[str, Any]:
    turn, tilt, distance = np.radians(AZIMUTH), np.radians(ELEVATION), 2.35
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
