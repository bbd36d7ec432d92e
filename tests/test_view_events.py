"""Pictures of recordings: what is in them, not that they exist."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spikecli.datasets.events import formats as event_formats
from spikecli.datasets.events.frames import EqualCount, EqualTime, to_frames, to_images
from spikecli.datasets.events.recording import EVENT, Recording, read_events
from spikecli.errors import SpikeError
from spikecli.neuroclip import backbone
from spikecli.neuroclip.clip import ClipModel
from spikecli.view.drawing import window
from spikecli.view.drawing.canvas import pixels
from spikecli.view.drawing.film import save_gif
from spikecli.view.drawing.theme import THEMES
from spikecli.view.look import MOST_FRAMES, ClipLook, EventLook, Look
from spikecli.view.recordings import flow
from spikecli.view.recordings.clip import ClipView, predictions_of
from spikecli.view.recordings.clip_figure import clip_figure, shown_classes
from spikecli.view.recordings.colors import colored, full_count
from spikecli.view.recordings.film import FADE, EventFilm, surfaces
from spikecli.view.recordings.flow import look_at_clip, look_at_events
from spikecli.view.recordings.page import MOST_EVENTS, event_panel
from spikecli.view.recordings.picture import EventSheet, strip_of
from spikecli.view.recordings.take import NamedRecording, rates, read_take, record_of, thin_events
from spikecli.view.sources import kind_of

SIDE = 34


def events_of(count: int, polarity: int | None = None, seed: int = 0, milliseconds: float = 300) -> np.ndarray:
    """Return `count` events in order of time on the left half of the sensor."""
    generator = np.random.default_rng(seed)
    events = np.empty(count, EVENT)
    events["x"], events["y"] = generator.integers(0, SIDE // 2, count), generator.integers(0, SIDE, count)
    events["t"] = np.linspace(0, milliseconds * 1000, count)
    events["p"] = generator.integers(0, 2, count) if polarity is None else polarity
    return events


def take_of(events: np.ndarray, name: str = "take", label: str = "") -> NamedRecording:
    return NamedRecording(name, Recording(events, SIDE, SIDE), label)


def write(path: Path, events: np.ndarray) -> Path:
    event_formats.write_bin(path, events)
    return path


def look(tmp_path: Path, *sources: Path | str, **changes: object) -> Look:
    settings = {"timesteps": 4, **changes}
    return Look(tuple(map(str, sources)), data_dir=tmp_path, **settings)  # type: ignore[arg-type]


def ignore(*given: object, **how: object) -> None:
    return None


def near(image: np.ndarray, color: str, reach: int = 60) -> np.ndarray:
    """Return where, (H, W), the picture (H, W, 3) in 0…255 has about this color."""
    wanted = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)])
    return np.abs(image.astype(int) - wanted).max(axis=2) < reach


@pytest.fixture
def brightening(tmp_path: Path) -> Path:
    return write(tmp_path / "brightening.bin", events_of(4000, 1))


@pytest.fixture
def darkening(tmp_path: Path) -> Path:
    return write(tmp_path / "darkening.bin", events_of(4000, 0))


# Colors and numbers.


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_the_polarity_is_the_hue_and_the_count_the_strength(theme: str) -> None:
    paper = THEMES[theme]
    counts = np.zeros((2, 1, 5))
    counts[1, 0, 1], counts[1, 0, 2], counts[0, 0, 3], counts[0, 0, 4] = 1, 9, 9, 0.2
    image = (colored(counts, 9, paper) * 255).round().astype(int)
    assert near(image, paper.paper, 1)[0].tolist() == [True, False, False, False, False]
    assert near(image, paper.brighter, 2)[0].tolist() == [False, False, True, False, False]
    assert near(image, paper.darker, 2)[0].tolist() == [False, False, False, True, False]
    strength = np.abs(image[0] - image[0, 0]).sum(axis=1)
    assert strength[2] > strength[1] > 0.3 * strength[2]  # a lone event is seen
    assert 0 < strength[4] < 0.5 * strength[3]  # a faded one fades


def test_one_hot_pixel_does_not_darken_the_others() -> None:
    counts = np.ones((2, 20, 20))
    counts[0, 3, 3] = 10_000
    assert full_count(counts) == 2
    assert full_count(np.zeros((2, 4, 4))) == 1


def test_blue_and_orange_differ_for_eyes_without_red_or_green() -> None:
    # Dichromats' colors in linear RGB: Machado et al., 2009, severity 1.0.
    protan = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
    deutan = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    for theme in THEMES.values():
        both = np.array(
            [[int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)] for color in (theme.darker, theme.brighter)]
        )
        for eyes in (protan, deutan):
            darker, brighter = both**2.2 @ eyes.T
            assert np.abs(darker - brighter).max() > 0.3


def test_rates_count_every_event_once() -> None:
    take = take_of(events_of(1000))
    edges, rate = rates(take)
    counts = rate * (edges[1] - edges[0])
    np.testing.assert_allclose(
        counts.sum(axis=1), [(take.recording.events["p"] == 0).sum(), (take.recording.events["p"] == 1).sum()]
    )
    assert edges[0] == 0 and edges[-1] == 300


def test_thinning_is_fair_seeded_and_in_order() -> None:
    take = take_of(events_of(5000))
    kept = thin_events(take, 1000, 3)
    assert len(set(kept.tolist())) == 1000 and (np.diff(kept) > 0).all()
    assert 400 < (kept < 2500).sum() < 600
    assert thin_events(take, 1000, 3).tolist() == kept.tolist() != thin_events(take, 1000, 4).tolist()
    assert thin_events(take, 6000, 0).tolist() == list(range(5000))


def test_the_record_says_what_there_is() -> None:
    record = record_of(take_of(events_of(600, 1), "a", "seven"))
    assert record == {
        "name": "a",
        "label": "seven",
        "events": 600,
        "brighter": 600,
        "duration_ms": 300.0,
        "events_per_ms": 2.0,
        "width": SIDE,
        "height": SIDE,
        "notes": [],
    }


# The still picture.


def test_a_strip_holds_every_slice_and_says_when_it_was() -> None:
    events = events_of(400, 1)
    events["p"][300:] = 0  # the last quarter is darker
    strip = strip_of(take_of(events), EqualCount(4), THEMES["light"])
    assert strip.images.shape == (4, SIDE, SIDE, 3)
    assert strip.edges.tolist() == pytest.approx([0, 75.2, 150.4, 225.6, 300], abs=0.1)
    left = (strip.images * 255)[:, :, : SIDE // 2]
    warm = [(image[..., 0] > image[..., 2] + 20).sum() for image in left]
    cold = [(image[..., 2] > image[..., 0] + 20).sum() for image in left]
    assert min(warm[:3]) > 50 and cold[:3] == [0, 0, 0]
    assert cold[3] > 50 and warm[3] == 0
    assert (strip.images[:, :, SIDE // 2 :] == 1).all()  # nothing fell on the right half


def test_slices_of_equal_time_may_be_empty() -> None:
    events = events_of(100, 1)
    events["t"] = np.where(np.arange(100) < 99, np.linspace(0, 1000, 100), 300_000)
    strip = strip_of(take_of(events), EqualTime(3), THEMES["light"])
    assert (strip.images[1] == 1).all()
    assert strip.edges[0] == 0 and (np.diff(strip.edges) >= 0).all() and strip.edges[-1] == 300


@pytest.mark.parametrize(
    ("theme", "happened", "other"), [("light", "brighter", "darker"), ("dark", "darker", "brighter")]
)
def test_the_picture_has_the_colors_of_what_happened(tmp_path: Path, theme: str, happened: str, other: str) -> None:
    source, out = write(tmp_path / "a.bin", events_of(4000, int(happened == "brighter"))), tmp_path / "a.png"
    look_at_events(look(tmp_path, source, out=out, theme=theme), ignore)
    image = np.asarray(Image.open(out).convert("RGB"))
    colors = THEMES[theme]
    assert near(image, colors.paper, 2)[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    # Of the other polarity there is no more than its name.
    assert near(image, getattr(colors, happened)).mean() > 0.05
    assert near(image, getattr(colors, other)).mean() < 0.0025


def test_recordings_are_drawn_below_one_another(brightening: Path, darkening: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.png"
    record = look_at_events(look(tmp_path, brightening, darkening, out=out), ignore)
    assert [source["name"] for source in record["sources"]] == ["brightening", "darkening"]
    upper, lower = np.array_split(np.asarray(Image.open(out).convert("RGB")), 2)
    paper = THEMES["light"]
    assert near(upper, paper.brighter).mean() > 20 * near(upper, paper.darker).mean()
    assert near(lower, paper.darker).mean() > 20 * near(lower, paper.brighter).mean()


def test_nothing_is_written_beyond_the_picture() -> None:
    sheet = EventSheet([take_of(events_of(3000), "a")], EqualCount(10), THEMES["light"], 0)
    figure = sheet.figure()
    pixels(figure, 100)  # lays it out
    width, height = figure.bbox.width, figure.bbox.height
    words = [text for axes in figure.axes for text in axes.get_children() if hasattr(text, "get_text")]
    words += [axis.label for axes in figure.axes for axis in axes._axis_map.values()]
    for text in [*words, *figure.texts]:
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()
    assert len([axes for axes in figure.axes if axes.images]) == 10


def test_one_event_is_a_picture(tmp_path: Path) -> None:
    source = write(tmp_path / "one.bin", events_of(1, 1))
    record = look_at_events(look(tmp_path, source, out=tmp_path / "one.png", timesteps=1), ignore)
    assert record["sources"][0]["events"] == 1 and record["sources"][0]["events_per_ms"] is None
    assert near(np.asarray(Image.open(tmp_path / "one.png").convert("RGB")), THEMES["light"].brighter).any()


# Films.


def test_a_film_holds_each_event_once_and_lets_it_fade() -> None:
    take = take_of(events_of(300, 1, milliseconds=300))
    new = list(surfaces(take, 10))
    assert len(new) == 10
    fade = np.exp(-30 / FADE)
    fresh = [new[0].sum(), *[(b - a * fade).sum() for a, b in pairwise(new)]]
    np.testing.assert_allclose(fresh, [len(part) for part in np.split(np.arange(300), np.searchsorted(
        take.ms, np.arange(1, 10) * 30, side="right"))], atol=1e-9)  # fmt: skip
    assert sum(fresh) == pytest.approx(300)


@pytest.mark.parametrize(("speed", "fps", "frames"), [(1.0, 20, 6), (0.5, 20, 12), (0.5, 10, 6)])
def test_a_gif_has_its_frames_and_takes_its_time(
    brightening: Path, tmp_path: Path, speed: float, fps: int, frames: int
) -> None:
    out = tmp_path / "film.gif"
    steps: list[int] = []
    phases: list[tuple[str, int]] = []

    def advance(done: int, fields: str = "", total: int | None = None) -> None:
        steps.append(done)
        if total is not None:
            phases.append((fields, total))

    look_at_events(look(tmp_path, brightening, out=out, events=EventLook(speed=speed, fps=fps)), advance)
    assert phases == [("reading", 1), ("filming", 1 + frames)] and sum(steps) == 1 + frames
    with Image.open(out) as images:
        assert images.n_frames == frames
        taken = []
        for frame in range(frames):
            images.seek(frame)
            taken.append(images.info["duration"])
    assert sum(taken) == pytest.approx(300 / speed)


def test_a_film_shows_what_moves(tmp_path: Path) -> None:
    events = events_of(3000, 1)
    events["x"] = np.arange(3000) * SIDE // 3000  # from left to right
    out = tmp_path / "film.gif"
    look_at_events(look(tmp_path, write(tmp_path / "a.bin", events), out=out, events=EventLook(fps=20)), ignore)
    centers = []
    with Image.open(out) as images:
        for frame in range(images.n_frames):
            images.seek(frame)
            picture = np.asarray(images.convert("RGB"))[65 : int(images.height * 0.7)]
            assert images.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
            centers.append(np.nonzero(near(picture, THEMES["light"].brighter, 80))[1].mean())
    assert (np.diff(centers) > 20).all()


def test_odd_rates_are_kept_on_the_whole(tmp_path: Path) -> None:
    both = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]] * 2, np.uint8))
    images = [both if frame % 2 else both.rotate(180) for frame in range(30)]
    save_gif(images, tmp_path / "a.gif", 30, both)
    with Image.open(tmp_path / "a.gif") as film:
        times = []
        for frame in range(film.n_frames):
            film.seek(frame)
            times.append(film.info["duration"])
    assert sum(times) == 1000 and set(times) == {30, 40}


def test_a_video_plays(brightening: Path, tmp_path: Path) -> None:
    from spikecli.view.drawing import film

    pytest.importorskip("imageio_ffmpeg", reason="MP4 needs imageio-ffmpeg")
    out = tmp_path / "film.mp4"
    look_at_events(look(tmp_path, brightening, out=out, theme="dark", events=EventLook(speed=0.5)), ignore)
    command = [film.ffmpeg(), "-loglevel", "error", "-i", str(out), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    images = np.frombuffer(raw, np.uint8).reshape(12, -1, 480, 3)
    assert near(images[6], THEMES["dark"].brighter, 90).mean() > 0.02


def test_films_that_are_too_short_or_too_long_are_refused(tmp_path: Path) -> None:
    how = EventLook()
    assert how.frames("a", 300) == 6
    with pytest.raises(SpikeError, match=r"a lasts 300 ms, .* a film of 1 frame; wanted at least 2; lower speed"):
        EventLook(speed=9).frames("a", 300)
    with pytest.raises(SpikeError, match=f"wanted at most {MOST_FRAMES:,}; raise speed"):
        EventLook(speed=0.001).frames("a", 300)
    one = write(tmp_path / "one.bin", events_of(1))
    with pytest.raises(SpikeError, match=r"one lasts 0 ms, .*name a \.png"):
        look_at_events(look(tmp_path, one, out=tmp_path / "one.gif"), ignore)
    assert not (tmp_path / "one.gif").exists()


def test_the_clock_and_the_caption_of_a_film_are_right() -> None:
    film = EventFilm(take_of(events_of(500), "a"), 6, 0.5, THEMES["light"])
    film.draw(film.busiest, 150)
    assert film.clock.get_text() == "150 ms"
    assert film.cursor.get_xdata() == [150, 150]
    assert film.caption.startswith("0.5 × real time")


# The page and the window.


def arrays_of(page: str) -> list[np.ndarray]:
    """Return the x, y, z arrays of a page, in their order."""
    plot = page[page.rindex("<main") :]
    found = re.findall(r'"[xyz]":\{"dtype":"(\w+)","bdata":"([^"]*)"', plot)
    return [np.frombuffer(base64.b64decode(data.replace("\\u002f", "/")), kind) for kind, data in found]


def test_a_page_holds_all_events_where_they_fell(tmp_path: Path) -> None:
    source = write(tmp_path / "a.bin", events_of(700))
    out = tmp_path / "page.html"
    look_at_events(look(tmp_path, source, out=out), ignore)
    page = out.read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000 and '<script src="' not in page
    events = read_events(source).events
    arrays = arrays_of(page)
    for polarity, (t, x, y) in ((0, arrays[:3]), (1, arrays[3:])):
        wanted = events[events["p"] == polarity]
        np.testing.assert_allclose(t, wanted["t"] / 1000, rtol=1e-6)
        assert x.tolist() == wanted["x"].tolist() and y.tolist() == wanted["y"].tolist()
    assert "drawn at random" not in page


def test_a_long_recording_is_thinned_and_the_title_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "long.bin", events_of(3 * MOST_EVENTS))
    out = tmp_path / "page.html"
    look_at_events(look(tmp_path, source, out=out, seed=1), ignore)
    page = out.read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    assert sum(map(len, arrays_of(page))) == 3 * MOST_EVENTS  # three axes
    assert f"shown: {MOST_EVENTS:,} events, drawn at random" in page.replace("\\u002c", ",")


def test_a_window_gets_all_events_in_their_colors(brightening: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    shown: list = []
    monkeypatch.setattr(flow, "show", lambda panels, theme: shown.extend(panels))
    look_at_events(look(tmp_path, brightening), ignore)
    (panel,) = shown
    assert len(panel.points) == 4000 and np.linalg.norm(panel.points, axis=1).max() == pytest.approx(1)
    assert len(np.unique(panel.colors, axis=0)) == 1
    both = event_panel(take_of(events_of(100)), THEMES["dark"])
    assert both.colors is not None and len(np.unique(both.colors, axis=0)) == 2
    assert (np.diff(both.points[:, 0]) > 0).all()  # time is to the right


def test_no_window_without_a_display_and_none_with_out(brightening: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(window.subprocess, "run", lambda *given, **how: pytest.fail("a window was opened"))
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":987")
    for suffix in ("png", "html", "gif"):
        look_at_events(look(tmp_path, brightening, out=tmp_path / f"a.{suffix}"), ignore)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SpikeError, match=r"found no display.*give out"):
        look_at_events(look(tmp_path, brightening), ignore)


# What CLIP sees.


class Speaker:
    """A stand-in for open_clip: the feature of a picture is its mean and its left half's, that of a text its length."""

    logit_scale = torch.tensor(2.0)

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([images.mean((1, 2, 3)), images[..., :8].mean((1, 2, 3))], dim=1)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens


