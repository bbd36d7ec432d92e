"""Training recipes, and the settings of a run made from recipe, paper and options."""

from __future__ import annotations

from typing import Any

from spikecli.errors import SpikeError
from spikecli.settings.config import TrainConfig, network_settings, validated
from spikecli.settings.papers import neuron_of, paper_of

# What `--recipe` stands for. "paper" is Spiking PointNet's own (METHODS of 2310.06232); "short" is ours.
RECIPES: dict[str, dict[str, Any]] = {
    "short": {
        "epochs": 30, "batch_size": 24, "lr": 2e-3, "weight_decay": 1e-4, "schedule": "onecycle", "augment": "thin",
    },
    "paper": {
        "epochs": 200, "batch_size": 48, "lr": 1e-3, "weight_decay": 1e-4, "schedule": "step", "augment": "paper",
        "reestimate": False,
    },
    "dela": {  # of 2308.16532, but for the number of epochs
        "epochs": 60, "batch_size": 32, "lr": 2e-3, "weight_decay": 0.05, "decayed": "weights", "optimizer": "adamw",
        "schedule": "warmup", "augment": "stretch", "label_smoothing": 0.2,
    },
    "events": {
        "epochs": 30, "batch_size": 32, "lr": 2e-3, "weight_decay": 1e-4, "schedule": "onecycle",
    },
    "cifar": {  # of 2308.08359 and its sisters
        "epochs": 400, "batch_size": 128, "lr": 0.1, "weight_decay": 1e-4, "decayed": "weights", "optimizer": "sgd",
        "schedule": "cosine", "augment": "cifar", "reestimate": False,
    },
}  # fmt: skip


def train_settings(
    dataset: str, paper: str, recipe: str, training: dict[str, Any], parts: dict[str, Any], model: dict[str, Any]
) -> TrainConfig:
    """Return a run's settings: recipe < paper < those of `training` that are not None; SpikeError on a clash.

    `parts` change the paper's neuron, `model` holds the network's name and fields of its own settings.
    """
    if recipe not in RECIPES:
        raise SpikeError(f"no recipe is named {recipe!r}; choose one of {', '.join(RECIPES)}")
    shape = {name: value for name, value in model.items() if value is not None}
    chosen = network_settings(**{**shape, **paper_of(paper).model, "neuron": neuron_of(paper, **parts)})
    changes = {name: value for name, value in training.items() if value is not None}
    preset = {**RECIPES[recipe], **paper_of(paper).training}
    settings = validated(TrainConfig, {**preset, **changes, "dataset": dataset, "paper": paper, "model": chosen})
    if chosen.neuron is None and settings.timesteps > 1:
        raise SpikeError(f"the ANN knows no time, found --timesteps {settings.timesteps}; train it with --timesteps 1")
    if chosen.neuron is None and settings.rmp_weight:
        raise SpikeError("--rmp-weight has no meaning for the ANN, which has no membranes; leave it out")
    return settings
