"""Slices, counts and images: nothing lost, hand-computed cases, and the paper's gray picture pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from event_bytes import Event, some_events
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecli.datasets.events.frames import PRESETS, SLICINGS, EqualCount, EqualTime, Slicing, to_frames, to_images
from spikecli.datasets.events.recording import EVENT, Recording
from spikecli.errors import SpikeError


def recording(events: list[Event], width: int = 8, height: int = 6) -> Recording:
    return Recording(np.array(events, EVENT), width, height)


def test_equal_count_gives_the_last_slice_the_rest() -> None:
    assert EqualCount(3).assign(np.arange(11)).tolist() == [0] * 3 + [1] * 3 + [2] * 5
    assert EqualCount(1).assign(np.arange(2)).tolist() == [0, 0]


def test_equal_time_by_hand() -> None:
    # From 100 to 199 µs in four slices of 25 µs; the third is empty.
    t = np.array([100, 124, 125, 149, 175, 199])
    assert EqualTime(4).assign(t).tolist() == [0, 0, 1, 1, 3, 3]
    assert EqualTime(2).assign(np.array([7, 7, 7])).tolist() == [0, 0, 0]


def test_frames_by_hand() -> None:
    frames = to_frames(recording([(7, 0, 1, 0), (7, 0, 2, 0), (0, 5, 3, 1), (7, 0, 4, 1)]), EqualCount(2))
    assert frames.shape == (2, 2, 6, 8) and frames.dtype == np.int32
    wanted = np.zeros((2, 2, 6, 8))
    wanted[0, 0, 0, 7] = 2
    wanted[1, 1, 5, 0] = wanted[1, 1, 0, 7] = 1
    assert np.array_equal(frames, wanted)


@given(st.integers(1, 12), st.sampled_from(sorted(SLICINGS)), st.integers(12, 90), st.integers(0, 5))
@settings(deadline=None)
def test_no_event_is_lost(timesteps: int, slicing: str, count: int, seed: int) -> None:
    events = some_events(count, 8, 6, seed)
    whole = recording(events)
    frames = to_frames(whole, SLICINGS[slicing](timesteps))
    assert frames.sum() == count
    assert np.array_equal(frames.sum(0), to_frames(whole, EqualCount(1))[0])
    bigger = to_frames(whole, SLICINGS[slicing](timesteps), height=10, width=9)
    assert np.array_equal(bigger[..., :6, :8], frames) and bigger.sum() == count


@pytest.mark.parametrize("slicing", [EqualCount(4), EqualTime(4)])
def test_fewer_events_than_slices(slicing: Slicing) -> None:
    with pytest.raises(SpikeError, match="3 events; wanted at least one for each of 4 slices"):
        to_frames(recording(some_events(3, 8, 6)), slicing)


def test_no_time_steps_and_too_small_a_sensor() -> None:
    for kind in (EqualCount, EqualTime):
        with pytest.raises(SpikeError, match="at least 1"):
            kind(0)
    with pytest.raises(SpikeError, match="x = 7, y = 0"):
        to_frames(recording([(7, 0, 0, 0)]), EqualCount(1), height=6, width=7)


def test_one_polarity_only() -> None:
    frames = to_frames(recording([(1, 1, 0, 1), (2, 2, 5, 1)]), EqualCount(2))
    assert frames[:, 0].sum() == 0 and frames[:, 1].sum() == 2


def test_gray_is_the_papers_canvas() -> None:
    frames = np.zeros((1, 2, 3, 3), np.int32)
    frames[0, 0, 0, 0] = 1  # darker only
    frames[0, 1, 0, 1] = 1  # brighter only
    frames[0, :, 2, 2] = 2  # both, twice: the second drawn wins
    canvas = [[255, 0, 127], [127, 127, 127], [127, 127, 0]]
    image = to_images(frames, "gray", 3)
    assert image.shape == (1, 3, 3, 3) and image.dtype == torch.float32
    for channel in range(3):
        assert torch.allclose(image[0, channel], torch.tensor(canvas) / 255)
    once = to_images(frames, "gray", 3, threshold=1)
    assert torch.allclose(once[0, 0], torch.tensor([[127, 127, 127], [127, 127, 127], [127, 127, 0]]) / 255)


def test_gray_is_scaled_bilinearly() -> None:
    frames = np.zeros((1, 2, 2, 2), np.int32)
    frames[0, 0] = [[1, 0], [1, 0]]
    row = torch.tensor([255, 0.75 * 255 + 0.25 * 127, 0.25 * 255 + 0.75 * 127, 127]) / 255
    assert torch.allclose(to_images(frames, "gray", 4)[0, 0], row.expand(4, 4))


def test_counts_are_darker_on_white_and_brighter_on_black() -> None:
    frames = np.zeros((1, 2, 2, 2), np.int32)
    frames[0, 0, 0, 0], frames[0, 1, 0, 0], frames[0, 1, 1, 1] = 1, 2, 3
    assert torch.allclose(to_images(frames, "histogram", 2)[0, 0], torch.eye(2))
    assert torch.allclose(to_images(frames, "white", 2)[0, 0], 1 - torch.eye(2))


def test_red_is_brighter_and_blue_is_darker() -> None:
    frames = np.zeros((1, 2, 2, 2), np.int32)
    frames[0, 1, 0, 0] = frames[0, 0, 1, 1] = 1
    image = to_images(frames, "redblue", 2)[0]
    assert image[:, 0, 0].tolist() == [1, 0, 0]
    assert image[:, 1, 1].tolist() == [0, 0, 1]
    assert image[:, 0, 1].tolist() == [1, 1, 1]


def test_a_hot_pixel_does_not_darken_the_rest() -> None:
    frames = np.ones((1, 2, 30, 30), np.int32)
    frames[0, 0, 0, 0] = 10_000
    assert to_images(frames, "histogram", 30)[0, 0, 5, 5] > 0.4  # 2 of 10,001 would be 0.0002


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_in_any_shape(preset: str) -> None:
    frames = to_frames(recording(some_events(400, 8, 6)), EqualCount(5))
    image = to_images(frames, preset, 16)
    assert image.shape == (5, 3, 16, 16) and image.min() >= 0 and image.max() <= 1 and image.std() > 0.05
    batch = to_images(np.stack([frames, frames[::-1]]), preset, 16)
    assert batch.shape == (2, 5, 3, 16, 16) and torch.equal(batch[0], image)
    assert torch.equal(batch[1], image.flip(0))
    empty = to_images(np.zeros((1, 2, 6, 8), np.int32), preset, 16)
    assert torch.allclose(empty, torch.tensor(PRESETS[preset].ground))


def test_a_wide_sensor_keeps_its_proportions_and_a_large_one_its_pixels() -> None:
    frames = np.zeros((1, 2, 4, 8), np.int32)
    frames[0, 1] = 1
    image = to_images(frames, "histogram", 8)[0, 0]
    assert image[:2].sum() == 0 and image[6:].sum() == 0 and torch.equal(image[2:6], torch.ones(4, 8))
    single = np.zeros((1, 2, 64, 64), np.int32)
    single[0, 1, 5, 5] = 1
    assert to_images(single, "histogram", 16).sum() > 0


def test_an_unknown_preset() -> None:
    with pytest.raises(SpikeError, match=r"'grey'.*gray, white, redblue, histogram"):
        to_images(np.zeros((1, 2, 4, 4)), "grey")
