"""Calibration by hand: reliability, temperature, threshold; kept in the checkpoint, and "none of these"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cloud_runs import settings
from hypothesis import given
from hypothesis import strategies as st

from spikecli.errors import SpikeError
from spikecli.evaluation.calibration import as_notes, calibrate, calibrated, fit_temperature, fit_threshold
from spikecli.evaluation.how import How
from spikecli.evaluation.rejecting import Rejecting, rejecting
from spikecli.evaluation.reliability import reliability
from spikecli.training.train import opened
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.run_folder import LAST
from spikecli.weights.trained import Trained

Cli = Callable[..., Any]


def test_the_expected_calibration_error_by_hand() -> None:
    """Four samples of confidence 0.9, three of them right; two of 0.6, both right; one of exactly 1, wrong.

    Bins of 1/15: 0.9 lies in (13/15, 14/15], 0.6 in (8/15, 9/15], 1 in (14/15, 1].
    """
    sure = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.6, 0.6, 1.0], dtype=torch.float64)
    shares = torch.stack([sure, 1 - sure], dim=1)
    labels = torch.tensor([0, 0, 0, 1, 0, 0, 1])
    found = reliability(shares, labels, 4)
    assert [(one.samples, round(one.confidence, 6), one.accuracy) for one in found.bins] == [
        (2, 0.6, 1.0), (4, 0.9, 0.75), (1, 1.0, 0.0),
    ]  # fmt: skip
    assert found.bins[0].low == pytest.approx(8 / 15) and found.bins[0].high == pytest.approx(9 / 15)
    assert found.ece == pytest.approx((2 * 0.4 + 4 * 0.15 + 1 * 1.0) / 7) and found.timesteps == 4


def test_the_temperature_of_a_network_that_is_too_sure_by_hand() -> None:
    """Logits ±L, right in 3 of 4: the likeliest probability is 3/4, so 2L/T = log 3."""
    logits = torch.tensor([[5.0, -5.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(10 / math.log(3), rel=1e-4)
    torch.testing.assert_close((logits / temperature).softmax(-1)[0, 0], torch.tensor(0.75), atol=1e-4, rtol=0)
    assert fit_temperature(logits, torch.zeros(4, dtype=torch.long)) == 1.0  # no mistake: nothing to learn from


def test_a_temperature_mends_the_calibration_and_moves_no_answer() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(3000, 5, generator=generator)
    labels = torch.multinomial(true.softmax(-1), 1, generator=generator)[:, 0]
    found = calibrated(3 * true, labels, 2)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.fitted and found.ece < 0.03 < 0.1 < found.ece_before
    few = calibrated(3 * true[:20], labels[:20], 2)
    assert few.temperature == 1.0 and not few.fitted and few.samples == 20


def test_the_threshold_lets_so_many_right_answers_pass() -> None:
    sure = torch.linspace(0.51, 0.70, 20, dtype=torch.float64)
    shares = torch.stack([sure, 1 - sure], dim=1)
    labels = torch.zeros(20, dtype=torch.long)
    assert fit_threshold(shares, labels) == pytest.approx(0.52)  # 19 of 20 are at 0.52 or above
    labels[0] = 1  # a wrong answer does not count: of 19 right ones all must pass, ⌈0.95 · 19⌉
    assert fit_threshold(shares, labels) == pytest.approx(0.52)
    assert fit_threshold(shares, torch.ones(20, dtype=torch.long)) == 0.0


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.floats(0.2, 5))
def test_tempered_probabilities_are_those_of_divided_logits(logits: list[float], temperature: float) -> None:
    z = torch.tensor([logits], dtype=torch.float64)
    found = Rejecting(0.5, temperature).tempered(z.softmax(-1).numpy())
    np.testing.assert_allclose(found, (z / temperature).softmax(-1).numpy(), atol=1e-9)


def test_from_training_to_none_of_these(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    run, place = tmp_path / "run", ("--data-dir", shapes_dir, "--quiet")
    how = ("--epochs", 1, "--points", 32, "--val-fraction", 0.3, "--out", run)
    assert cli("train", "shapes", *how, *place).code == 0
    notes = Trained.open(run, "cpu").notes["calibration"]
    assert [one["timesteps"] for one in notes] == [1, 2, 3, 4] and all(one["temperature"] > 0 for one in notes)
    rows = cli("eval", run, "--timesteps", "1,2", "--reliability", tmp_path / "r.png", "--json", *place).document
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
    for row, curve in zip(rows["results"], rows["calibration"], strict=True):
        assert row["ece"] == curve["ece"] and row["timesteps"] == curve["timesteps"] and "reliability" not in row
        assert sum(one["samples"] for one in curve["bins"]) == rows["samples"]
    before = checkpoints.load(run / LAST)
    again = cli("calibrate", run, "--timesteps", "1,2,3,4", "--json", *place).document["calibration"]
    after = checkpoints.load(run / LAST)
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(value, before.tensors[name]) for name, value in after.tensors.items())
    assert after == replace(before, tensors=after.tensors, notes={**before.notes, "calibration": again})
    assert [one["samples"] for one in again] == [one["samples"] for one in notes]
    assert again[0]["temperature"] == pytest.approx(notes[0]["temperature"], rel=1e-3)
    cloud = "shapes:test:0"
    sure = cli("predict", run, cloud, "--reject", "0", "--json", *place).document[0]
    assert sure["rejected"] is False and sure["answer"] == sure["predictions"][0]["class"]
    never = cli("predict", run, cloud, "--reject", "1", *place)
    assert never.code == 0 and "none of these" in never.out
    out = tmp_path / "x.csv"
    assert cli("predict", run, cloud, "--reject", "1", "--out", out, *place).code == 0
    assert ",none of these," in out.read_text().splitlines()[1]
    assert cli("predict", run, cloud, "--reject", "auto", "--json", *place).code == 0
    assert cli("predict", run, cloud, "--reject", "1.5", *place).code == 2


def test_a_run_in_bf16_is_calibrated_in_fp32_in_which_predict_answers(shapes_dir: Path, tmp_path: Path) -> None:
    config = settings(epochs=1, points=32, val_fraction=0.3)
    with opened(config, shapes_dir, tmp_path, False, "cpu") as trainer:
        list(trainer.epochs(lambda *_: None))
        model, held_out = trainer.model, trainer.held_out
        notes = held_out.calibration(model)
        in_bf16 = replace(held_out, config=config.model_copy(update={"precision": "bf16"}))
        assert in_bf16.calibration(model) == notes
        how = How(seed=config.seed, precision="bf16")
        assert as_notes(calibrate(model, held_out.inputs, held_out.labels, config.timesteps, how)) != notes


def test_weights_without_a_calibration_say_so(cli: Cli, tmp_path: Path) -> None:
    reference = Trained.open("reference", "cpu")
    assert "not calibrated" in rejecting(reference, 0.6, 4).note
    with pytest.raises(SpikeError, match="holds no fitted threshold"):
        rejecting(reference, None, 4)
