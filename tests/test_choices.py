"""Names that may be chosen, networks as a tagged union, and settings of earlier versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import Field, ValidationError
from torch import nn

from spikecli import models
from spikecli.errors import SpikeError
from spikecli.settings import choices, networks
from spikecli.settings.config import NeuronConfig, TrainConfig, network_settings, validated
from spikecli.settings.networks import ModelConfig, PointNetConfig, ResNetConfig, VggConfig, settings_class
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import RECIPES


@pytest.fixture
def quadratic() -> Iterator[str]:
    choices.add("surrogate", "quadratic", "a parabola")
    yield "quadratic"
    choices.remove("surrogate", "quadratic")


class DotsConfig(ModelConfig):
    """A network from outside."""

    name: str = "dots"
    dots: int = Field(3, description="Dots.")


@pytest.fixture
def dots() -> Iterator[str]:
    models.add("dots", lambda config: nn.Linear(config.dots, config.classes), DotsConfig, "dots")
    yield "dots"
    choices.remove("model", "dots")
    del networks.NETWORKS["dots"], models.MODELS["dots"]


def test_every_slot_names_what_the_package_has() -> None:
    assert set(choices.names("paper")) == set(PAPERS)
    assert set(choices.names("recipe")) == set(RECIPES)
    assert set(choices.names("model")) == set(networks.NETWORKS) == set(models.MODELS)


def test_a_name_from_outside_is_legal_once_it_is_added(quadratic: str) -> None:
    assert NeuronConfig(surrogate=quadratic).surrogate == "quadratic"
    assert choices.described("surrogate")["quadratic"] == "a parabola"
    choices.remove("surrogate", quadratic)
    with pytest.raises(ValidationError, match="choose one of rectangle, tanh"):
        NeuronConfig(surrogate=quadratic)


def test_a_slot_that_is_not_there_cannot_be_filled() -> None:
    with pytest.raises(ValueError, match="wanted one of start, charge"):
        choices.add("colour", "red")


def test_built_in_names_cannot_be_removed() -> None:
    choices.remove("fire", "binary")
    assert choices.names("fire")[:2] == ("binary", "ternary")


def test_a_wrong_name_is_told_the_nearest_right_one() -> None:
    with pytest.raises(SpikeError, match=r"'ternry'.*did you mean ternary\? choose one of binary, ternary"):
        validated(NeuronConfig, {"fire": "ternry"})
    with pytest.raises(SpikeError, match="did you mean resnet18"):
        network_settings("resnt18")
    with pytest.raises(SpikeError) as caught:
        validated(NeuronConfig, {"fire": "qqq"})
    assert "did you mean" not in str(caught.value)


def test_a_network_has_its_own_settings_and_no_others() -> None:
    assert isinstance(network_settings(), PointNetConfig)
    assert isinstance(network_settings("resnet18", width=0.5), ResNetConfig)
    assert isinstance(network_settings("vgg16"), VggConfig)
    with pytest.raises(SpikeError, match="tnet means nothing to vgg16: it is for pointnet; remove it"):
        network_settings("vgg16", tnet="none")
    with pytest.raises(SpikeError, match="color means nothing to vgg16: no network has it"):
        network_settings("vgg16", color="red")
    with pytest.raises(ValidationError, match="VggConfig, not ResNetConfig"):
        ResNetConfig(name="vgg16")


def test_a_network_from_outside_brings_its_settings_with_it(dots: str) -> None:
    config = TrainConfig(model=network_settings(dots, dots=5, classes=2))
    again = TrainConfig.model_validate_json(config.model_dump_json())
    assert again == config and isinstance(again.model, DotsConfig)
    assert models.build(again.model).weight.shape == (2, 5)


@pytest.mark.parametrize("name", choices.names("model"))
def test_settings_survive_being_written(name: str) -> None:
    config = TrainConfig(model=network_settings(name, classes=7, neuron=PAPERS["ternary"].neuron))
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    assert TrainConfig.model_validate(config.model_dump()) == config
    assert config.model_dump()["model"]["name"] == name


OLD: dict[str, Any] = {  # what version 0 wrote of every network
    "classes": 10, "neuron": None, "tnet": "none", "dropout": 0.4, "width": 1.0, "batch_norm": "plain", "inputs": 3,
    "size": [32, 32], "joint": False, "folded": False,
}  # fmt: skip


@pytest.mark.parametrize("name", ["pointnet", "resnet18", "resnet19", "resnet20", "vgg16"])
def test_flat_settings_of_earlier_versions_are_read(name: str) -> None:
    config = TrainConfig.model_validate({"model": {"name": name, **OLD}})
    assert config.model == network_settings(name, neuron=None, **settings_class(name).before)


def test_flat_settings_without_a_name_are_those_of_a_pointnet() -> None:
    assert TrainConfig.model_validate({"model": {"classes": 4}}).model == PointNetConfig(classes=4)


@pytest.mark.parametrize(("name", "field", "value"), [("pointnet", "width", 0.5), ("resnet18", "tnet", "pooled")])
def test_flat_settings_that_would_have_meant_something_are_refused(name: str, field: str, value: Any) -> None:
    with pytest.raises(SpikeError, match=field):
        validated(TrainConfig, {"model": {"name": name, **OLD, field: value}})


def test_the_ann_of_a_network_has_no_threshold_to_scale_by() -> None:
    model = network_settings("resnet20", batch_norm="tdbn", joint=True)
    assert model.is_joint and not model.alone().is_joint
    assert model.as_ann() == network_settings("resnet20", joint=True, neuron=None)
