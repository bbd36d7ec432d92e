"""Settings and weights that earlier versions wrote still load: one small sample of each format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import MapConfig, PointNetConfig, VggConfig
from spikecli.weights import checkpoint as checkpoints

RELEASED = Path(__file__).parent / "released"  # written with the flat network settings of the first version

ANSWER = [-0.1743, 0.162, -0.0358, 0.1126]  # of the first version, with and without the fold


@pytest.mark.parametrize("name", ["ann", "joint", "pointnet", "vgg"])
def test_flat_settings_of_runs_are_read(name: str) -> None:
    written = json.loads((RELEASED / f"{name}.json").read_text())
    config = TrainConfig.model_validate(written)
    assert config.paper == written["paper"] and config.model.name == written["model"]["name"]
    assert config.model.is_joint == (name == "joint") and (config.model.neuron is None) == (name == "ann")
    if isinstance(config.model, PointNetConfig):
        assert config.model.tnet == written["model"]["tnet"]
    if isinstance(config.model, MapConfig):
        assert list(config.model.size) == written["model"]["size"]
    assert isinstance(config.model, VggConfig) == (name == "vgg")


@pytest.mark.parametrize("name", ["frames", "folded"])
def test_weights_of_the_first_version_answer_as_they_did(name: str) -> None:
    path = RELEASED / f"{name}.safetensors"
    found = checkpoints.load(path)
    assert found.config.model.folded == (name == "folded") and found.classnames == ("a", "b", "c", "d")
    with torch.no_grad():
        logits = checkpoints.network(found, path)(torch.linspace(0, 3, 162).view(1, 2, 9, 9), 2).mean(0)[0]
    assert logits.tolist() == pytest.approx(ANSWER, abs=2e-4)
