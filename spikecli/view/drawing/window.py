"""Clouds and pictures in an Open3D window, in a separate process that a driver's crash may end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError, named
from spikecli.view.drawing.canvas import AZIMUTH, ELEVATION, Panel, paint
from spikecli.view.drawing.theme import Theme

if TYPE_CHECKING:
    from PIL.Image import Image

TALLEST = 1000  # pixels of a picture in a window: it fits most screens


def _cure() -> str:
    return f"give {named('out')} with a .png, .svg, .pdf, .gif, .mp4 or .html file"


def no_display() -> None:
    """Raise SpikeError if no window can be opened."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise SpikeError(f"found no display to open a window on; {_cure()}")


def show(panels: Sequence[Panel], theme: Theme) -> None:
    """Show the clouds side by side in a window until it is closed; raise SpikeError without a screen or on a crash."""
    from matplotlib.colors import to_rgb

    no_display()
    turn = np.radians(AZIMUTH)
    right = 2.1 * np.array([-np.sin(turn), np.cos(turn), 0.0])  # unit spheres beside one another as the camera stands
    points = [panel.points - panel.points.mean(axis=0) + index * right for index, panel in enumerate(panels)]
    colors = [paint(panel, np.ones(len(panel.points)), theme) for panel in panels]
    title = " · ".join(panel.title for panel in panels)
    _in_child(points=np.concatenate(points), colors=np.concatenate(colors), paper=to_rgb(theme.paper), title=title)


def show_picture(image: Image, title: str) -> None:
    """Show a picture in a window until it is closed; raise SpikeError without a screen or on a crash."""
    no_display()
    if image.height > TALLEST:
        image = image.resize((image.width * TALLEST // image.height, TALLEST))
    _in_child(image=np.asarray(image), title=title)


def _in_child(**content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shown.npz"
        np.savez(path, **content)
        ended = subprocess.run(
            [sys.executable, "-m", "spikecli.view.drawing.window", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise SpikeError(f"Open3D could not show a window (exit {ended.returncode}: {last}); {_cure()}")


def open_window(path: Path) -> None:
    """Run the child process: show the clouds or the picture of an .npz file until the window is closed."""
    import open3d

    stored = np.load(path)
    if "image" in stored:
        height, width = stored["image"].shape[:2]
        picture = open3d.geometry.Image(memoryview(stored["image"]))
        open3d.visualization.draw_geometries([picture], str(stored["title"]), width=width, height=height)
        return
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(stored["points"].astype(np.float64)))
    cloud.colors = open3d.utility.Vector3dVector(stored["colors"])
    viewer = open3d.visualization.Visualizer()
    if not viewer.create_window(str(stored["title"]), width=1100, height=800):
        raise RuntimeError("no window could be made")
    viewer.add_geometry(cloud)
    options = viewer.get_render_option()
    options.background_color = stored["paper"]
    options.point_size = float(np.clip(700 / np.sqrt(len(stored["points"])), 1.5, 5.0))  # a recording has many
    turn, tilt = np.radians(AZIMUTH), np.radians(ELEVATION)
    camera = viewer.get_view_control()
    camera.set_front([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
    camera.set_lookat(cloud.get_axis_aligned_bounding_box().get_center())  # of its extent: the near legs are in sight
    camera.set_up([0.0, 0.0, 1.0])
    camera.set_zoom(0.8)
    viewer.run()
    viewer.destroy_window()


if __name__ == "__main__":
    open_window(Path(sys.argv[1]))
