"""`--resample`: other points of each cloud in every epoch, on the host and on the device, the same after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cloud_runs import fit, settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from spikecli.datasets.clouds.store import load_points
from spikecli.errors import SettingError, Stopped
from spikecli.settings.config import TrainConfig
from spikecli.training import feeds
from spikecli.training.batches import Batches, first_points, points_drawn
from spikecli.training.device_augment import points_drawn as drawn_on_device
from spikecli.training.train import opened
from spikecli.weights import checkpoint as checkpoints

CPU = torch.device("cpu")


def clouds(count: int = 6, points: int = 20) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, points, 3)).astype(np.float32)


def batches(**changes: object) -> Batches:
    config = TrainConfig.model_validate({"points": 8, "batch_size": 3, "augment": "none", "resample": True, **changes})
    return Batches(clouds(), np.arange(6), config, CPU)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(8, 20))
@examples(max_examples=20, deadline=None)
def test_points_are_drawn_from_the_cloud_itself_none_twice(seed: int, count: int) -> None:
    whole = clouds()
    torch.manual_seed(seed)
    for drawn in (
        points_drawn(whole, count, np.random.default_rng(seed)),
        drawn_on_device(torch.from_numpy(whole), count).numpy(),
    ):
        assert drawn.shape == (6, count, 3) and drawn.dtype == np.float32
        np.testing.assert_allclose(drawn.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(drawn, axis=2).max(1), 1, atol=1e-6)
        for mine, cloud in zip(drawn, whole, strict=True):
            # Up to a shift and a scale these are points of the cloud: differences from the first keep their ratios.
            lengths = np.linalg.norm(mine[:, None] - mine[None], axis=2)
            assert (lengths[~np.eye(count, dtype=bool)] > 0).all()  # none twice
            if count == len(cloud):
                found = np.sort(np.linalg.norm(cloud[:, None] - cloud[None], axis=2), axis=None)
                np.testing.assert_allclose(np.sort(lengths, axis=None) * found[-1], found * lengths.max(), atol=1e-4)


def test_a_batch_is_a_function_of_epoch_and_step_and_each_epoch_has_other_points() -> None:
    made = batches()
    chosen = np.array([0, 1, 2])
    first, again, later = (made.batch(chosen, epoch, 0)[0] for epoch in (0, 0, 1))
    assert first.shape == (3, 8, 3)
    assert torch.equal(first, again) and not torch.equal(first, later)
    plain = Batches(clouds(), np.arange(6), made.config.model_copy(update={"resample": False}), CPU)
    assert torch.equal(plain.batch(chosen, 0, 0)[0], plain.batch(chosen, 1, 0)[0])


def test_statistics_are_estimated_on_the_points_that_evaluation_takes() -> None:
    made = batches()
    order = made.order(0)
    for indices, batch in zip(order, made.clean(0, 100), strict=True):
        np.testing.assert_array_equal(batch.numpy(), first_points(clouds()[indices], 8))


@pytest.mark.parametrize("augment", ["none", "paper", "thin", "stretch", "robust"])
def test_the_device_draws_as_many_points(augment: str) -> None:
    feed = feeds.ResidentFeed(batches(augment=augment))
    size = feed.load(0, 0)
    torch.manual_seed(3)
    first, labels = feed.make(size)
    second, _ = feed.make(size)
    wanted = size if augment == "thin" else 8
    assert first.shape == (3, wanted, 3) and wanted <= 8 and labels.tolist() == batches().order(0)[0].tolist()
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(feed.make(size)[0], first)


def test_a_stopped_run_goes_on_to_the_same_bits(shapes_dir: Path, tmp_path: Path) -> None:
    config = settings(points=32, resample=True, augment="none")
    fit(config, shapes_dir, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(config, shapes_dir, tmp_path / "parts", stop_at=3)
    fit(config, shapes_dir, tmp_path / "parts", resume=True)
    whole, parts = (checkpoints.load(tmp_path / name / "model.safetensors").tensors for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)


def test_what_is_held_out_is_scored_on_the_points_that_eval_takes(shapes_dir: Path, tmp_path: Path) -> None:
    with opened(settings(points=32, resample=True), shapes_dir, tmp_path, False, "cpu") as trainer:
        assert trainer.batches.inputs.shape[1] == 64
        cut = load_points(shapes_dir, "shapes", "train", 32).points
        held = trainer.held_out.inputs
        assert held.shape[1] == 32 and all((cut == cloud).all((1, 2)).any() for cloud in held[:5])


def test_it_is_refused_where_there_is_nothing_to_draw_from(cli: Callable, shapes_dir: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(SettingError, match="has 64 a cloud"),
        opened(settings(points=64, resample=True), shapes_dir, tmp_path, False, "cpu"),
    ):
        pass
    refused = cli("train", "digits", "--resample", "--data-dir", shapes_dir, "--out", tmp_path / "run")
    assert refused.code != 0 and "--resample" in refused.err and "events" in refused.err
