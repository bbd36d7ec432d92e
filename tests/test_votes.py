"""Voting over the start noise: an answer is the mean of several seeded passes, and costs all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome

from spikecli import models
from spikecli.datasets.clouds.store import PointClouds
from spikecli.errors import SettingError
from spikecli.evaluation.evaluate import evaluate, voted
from spikecli.evaluation.how import How
from spikecli.evaluation.stopping import votes_of
from spikecli.models.running import step_logits
from spikecli.settings.config import network_settings
from spikecli.settings.papers import neuron_of

Cli = Callable[..., Outcome]
CPU = torch.device("cpu")


def network(paper: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = models.build(network_settings(classes=4, neuron=neuron_of(paper))).eval()
    for name, value in model.named_parameters():
        if name.endswith("norm.bias"):  # membranes about the threshold, which the noise crosses
            torch.nn.init.constant_(value, 0.45)
    return model


def clouds() -> PointClouds:
    xyz = np.random.default_rng(0).normal(size=(8, 24, 3)).astype(np.float32)
    return PointClouds(xyz, np.arange(8) % 4, tuple("01234567"), ("a", "b", "c", "d"), "made-up", "test", "none")


def test_votes_are_the_mean_of_passes_whose_seeds_follow_one_another() -> None:
    model, inputs = network("spiking-pointnet"), clouds().inputs(2)
    how = How(runs=2, seed=10, votes=3)
    for run, seeds in enumerate(((10, 11, 12), (13, 14, 15))):
        passes = [step_logits(model, inputs, 2, CPU, "fp32", seed) for seed in seeds]
        assert not torch.equal(passes[0], passes[1])
        torch.testing.assert_close(voted(model, inputs, 2, how, run), sum(passes) / 3)


def test_every_vote_is_paid_for() -> None:
    model, samples = network("spiking-pointnet"), clouds()
    (alone,) = evaluate(model, samples, [1], How())
    (second,) = evaluate(model, samples, [1], How(seed=1))
    (both,) = evaluate(model, samples, [1], How(votes=2))
    assert both.synaptic_operations == pytest.approx(alone.synaptic_operations + second.synaptic_operations)
    assert both.energy_uj == pytest.approx(alone.energy_uj + second.energy_uj)
    assert both.firing_rate == pytest.approx((alone.firing_rate + second.firing_rate) / 2)


def test_several_votes_need_noise() -> None:
    assert votes_of(network("spiking-pointnet"), 3) == 3 and votes_of(network("lif"), 1) == 1
    with pytest.raises(SettingError, match="votes cannot be 3: no membrane of this network starts at random"):
        votes_of(network("lif"), 3)


def test_the_table_and_the_document_name_them(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    line = ["train", "shapes", "--epochs", 1, "--points", 16, "--batch-size", 100, "--data-dir", shapes_dir]
    assert cli(*line, "--out", tmp_path / "run").code == 0
    asked = ["eval", tmp_path / "run", "-T", "1", "--runs", 1, "--data-dir", shapes_dir]
    assert cli(*asked, "--votes", 2, "--json").document["votes"] == 2
    assert "votes" not in cli(*asked, "--json").document
    assert "mean of 2 passes, an ensemble" in " ".join(cli(*asked, "--votes", 2).out.split())
    auto = cli("eval", tmp_path / "run", "-T", "auto", "--votes", 2, "--data-dir", shapes_dir)
    assert auto.code == 1 and "each pass would stop at its own step" in auto.err
