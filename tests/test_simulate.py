"""`data simulate`: pixels by hand, noise by its rate, folders, GIFs and videos, and the file read back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from PIL import Image

from spikecli.datasets.events.recording import read_events
from spikecli.datasets.events.simulate import Pixel, log_intensity, simulate
from spikecli.datasets.events.video import frames_of
from spikecli.errors import SpikeError

Cli = Callable[..., Outcome]


def film(*values: float, step: float = 1000.0) -> list[tuple[float, np.ndarray]]:
    """Return frames of one pixel."""
    return [(number * step, np.full((1, 1), value)) for number, value in enumerate(values)]


def events(frames: list[tuple[float, np.ndarray]], pixel: Pixel, seed: int = 0) -> list[tuple[int, int]]:
    return [
        (int(t), int(p)) for part in simulate(frames, pixel, seed) for t, p in zip(part["t"], part["p"], strict=True)
    ]


def test_the_logarithm_is_a_line_below_twenty() -> None:
    found = log_intensity(np.array([[0.0, 10, 20, 100]]))
    assert found[0] == pytest.approx([0, math.log(20) / 2, math.log(20), math.log(100)])


def test_a_pixel_is_hand_computed() -> None:
    """From 100 to 100·e^0.5 in 1,000 µs: thresholds at 0.2 and 0.4 of 0.5, at 400 and 800 µs; 0.1 is left over.

    Down to 100·e^0.05: the memory is 0.4, the fall 0.35 from it holds one of 0.2, met at 0.2 of log intensity: on the
    way from 0.5 to 0.05 that is (0.5 − 0.2)/0.45 = 2/3 of the next millisecond.
    """
    frames = film(100, 100 * math.exp(0.5), 100 * math.exp(0.05))
    assert events(frames, Pixel(0.2, 0.2)) == [(400, 1), (800, 1), (1667, 0)]
    assert events(frames, Pixel(0.3, 0.2)) == [(600, 1), (1889, 0)]


def test_what_is_left_over_adds_up() -> None:
    assert events(film(100, 100 * math.exp(0.15), 100 * math.exp(0.3)), Pixel(0.2, 0.2)) == [(1333, 1)]


def test_a_pixel_rests_after_an_event() -> None:
    frames = film(100, 100 * math.exp(1.0))
    assert [t for t, _ in events(frames, Pixel(0.2, 0.2))] == [200, 400, 600, 800, 1000]
    assert [t for t, _ in events(frames, Pixel(0.2, 0.2, refractory=300))] == [200, 600, 1000]


def test_noise_has_its_rates_and_a_seed() -> None:
    still = [(number * 1e5, np.full((20, 20), 100.0)) for number in range(11)]  # a second
    leaked = events(still, Pixel(leak=3))
    assert len(leaked) == 3 * 400 and all(p == 1 for _, p in leaked)
    shot = events(still, Pixel(shot=5))
    assert 1800 < len(shot) < 2200 and 0.4 < np.mean([p for _, p in shot]) < 0.6
    assert shot == events(still, Pixel(shot=5)) != events(still, Pixel(shot=5), seed=1)
    assert events(still, Pixel()) == []


def test_mismatch_spreads_the_thresholds() -> None:
    frames = [(0.0, np.full((40, 40), 100.0)), (1000.0, np.full((40, 40), 100 * math.exp(0.2)))]
    half = sum(len(part) for part in simulate(frames, Pixel(0.2, 0.2, mismatch=0.05), 0))
    assert 600 < half < 1100  # a few fire twice
    times = [t for part in simulate(frames, Pixel(0.2, 0.2, mismatch=0.05), 0) for t in part["t"]]
    assert min(times) < 800 and times == sorted(times)


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpikeError, match="one size"):
        list(simulate([(0.0, np.ones((2, 2))), (1.0, np.ones((3, 2)))], Pixel(), 0))
    with pytest.raises(SpikeError, match="times that rise"):
        list(simulate([(1.0, np.ones((2, 2))), (1.0, np.ones((2, 2)))], Pixel(), 0))
    with pytest.raises(SpikeError, match=r"threshold below 0\.01"):
        Pixel(on=0)


def moving_square(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.full((24, 32), 60, np.uint8)
        pixels[8:16, 2 * number : 2 * number + 8] = 200
        Image.fromarray(pixels).save(folder / f"frame_{number}.png")
    return folder


def test_a_folder_becomes_a_recording_that_is_read_back(cli: Cli, tmp_path: Path) -> None:
    folder, out = moving_square(tmp_path / "pictures"), tmp_path / "events.npz"
    found = cli("data", "simulate", folder, "--out", out, "--fps", 100, "--json").document
    assert found["frames"] == 12 and found["sensor"] == "32x24" and found["seconds"] == pytest.approx(0.11)
    recording = read_events(out)
    assert len(recording) == found["events"] > 500 and (recording.width, recording.height) == (32, 24)
    assert recording.events["t"].max() <= 110_000 and (np.diff(recording.events["t"]) >= 0).all()
    brighter = recording.events[recording.events["p"] == 1]
    early, late = brighter[brighter["t"] < 20_000], brighter[brighter["t"] > 90_000]
    assert late["x"].mean() - early["x"].mean() == pytest.approx(16, abs=4)  # the square's right edge moved on
    assert cli("data", "simulate", folder, "--out", out, "--threshold", 9).code == 1


# imageio-ffmpeg leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_gif_has_its_own_times_and_a_video_ffmpegs(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((16, 16), 40 * number, np.uint8)) for number in range(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    assert [when for when, _ in frames_of(tmp_path / "a.gif")] == [0, 40_000, 80_000, 120_000]
    pytest.importorskip("imageio_ffmpeg", reason="the extra video is not installed")
    from spikecli.view.drawing.film import save_mp4

    save_mp4([each.convert("RGB") for each in pictures], tmp_path / "a.mp4", 10)
    frames = list(frames_of(tmp_path / "a.mp4"))
    assert [when for when, _ in frames] == pytest.approx([0, 1e5, 2e5, 3e5])
    assert frames[3][1].mean() == pytest.approx(120, abs=8)


def test_what_is_no_video_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "two or more" in cli("data", "simulate", tmp_path / "empty", "--out", tmp_path / "x.npz").err
    assert "check the path" in cli("data", "simulate", tmp_path / "none.mp4", "--out", tmp_path / "x.npz").err
    assert "wanted a .npz" in cli("data", "simulate", tmp_path / "empty", "--out", tmp_path / "x.csv").err


def test_pictures_of_16_bits_and_lying_photographs_are_frames_like_others(tmp_path: Path) -> None:
    """White of 16 bits is white of 8; a photograph that notes a quarter turn is turned; hidden files are no frames."""
    gray = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)
    for number, picture in enumerate((gray, 255 - gray)):
        Image.fromarray(picture.astype(np.uint16) * 257).save(tmp_path / f"{number}.png")
    lying = Image.fromarray(np.rot90(gray))
    lying.getexif()[0x0112] = 6  # to be turned clockwise
    lying.save(tmp_path / "2.png", exif=lying.getexif())
    (tmp_path / "._2.png").write_bytes(b"left by a Mac")
    found = [frame for _, frame in frames_of(tmp_path)]
    assert [frame.tolist() for frame in found] == [gray.tolist(), (255 - gray).tolist(), gray.tolist()]


@pytest.mark.parametrize("words", [["--shot", "nan"], ["--leak", "inf"], ["--threshold", "1e-9"], ["--shot", "1e9"]])
def test_numbers_that_no_pixel_has_are_refused(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    found = cli("data", "simulate", tmp_path, "--out", tmp_path / "a.npz", *words)
    assert found.code in (1, 2) and ("finite" in found.err or "wanted thresholds" in found.err)


def test_one_frame_is_too_few_and_a_place_that_cannot_be_written_is_found_first(cli: Cli, tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "one.gif")
    found = cli("data", "simulate", tmp_path / "one.gif", "--out", tmp_path / "a.npz")
    assert found.code == 1 and "found 1 frame in" in found.err
    found = cli("data", "simulate", "nosuch", "--out", tmp_path / "one.gif" / "a.npz")
    assert found.code == 1 and "not a folder" in found.err
