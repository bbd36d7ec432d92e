"""The events of a recording in x, y and t: on a web page that turns with the mouse, and as a cloud for a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikecli.view.drawing.canvas import Panel
from spikecli.view.drawing.page import Turning, write_page
from spikecli.view.drawing.theme import Theme
from spikecli.view.recordings.take import NamedRecording, thin_events

MOST_EVENTS = 12_000  # on a page: with the 4.8 MB of the drawing library it stays under 5 MB
LENGTH = 2.4  # of the time axis, in sides of the sensor


def save_event_page(take: NamedRecording, path: Path, theme: Theme, seed: int) -> None:
    """Write the events as one HTML file of under 5 MB, thinned at random if there are too many."""
    from plotly.graph_objects import Figure

    kept = thin_events(take, MOST_EVENTS, seed)
    names = (("darker", theme.darker, 0), ("brighter", theme.brighter, 1))
    figure = Figure([_trace(take, kept, *polarity) for polarity in names])
    grid = {"gridcolor": theme.faint, "zerolinecolor": theme.faint, "showbackground": False}
    width, height = take.recording.width, take.recording.height
    tall = max(width, height)
    figure.update_scenes(
        xaxis={"title": "time, ms", **grid},
        yaxis={"title": "x, pixels", "range": [0, width], **grid},
        zaxis={"title": "y, pixels", "range": [height, 0], **grid},
        aspectmode="manual",
        aspectratio={"x": LENGTH, "y": width / tall, "z": height / tall},
        camera={"eye": {"x": 0.55, "y": -2.5, "z": 0.7}, "up": {"x": 0, "y": 0, "z": 1}},
    )
    shown = take.facts
    if len(kept) < len(take.recording):
        shown += f" · shown: {len(kept):,} events, drawn at random"
    figure.update_layout(
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0.02, "itemsizing": "constant"},
        margin={"l": 0, "r": 0, "t": 0, "b": 10},
    )
    write_page([[Turning(figure, take.title, shown)]], path, take.title, theme)


def _trace(take: NamedRecording, kept: np.ndarray, name: str, color: str, polarity: int) -> Any:
    from plotly.graph_objects import Scatter3d

    chosen = kept[take.recording.events["p"][kept] == polarity]
    events = take.recording.events[chosen]
    return Scatter3d(
        x=take.ms[chosen].astype(np.float32),
        y=events["x"].astype(np.int16),
        z=events["y"].astype(np.int16),
        mode="markers",
        name=name,
        marker={"size": 1.5, "color": color, "line": {"width": 0}},
        hovertemplate="%{x:.1f} ms<br>x %{y}, y %{z}<extra>" + name + "</extra>",
    )


def event_panel(take: NamedRecording, theme: Theme) -> Panel:
    """Return all events as a cloud in the unit sphere: time to the right, x into the depth, y downward."""
    from matplotlib.colors import to_rgb

    events, recording = take.recording.events, take.recording
    tall = max(recording.width, recording.height)
    time = take.ms / max(take.duration, 1e-3) * LENGTH
    points = np.stack([time, events["x"] / tall, (recording.height - events["y"]) / tall], axis=1)
    points -= (points.max(axis=0) + points.min(axis=0)) / 2
    points /= max(float(np.linalg.norm(points, axis=1).max()), 1e-12)
    colors = np.where(events["p"][:, None] == 1, to_rgb(theme.brighter), to_rgb(theme.darker))
    return Panel(points, np.zeros(len(points)), take.title, take.facts, colors=colors)