@pytest.fixture
def clip(monkeypatch: pytest.MonkeyPatch) -> ClipModel:
    model = ClipModel(
        Speaker(), lambda texts: torch.tensor([[1.0, len(text) - 20.0] for text in texts]), "tiny", "none", "0", 16, 2,
        (0.0,) * 3, (1.0,) * 3, False, torch.device("cpu"),
    )  # fmt: skip
    monkeypatch.setattr(backbone, "open_backbone", lambda *given, **how: model)
    return model


def test_the_strip_is_what_clip_is_given_and_the_last_step_is_what_zeroshot_says(
    brightening: Path, tmp_path: Path, clip: ClipModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.zeroshot import FILE_TEMPLATES, Question, classify_files

    sights: list[ClipView] = []
    monkeypatch.setattr(flow, "clip_figure", lambda given, theme: sights.extend(given) or clip_figure(given, theme))
    asked = ClipLook(classes="a,some longer name", image_preset="white")
    wanted = look(tmp_path, brightening, out=tmp_path / "c.png", clip=asked, events=EventLook(slicing="time"))
    record = look_at_clip(wanted, ignore)
    (sight,) = sights
    frames = to_frames(read_events(brightening), EqualTime(4))
    np.testing.assert_array_equal(sight.images, to_images(frames, "white", 16).numpy())
    viewing, question = Viewing(4, "time", "white"), Question(("a", "some longer name"), FILE_TEMPLATES)
    ((_, chances),) = classify_files(clip, viewing, question, [brightening])
    np.testing.assert_allclose(sight.so_far[-1], chances, atol=1e-6)
    np.testing.assert_allclose(sight.so_far[0], sight.alone[0], atol=1e-6)
    np.testing.assert_allclose(sight.alone.sum(axis=1), 1, atol=1e-6)
    said = record["sources"][0]["predictions"]
    assert [step["timesteps"] for step in said] == [1, 2, 3, 4] and said == predictions_of(sight)
    assert said[-1]["class"] == sight.classnames[int(sight.so_far[-1].argmax())]


def test_the_picture_shows_the_images_and_a_bluer_cell_for_the_likelier_class() -> None:
    chances = np.array([[0.9, 0.1], [0.05, 0.95]])
    images = np.stack([np.full((3, 8, 8), value) for value in (0.2, 0.7)])
    sight = ClipView(take_of(events_of(9), "a", "cat"), images, chances, chances, ("cat", "dog"), "tiny")
    figure = clip_figure([sight], THEMES["light"])
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [float(picture.mean()) for picture in pictures] == pytest.approx([0.2, 0.7])
    (table,) = [axes for axes in figure.axes if axes.collections]
    np.testing.assert_allclose(table.collections[0].get_array(), [[0.1, 0.95], [0.9, 0.05]])  # dog, then cat
    assert [text.get_text() for text in table.texts] == ["10", "95", "90", "5"]
    texts = {text.get_text(): text.get_fontweight() for text in figure.texts}
    assert texts["cat"] == "bold" and texts["dog"] == "normal"
    assert "cat\n90%" in texts and "dog\n95%" in texts


def test_of_many_classes_the_likeliest_and_the_true_one_are_shown() -> None:
    names = tuple("abcdefgh")
    chances = np.array([[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.04, 0.01]])
    images = np.zeros((1, 3, 8, 8))
    shown = [
        shown_classes(ClipView(take_of(events_of(9), "x", label), images, chances, chances, names, ""))
        for label in ("", "b", "h")
    ]
    assert shown == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 7]]


