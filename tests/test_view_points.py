"""Pictures of clouds: what is in them, not that they exist."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import forks
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from spikecli.datasets.clouds.store import PointClouds
from spikecli.errors import SpikeError
from spikecli.evaluation import evaluate, probe
from spikecli.settings.config import ModelConfig, TrainConfig, network_settings
from spikecli.view.clouds import flow
from spikecli.view.clouds import shape as shapes
from spikecli.view.clouds.facing import AXES, LEGEND, colors_of_normals, estimate_normals
from spikecli.view.clouds.flow import look_at_points
from spikecli.view.clouds.panels import CloudAnswer, cloud_panel, sheet_of, step_panels
from spikecli.view.clouds.shape import Shape, read_shape
from spikecli.view.drawing import film, window
from spikecli.view.drawing.canvas import AZIMUTH, Bar, Panel, Sheet, paint, pixels, project
from spikecli.view.drawing.chart import shown_steps
from spikecli.view.drawing.film import FRAMES
from spikecli.view.drawing.page import MOST_POINTS, save_page
from spikecli.view.drawing.theme import THEMES
from spikecli.view.look import Look
from spikecli.view.sources import kind_of
from spikecli.weights.trained import Trained


def ball(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def ink(image: Image.Image, theme: str = "light") -> np.ndarray:
    """Return where, (H, W), the picture differs from its paper."""
    paper = np.array([int(THEMES[theme].paper[place : place + 2], 16) for place in (1, 3, 5)])
    return np.abs(np.asarray(image.convert("RGB")).astype(int) - paper).max(axis=2) > 24


def look(tmp_path: Path, *sources: str, **changes: object) -> Look:
    return Look(tuple(sources), data_dir=tmp_path, **changes)  # type: ignore[arg-type]


def stand_in(model: ModelConfig) -> Trained:
    """Return the settings of a network that was trained with 60 points, without the network."""
    path, config = Path("w.safetensors"), TrainConfig(points=60, model=model)
    return Trained(nn.Identity(), CLASSES, path, path, "w", torch.device("cpu"), config, {})


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    corners = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 1\n1 0 1\n1 1 1\n0 1 1\n"
    faces = "4 0 1 2 3\n4 4 5 6 7\n4 0 1 5 4\n4 2 3 7 6\n4 1 2 6 5\n4 0 3 7 4\n"
    path = tmp_path / "cube.off"
    path.write_text(f"OFF\n8 6 0\n{corners}{faces}")
    return path


@pytest.fixture
def pole(tmp_path: Path) -> Path:
    path = tmp_path / "pole.npy"
    points = np.zeros((200, 3))
    points[:, 2] = np.linspace(0, 3, 200)
    np.save(path, points)
    return path


def test_the_camera_sees_right_up_and_near_as_they_are() -> None:
    azimuth = 0.0  # the camera stands on +x: +y is to the right, +z up, +x near
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
    spots, near = project(points, azimuth)
    assert spots[2, 0] > 0.9 > -0.9 > spots[3, 0]
    assert spots[4, 1] > 0.8 > -0.8 > spots[5, 1]
    assert near[0] > 1 > near[1]
    assert spots[0, 1] < 0 < spots[1, 1]  # seen from above, what is near lies lower
    assert near[2] == pytest.approx(1)


def test_a_quarter_turn_about_the_axis_is_a_quarter_turn_of_the_camera() -> None:
    points = ball(50)
    turned = points @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=float)  # x → y
    corners = np.concatenate([np.eye(3), -np.eye(3)])  # the same box before and after
    here = project(np.concatenate([points, corners]), 0.0)[0][:50]
    there = project(np.concatenate([turned, corners]), 90.0)[0][:50]
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_far_points_fade_toward_the_paper() -> None:
    panel = Panel(np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([0.5, 0.5]), "")
    for theme in THEMES.values():
        far, near = paint(panel, np.array([0.8, 1.2]), theme)
        paper = np.array([int(theme.paper[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        assert np.linalg.norm(far - paper) < 0.5 * np.linalg.norm(near - paper)


def test_a_pole_is_drawn_as_a_thin_upright_line_in_the_colors_of_height(pole: Path, tmp_path: Path) -> None:
    out = tmp_path / "pole.png"
    look_at_points(look(tmp_path, str(pole), out=out), lambda done: None)
    image = Image.open(out).convert("RGB")
    drawn = ink(image)
    drawn[: int(image.height * 0.16)] = False  # the title
    rows, columns = np.nonzero(drawn)
    assert np.ptp(rows) > 0.7 * image.height
    assert np.ptp(columns) < 0.12 * image.width
    assert abs(columns.mean() - image.width / 2) < 0.02 * image.width
    colors = np.asarray(image).astype(int)
    top = colors[rows.min() + 6, int(columns.mean())]
    bottom = colors[rows.max() - 6, int(columns.mean())]
    assert top[1] > max(top[0], top[2]) and bottom[1] < min(bottom[0], bottom[2])  # green above, violet below


def test_two_shapes_give_two_pictures_and_the_same_shape_the_same(cube: Path, pole: Path, tmp_path: Path) -> None:
    pictures = []
    for name, source in (("a", cube), ("b", pole), ("c", cube)):
        out = tmp_path / f"{name}.png"
        look_at_points(look(tmp_path, str(source), out=out, points=150), lambda done: None)
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[2] != pictures[1]


def test_several_sources_stand_side_by_side(cube: Path, pole: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.png"
    steps: list[int] = []
    wanted = look(tmp_path, str(cube), str(pole), out=out)
    record = look_at_points(wanted, steps.append)
    assert [source["name"] for source in record["sources"]] == ["cube", "pole"]
    assert sum(steps) == wanted.work
    drawn = ink(Image.open(out))
    half = drawn.shape[1] // 2
    body = slice(int(drawn.shape[0] * 0.2), None)
    assert drawn[body, :half].mean() > 4 * drawn[body, half:].mean() > 0


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_the_paper_has_the_color_of_the_theme(cube: Path, tmp_path: Path, theme: str) -> None:
    out = tmp_path / "cube.png"
    look_at_points(look(tmp_path, str(cube), out=out, theme=theme, points=500), lambda done: None)
    image = Image.open(out).convert("RGB")
    paper = tuple(int(THEMES[theme].paper[place : place + 2], 16) for place in (1, 3, 5))
    assert image.getpixel((1, 1)) == image.getpixel((image.width - 2, image.height - 2)) == paper
    assert 0.1 < ink(image, theme).mean() < 0.9


def test_a_turntable_has_its_frames_and_turns(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "cube.gif"
    steps: list[int] = []
    look_at_points(look(tmp_path, str(cube), out=out, points=120), steps.append)
    assert sum(steps) == FRAMES + 1
    with Image.open(out) as images:
        assert images.n_frames == FRAMES
        assert images.info["loop"] == 0
        pictures = []
        assert images.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        for frame in (0, FRAMES // 3, FRAMES - 1):
            images.seek(frame)
            pictures.append(ink(images.convert("RGB")))
    differing = [float((pictures[0] != other).mean()) for other in pictures[1:]]
    assert differing[0] > 0.01  # a third of a turn away is another view
    for picture in pictures:  # and nothing leaves the frame
        assert not picture[:, 0].any() and not picture[:, -1].any() and not picture[-1].any()


def test_a_film_plays_at_its_size_and_length(cube: Path, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="MP4 needs imageio-ffmpeg")
    out = tmp_path / "cube.mp4"
    look_at_points(look(tmp_path, str(cube), out=out, points=120), lambda done: None)
    command = [film.ffmpeg(), "-loglevel", "error", "-i", str(out), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    images = np.frombuffer(raw, np.uint8).reshape(FRAMES, -1).astype(int)
    assert np.abs(images[0] - images[FRAMES // 3]).max() > 60


def test_without_ffmpeg_the_cure_is_named(cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    failing = shutil.which("false")
    monkeypatch.setattr(film.shutil, "which", lambda name: None)
    with pytest.raises(SpikeError, match=r"which is not installed; run pip install 'spikecli\[video\]'"):
        look_at_points(look(tmp_path, str(cube), out=tmp_path / "cube.mp4", points=60), lambda done: None)
    monkeypatch.setattr(film.shutil, "which", lambda name: failing)
    with pytest.raises(SpikeError, match=r"could not write .*cube.mp4 \(exit 1"):
        look_at_points(look(tmp_path, str(cube), out=tmp_path / "cube.mp4", points=60), lambda done: None)
    assert not (tmp_path / "cube.mp4").exists()


def stored_points(page: str) -> list[np.ndarray]:
    """Return the x, y, z arrays of a page, in their order."""
    plot = page[page.rindex("<main") :]
    found = re.findall(r'"[xyz]":\{"dtype":"i2","bdata":"([^"]*)"', plot)
    return [np.frombuffer(base64.b64decode(data.replace("\\u002f", "/")), "<i2") for data in found]


def test_a_page_holds_all_points_and_stays_under_five_megabytes(cube: Path, pole: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    look_at_points(look(tmp_path, str(cube), str(pole), out=out, points=200), lambda done: None)
    page = out.read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    assert '<script src="' not in page
    arrays = stored_points(page)
    assert [len(array) for array in arrays] == [200] * 6
    assert np.ptp(arrays[3]) == 0 and np.ptp(arrays[5].astype(int)) > 50_000  # the pole: no width, all height
    assert "<h1>cube · pole</h1>" in page


def test_a_large_cloud_is_thinned_to_fit_the_page(tmp_path: Path) -> None:
    panel = cloud_panel(Shape("<ball>", ball(3 * MOST_POINTS)))
    out = tmp_path / "page.html"
    save_page(Sheet([panel, panel], THEMES["dark"], 2), out)
    page = out.read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    assert sum(len(array) for array in stored_points(page)) == 3 * MOST_POINTS
    assert "<title>&lt;ball&gt; · &lt;ball&gt;</title>" in page


# What the network saw.

CLASSES = ("bed", "chair", "table")


@pytest.fixture
def seen() -> CloudAnswer:
    chances = np.array([[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]])
    wins = np.zeros((2, 60), dtype=int)
    wins[0, 3], wins[0, 7], wins[1, 7], wins[1, 9] = 12, 4, 15, 1
    return CloudAnswer(chances, wins, CLASSES)


def test_each_step_names_its_class_and_colors_the_points_that_decided(seen: CloudAnswer) -> None:
    first, second = step_panels(Shape("x", ball(60), "bed"), seen)
    assert (first.title, second.title) == ("T = 1: chair ✗", "T = 2: bed ✓")
    assert [(bar.label, bar.share) for bar in first.bars] == [("chair", 0.5), ("table", 0.3), ("bed", 0.2)]
    assert second.bars[0] == Bar("bed", 0.7, 0)
    assert first.muted is not None and second.muted is not None
    assert np.flatnonzero(~first.muted).tolist() == [3, 7]
    assert np.flatnonzero(~second.muted).tolist() == [3, 7, 9]
    assert second.values[7] == 1.0  # 19 wins in two steps, the most
    assert second.values[3] == pytest.approx(np.sqrt(12 / 19))


def test_a_cloud_of_unknown_class_is_neither_right_nor_wrong(seen: CloudAnswer) -> None:
    for label in ("", "lamp"):  # the second is none that the network has ever heard of
        titles = [panel.title for panel in step_panels(Shape("x", ball(60), label), seen)]
        assert titles == ["T = 1: chair", "T = 2: bed"]


def test_many_steps_are_shown_as_four() -> None:
    assert shown_steps(1) == [1]
    assert shown_steps(4) == [1, 2, 3, 4]
    assert shown_steps(10) == [1, 4, 7, 10]


def test_the_sheet_has_a_row_a_cloud_and_says_what_the_colors_mean(seen: CloudAnswer) -> None:
    shapes = [Shape("x", ball(60), "bed"), Shape("y", ball(60, 1), "chair")]
    sheet = sheet_of(shapes, [seen, seen], THEMES["light"], (AZIMUTH,))
    assert (sheet.rows, sheet.columns) == (2, 3)
    assert "of the 16 features" in sheet.caption
    drawn = ink(pixels(sheet.figure(), 100))
    # The decisive point of a step is drawn in a warm color, which a cloud colored by height has nowhere.
    assert drawn.mean() > 0.02


def test_a_checkpoint_tells_the_classes_step_by_step(
    cube: Path, tmp_path: Path, seen: CloudAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def predict(trained: Trained, points: np.ndarray, timesteps: int, seed: int) -> np.ndarray:
        asked.append((trained.path.name, points.shape, timesteps, seed))
        return seen.probabilities[:, None]

    monkeypatch.setattr(evaluate, "probabilities", predict)
    monkeypatch.setattr(probe, "critical_points", lambda trained, points, timesteps, seed: seen.wins)
    trained = stand_in(network_settings(classes=3))
    wanted = look(tmp_path, str(cube), out=tmp_path / "seen.png", checkpoint=trained, timesteps=2, seed=5)
    steps: list[int] = []
    record = look_at_points(wanted, steps.append)
    assert asked == [("w.safetensors", (1, 60, 3), 2, 5)]
    assert sum(steps) == wanted.work
    assert [step["class"] for step in record["sources"][0]["predictions"]] == ["chair", "bed"]
    assert [step["deciding_points"] for step in record["sources"][0]["predictions"]] == [2, 3]


# Colors.


def distance(colors: np.ndarray, name: str) -> np.ndarray:
    return np.abs(colors - [int(name[place : place + 2], 16) / 255 for place in (1, 3, 5)]).max(axis=-1)


def test_a_normal_and_its_opposite_have_the_color_of_their_axis() -> None:
    for normal, name in zip(np.eye(3), AXES, strict=True):
        assert distance(colors_of_normals(np.stack([normal, -normal])), name).max() < 1e-9
    between = colors_of_normals(np.array([[0.6, 0, 0.8]]))
    np.testing.assert_allclose(
        between, 0.36 * colors_of_normals(np.eye(3)[:1]) + 0.64 * colors_of_normals(np.eye(3)[2:])
    )


def test_normals_are_estimated_from_neighbors() -> None:
    ring = ball(2000)
    assert np.abs((estimate_normals(ring) * ring).sum(axis=1)).min() > 0.95  # a ball faces outward, or inward
    generator = np.random.default_rng(0)
    floor = np.c_[generator.uniform(-1, 1, (300, 2)), np.zeros(300)].astype(np.float32)
    np.testing.assert_allclose(np.abs(estimate_normals(floor)), np.tile([0, 0, 1.0], (300, 1)), atol=1e-6)
    assert np.isfinite(estimate_normals(floor[:2])).all()


def test_the_faces_of_a_cube_have_the_colors_of_the_axes(cube: Path, tmp_path: Path) -> None:
    shape = read_shape(str(cube), tmp_path, 900, 0)
    sheet = sheet_of([shape], [], THEMES["light"], (AZIMUTH,), "normal")
    assert sheet.caption == LEGEND
    (panel,) = sheet.panels
    assert panel.colors is not None
    low, high = panel.points.min(axis=0), panel.points.max(axis=0)
    on = np.minimum(panel.points - low, high - panel.points) < 1e-5
    assert (on.sum(axis=1) >= 1).all() and (on.sum(axis=0) > 200).all()
    for axis, name in enumerate(AXES):
        face = on[:, axis] & (on.sum(axis=1) == 1)
        assert distance(panel.colors[face], name).max() < 1e-6
    painted = paint(panel, np.ones(len(panel.points)), THEMES["light"])
    np.testing.assert_allclose(painted, panel.colors, atol=1e-9)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_colors_by_normal_reach_the_picture(cube: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"cube.{suffix}"
    look_at_points(look(tmp_path, str(cube), out=out, points=300, color="normal"), lambda done: None)
    with Image.open(out) as image:
        colors = np.asarray(image.convert("RGB")) / 255
    for name in AXES:
        assert (distance(colors, name) < 0.16).sum() > 30
    assert not (distance(colors, "#440154") < 0.1).any()  # the lowest color of height


def test_colors_by_normal_reach_the_page(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    look_at_points(look(tmp_path, str(cube), out=out, points=300, color="normal"), lambda done: None)
    page = out.read_text(encoding="utf-8")
    plot = page[page.rindex("<main") :]
    (data,) = re.findall(r'"color":\{"dtype":"u1","bdata":"([^"]*)"', plot)
    numbers = np.frombuffer(base64.b64decode(data.replace("\\u002f", "/")), "u1")
    scale = {round(float(place) * 255): rgb for place, rgb in re.findall(r'\[([\d.e-]+),"rgb\(([^)]*)\)"\]', plot)}
    colors = np.array([[int(part) / 255 for part in scale[number].split(",")] for number in numbers])
    assert len(colors) == 300
    assert (np.min([distance(colors, name) for name in AXES], axis=0) < 0.11).all()  # a sixth of the way is rounded
    assert "up or down (z)" in page


@pytest.fixture
def firing(seen: CloudAnswer) -> CloudAnswer:
    spikes = np.zeros((2, 60), dtype=int) + 10
    spikes[0, 5], spikes[1, 8] = 40, 25
    return replace(seen, spikes=spikes, neurons=192)


def test_each_step_shows_its_own_spikes_on_one_scale(firing: CloudAnswer) -> None:
    first, second = step_panels(Shape("x", ball(60), "bed"), firing, (10, 40))
    assert (first.title, second.title) == ("T = 1: chair ✗", "T = 2: bed ✓")
    assert first.muted is None and second.muted is None
    assert first.values[5] == 1 and first.values[8] == 0
    assert second.values[8] == pytest.approx(0.5) and second.values[5] == 0
    sheet = sheet_of([Shape("x", ball(60), "bed")], [firing], THEMES["dark"], (AZIMUTH,), "spikes")
    assert sheet.caption == "color: how many of a point's 192 neurons fire in step T"
    assert sheet.ramp is not None and sheet.ramp.low == "10"
    assert pixels(sheet.figure(), 60) != pixels(
        sheet_of([Shape("x", ball(60), "bed")], [replace(firing, spikes=None)], THEMES["dark"], (AZIMUTH,)).figure(), 60
    )


def test_spikes_are_asked_of_the_network(cube: Path, tmp_path: Path, firing: CloudAnswer, monkeypatch) -> None:
    monkeypatch.setattr(evaluate, "probabilities", lambda *given: firing.probabilities[:, None])
    monkeypatch.setattr(probe, "critical_points", lambda *given: firing.wins)
    monkeypatch.setattr(probe, "point_spikes", lambda trained, points, timesteps, seed: (firing.spikes, 192))
    trained = stand_in(network_settings(classes=3))
    wanted = look(tmp_path, str(cube), out=tmp_path / "a.png", checkpoint=trained, color="spikes")
    record = look_at_points(wanted, lambda done: None)
    assert [step["point_spikes"] for step in record["sources"][0]["predictions"]] == [630, 615]
    caption = sheet_of([Shape("x", ball(60))], [firing], THEMES["light"], (AZIMUTH,), "normal").caption
    assert caption.count("\n") == 1 and caption.endswith(LEGEND)


def test_colors_that_need_a_network_or_are_none_are_refused(cli: Callable, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    for color, message in (("wins", "no network to look into; add --checkpoint RUN"), ("red", "wanted one of height,")):
        outcome = cli("view", cube, "--color", color, "--out", out, "--quiet")
        assert outcome.code == 1 and message in outcome.err and outcome.err.count("\n") == 1
    assert cli("view", cube, "--color", "normal", "--out", out, "--quiet").code == 0 and out.exists()
    outcome = cli("view", cube, "--speed", "2", "--out", out, "--quiet")
    assert outcome.code == 1 and "found options of recordings and a cloud" in outcome.err


def test_a_network_that_sees_no_clouds_is_refused(cube: Path, tmp_path: Path) -> None:
    trained = stand_in(network_settings(name="resnet20", classes=3))
    with pytest.raises(SpikeError, match="is a resnet20, which sees no clouds; give a run of pointnet or dela"):
        look_at_points(look(tmp_path, str(cube), out=tmp_path / "a.png", checkpoint=trained), print)


# Sources, and what cannot be shown.


def test_a_cloud_of_a_data_set_comes_with_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = PointClouds(
        np.stack([ball(30), ball(30, 1)]), np.array([2, 0]), ("a", "b"), ("bed", "chair", "lamp"), "shapes", "test", ""
    )
    monkeypatch.setattr(shapes, "load_points", lambda *given: stored)
    shape = read_shape("shapes:test:0", tmp_path, None, 0)
    assert (shape.label, shape.points.shape) == ("lamp", (30, 3))
    assert cloud_panel(shape).title == "lamp" and cloud_panel(shape).note == "shapes:test:0"
    with pytest.raises(SpikeError, match="has clouds 0 to 1, not 2"):
        read_shape("shapes:test:2", tmp_path, None, 0)
    for wrong in ("shapes:test", "shapes:test:-1", "shapes"):
        with pytest.raises(SpikeError, match="wanted DATASET:SPLIT:INDEX"):
            read_shape(wrong, tmp_path, None, 0)


def test_what_is_no_source_is_told_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "chair.OFF").touch()
    assert kind_of(str(tmp_path / "chair.OFF")) == kind_of("modelnet10:test:17") == "points"
    with pytest.raises(SpikeError, match=r"found no file a/chair\.off; check the path"):
        kind_of("a/chair.off")
    with pytest.raises(SpikeError, match=r"cannot tell what 'notes.docx' is; give a file \(.*\.off"):
        kind_of("notes.docx")


def test_bad_requests_are_refused_before_any_work(cli: Callable, cube: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(flow, "read_shapes", lambda *given: pytest.fail("it began to work"))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SpikeError, match=r"cannot write .*cube.bmp.*\.png, \.svg, \.pdf, \.html, \.gif, \.mp4"):
        look_at_points(look(tmp_path, str(cube), out=tmp_path / "cube.bmp"), lambda done: None)
    monkeypatch.setattr(window.sys, "platform", "linux")
    with pytest.raises(SpikeError, match=r"found no display.*give out"):
        look_at_points(look(tmp_path, str(cube)), lambda done: None)


def test_a_window_that_crashes_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    crash = subprocess.CompletedProcess([], -11, "", "some\nlibGL error: no driver\n")
    monkeypatch.setattr(window.subprocess, "run", lambda *given, **how: crash)
    with pytest.raises(SpikeError, match=r"exit -11: libGL error: no driver.*give out"):
        window.show([cloud_panel(Shape("x", ball(20)))], THEMES["light"])


def test_a_picture_never_asks_for_a_screen(cube: Path, tmp_path: Path) -> None:
    """With a display that answers to nobody, a command with --out still draws."""
    code = (
        "import sys; from pathlib import Path; from spikecli.view.look import Look\n"
        "from spikecli.view.clouds.flow import look_at_points\n"
        f"look = Look(({str(cube)!r},), Path('.'), out=Path({str(tmp_path / 'x.png')!r}), points=50)\n"
        "look_at_points(look, lambda done: None)\n"
        "sys.exit('matplotlib.pyplot' in sys.modules or 'open3d' in sys.modules)"
    )
    env = {**os.environ, "DISPLAY": ":987", "MPLBACKEND": ""}
    forks.run([sys.executable, "-c", code], env=env, check=True, fresh=True)
    assert ink(Image.open(tmp_path / "x.png")).any()


def test_real_meshes_fill_their_frames(shared_data: Path, tmp_path: Path) -> None:
    sources = [str(path) for path in sorted((shared_data / "samples").glob("*.off"))]
    out = tmp_path / "meshes.png"
    record = look_at_points(look(tmp_path, *sources, out=out), lambda done: None)
    assert [source["points"] for source in record["sources"]] == [4096] * len(sources)
    drawn = ink(Image.open(out))
    for panel in np.array_split(drawn, len(sources), axis=1):
        rows, columns = np.nonzero(panel[int(len(panel) * 0.2) :])
        assert max(np.ptp(columns) / panel.shape[1], np.ptp(rows) / panel.shape[0]) > 0.75
