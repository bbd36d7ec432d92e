"""The built-in recordings: physics of the simulated camera, the promise about the halves, determinism."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.events import digits
from spikecli.datasets.events.camera import Camera, film
from spikecli.datasets.events.digits import CLIP_IMAGES, RECORDED, digit_pictures, write_digits
from spikecli.datasets.events.recording import EVENT, read_events

QUIET = Camera(noise=0.0, mismatch=0.0)


def one(picture: np.ndarray, camera: Camera = QUIET, seed: int = 0) -> np.ndarray:
    return film(picture[None], camera, seed, np.array([0]))[0]


def test_an_even_picture_or_a_camera_at_rest_sees_nothing() -> None:
    assert len(one(np.zeros((8, 8)))) == 0
    still = replace(QUIET, path=((0, 0), (0, 0), (0, 0), (0, 0)))
    assert len(one(digit_pictures(slice(0, 1))[0][0], still)) == 0


def test_noise_has_its_rate_and_its_seed() -> None:
    noisy = replace(QUIET, noise=5.0)
    events = one(np.zeros((8, 8)), noisy)
    expected = 5.0 * 34 * 34 * 0.3
    assert abs(len(events) - expected) < 5 * expected**0.5
    assert np.array_equal(events, one(np.zeros((8, 8)), noisy))
    assert not np.array_equal(events, one(np.zeros((8, 8)), noisy, seed=1))


def test_each_event_is_one_threshold_of_log_brightness() -> None:
    """A pixel's brighter minus its darker events times the threshold is its whole change, to within one threshold."""
    picture = np.zeros((8, 8))
    picture[:, 3:5] = 1
    once = replace(QUIET, path=((0.0, 0.0), (6.0, 0.0)))
    events = one(picture, once)
    change = np.zeros((34, 34))
    np.add.at(change, (events["y"], events["x"]), np.where(events["p"] == 1, once.threshold, -once.threshold))
    # The stripe leaves the columns about 13 and comes to those about 20, six to the right, by ln(1 / darkness).
    assert np.abs(change).max() <= -np.log(once.darkness) + 1e-6
    assert change[17].max() > -np.log(once.darkness) - once.threshold
    assert change[17].min() < np.log(once.darkness) + once.threshold
    brighter, darker = np.argmax(change[17]), np.argmin(change[17])
    assert 4 <= brighter - darker <= 8
    # It moves along x only: every row through the stripe's middle sees the same.
    assert np.array_equal(change[15], change[18])


def test_events_come_when_the_camera_moves() -> None:
    events = one(digit_pictures(slice(3, 4))[0][0])
    assert events.dtype == EVENT and (np.diff(events["t"]) >= 0).all()
    assert events["t"].min() >= 0 and events["t"].max() < 300_000
    within = events["t"] % 100_000
    assert ((within > 30_000) & (within < 70_000)).mean() > 0.6  # eased: at rest at the corners
    assert set(events["p"].tolist()) == {0, 1}


def test_a_recording_does_not_depend_on_its_neighbors() -> None:
    pictures, _ = digit_pictures(slice(0, 70))
    numbers = np.arange(70)
    together = film(pictures, Camera(), 3, numbers)
    assert np.array_equal(together[66], film(pictures[66:67], Camera(), 3, numbers[66:67])[0])


def test_the_halves_never_meet() -> None:
    both = np.concatenate([np.arange(1797)[CLIP_IMAGES], np.arange(1797)[RECORDED]])
    assert sorted(both.tolist()) == list(range(1797))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> slice:
    """Fewer recordings from the same half, for speed."""
    part = slice(898, 1000)
    monkeypatch.setattr(digits, "RECORDED", part)
    return part


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.bin"))}


def test_written_in_nmnists_layout(tmp_path: Path, few: slice) -> None:
    steps: list[int] = []
    folder = write_digits(tmp_path / "raw", 0, steps.append)
    first = contents(folder)
    numbers = sorted(int(Path(name).stem) for name in first)
    assert numbers == list(range(few.start, few.stop)) and sum(steps) == len(numbers)
    assert min(numbers) >= CLIP_IMAGES.stop
    _, labels = digit_pictures(few)
    for name in first:
        split, label, file = Path(name).parts
        assert split in ("Train", "Test") and int(label) == labels[int(file[:-4]) - few.start]
    train = [name for name in first if name.startswith("Train")]
    assert abs(len(train) / len(first) - 0.6) < 0.05
    counts = [len(read_events(folder / name, (34, 34))) for name in first]
    assert min(counts) > 2_000 and max(counts) < 7_000  # N-MNIST's 500 real ones: 1,112 to 7,152
    assert contents(write_digits(tmp_path / "raw", 0)) == first
    other = contents(write_digits(tmp_path / "raw", 1))
    assert other != first and sorted(Path(name).name for name in other) == sorted(Path(name).name for name in first)
    assert not list(tmp_path.glob(".unfinished-*"))