# Sources, and what cannot be shown.


def test_what_holds_events_is_told_from_what_holds_points(tmp_path: Path) -> None:
    for name in ("a.bin", "a.DAT", "a.aedat4", "a.npz"):
        (tmp_path / name).touch()
        assert kind_of(str(tmp_path / name)) == "events"
    assert kind_of("nmnist:test:3") == kind_of("digits:test:0") == "events"
    np.save(tmp_path / "points.npy", np.zeros((5, 3)))
    np.save(tmp_path / "normals.npy", np.zeros((5, 6)))
    np.save(tmp_path / "table.npy", np.zeros((5, 4)))
    np.save(tmp_path / "fields.npy", events_of(5))
    (tmp_path / "broken.npy").write_bytes(b"not an array")
    kinds = [kind_of(str(tmp_path / f"{name}.npy")) for name in ("points", "normals", "table", "fields", "broken")]
    assert kinds == ["points", "points", "events", "events", "points"]


def test_what_cannot_be_shown_is_one_line(
    cli: Callable, brightening: Path, darkening: Path, tmp_path: Path, monkeypatch
) -> None:
    empty = tmp_path / "empty.bin"
    empty.write_bytes(b"")
    short = write(tmp_path / "short.bin", events_of(3))
    png = tmp_path / "a.png"
    wrong = {
        (brightening, "--out", tmp_path / "a.bmp"): r"cannot write .*a\.bmp: its suffix is '\.bmp'",
        (brightening, darkening, "--out", tmp_path / "a.gif"): "found 2 recordings for a .gif; wanted one",
        (brightening, darkening, "--out", tmp_path / "a.html"): "found 2 recordings for a .html; wanted one",
        (empty, "--out", png): "empty.bin holds no events",
        (tmp_path / "gone.bin", "--out", png): "found no file .*gone.bin",
        (short, "--out", png): r"short\.bin holds 3 events; wanted at least one for each of 10 slices",
        (short, "--out", png, "--slicing", "size"): "found slicing 'size'; wanted one of count, time",
        (
            brightening,
            "--out",
            png,
            "--show",
            "spiders",
        ): "which cannot show events; wanted --show clip, or",
        (
            brightening,
            "--out",
            tmp_path / "a.gif",
            "--show",
            "clip",
        ): r"found .*a\.gif; .*a still picture: give --out FILE, with one of \.png",
        (brightening, "--out", png, "--show", "clip"): "found no class names for .*brightening.bin",
        (brightening, "--out", png, "--checkpoint", "reference"): "reference is no network on event frames",
        (brightening, "--out", png, "--color", "normal"): "found --color and a recording",
        (brightening, "--out", png, "--classes", "a,b"): "found options of CLIP's pictures; add --show clip",
        (brightening, "shapes:test:0", "--out", png): r"different kinds \(events, points\)",
        ("nmnist:test", "--out", png, "--data-dir", tmp_path): "wanted DATASET:SPLIT:INDEX",
        ("nmnist:test:0", "--out", png, "--data-dir", tmp_path): "nmnist is not prepared",
    }
    for arguments, message in wrong.items():
        outcome = cli("view", *arguments, "--quiet", *(("-T", 3) if "size" in arguments else ()))
        assert outcome.code == 1 and re.search(message, outcome.err), (arguments, outcome.err)
        assert outcome.err.count("\n") == 1
    assert not png.exists()


def test_a_sample_of_a_data_set_comes_with_its_class(cli: Callable, shared_data: Path, tmp_path: Path) -> None:
    for folder, digit in (*(("Train", str(digit)) for digit in range(10)), ("Test", "0"), ("Test", "1")):
        place = tmp_path / "N-MNIST" / folder / digit
        place.mkdir(parents=True)
        write(place / "00001.bin", events_of(50, seed=int(digit)))
    given = ("--data-dir", tmp_path / "data", "--quiet", "--json")
    assert cli("data", "prepare", "nmnist", "--from", tmp_path / "N-MNIST", *given).code == 0
    record = cli("view", "nmnist:test:1", "--out", tmp_path / "a.png", *given).document["sources"][0]
    assert (record["name"], record["label"], record["events"]) == ("nmnist:test:1", "one", 50)
    outcome = cli("view", "nmnist:test:2", "--out", tmp_path / "a.png", *given)
    assert outcome.code == 1 and "found no recording 2 in nmnist:test; wanted 0 to 1" in outcome.err


def test_real_recordings_of_all_formats_are_drawn(shared_data: Path, tmp_path: Path) -> None:
    pictures = []
    for name, size in (("gesture_8.bin", (128, 128)), ("ncars.dat", (128, 128)), ("davis.aedat4", (320, 240))):
        take = read_take(str(shared_data / "samples" / name), tmp_path)
        assert (take.recording.width, take.recording.height) == size
        strip = strip_of(take, EqualCount(3), THEMES["dark"])
        assert strip.images.shape == (3, size[1], size[0], 3)
        pictures.append(strip.images.mean())
    assert len({round(float(value), 4) for value in pictures}) == 3
