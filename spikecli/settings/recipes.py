"""Training recipes, and the settings of a run made from recipe, paper and options."""

from __future__ import annotations

from typing import Any

from spikecli.errors import ChoiceError, SettingError, named
from spikecli.settings import choices
from spikecli.settings.choices import advice
from spikecli.settings.config import ModelConfig, NeuronConfig, TrainConfig, network_settings, validated
from spikecli.settings.networks import FIRST, settings_class, with_field
from spikecli.settings.papers import names_surrogate, neuron_of, paper_of

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
    "pictures": {  # ours, for some hundred pictures: CIFAR's has few steps where batches of 128 are few
        "epochs": 60, "batch_size": 16, "lr": 2e-3, "weight_decay": 1e-4, "schedule": "onecycle", "augment": "crop",
    },
    "cifar": {  # of 2308.08359 and its sisters
        "epochs": 400, "batch_size": 128, "lr": 0.1, "weight_decay": 1e-4, "decayed": "weights", "optimizer": "sgd",
        "schedule": "cosine", "augment": "cifar", "reestimate": False,
    },
}  # fmt: skip


IM_FIRES = ("binary", "learned")  # with a single threshold


def train_settings(
    dataset: str, paper: str, recipe: str, training: dict[str, Any], parts: dict[str, Any], model: dict[str, Any]
) -> TrainConfig:
    """Return a run's settings: recipe < paper < `training` without None. Raise SpikeError if they clash.

    `parts` change the paper's neuron, `model` holds the network's name and fields of its own settings.
    """
    given = {name: value for name, value in model.items() if value is not None}
    neuron = neuron_of(paper, **_with_surrogate(paper, parts, given))
    chosen = network_settings(**{**given, **_of_paper(paper, given), "neuron": neuron})
    changes = {name: value for name, value in training.items() if value is not None}
    preset = {**recipe_of(recipe), **paper_of(paper).training}
    return checked_settings(
        validated(TrainConfig, {**preset, **changes, "dataset": dataset, "paper": paper, "model": chosen})
    )


def recipe_of(name: str) -> dict[str, Any]:
    """Return the training settings of a recipe; raise SpikeError if there is no such recipe."""
    if name not in RECIPES:
        raise ChoiceError("recipe", f"cannot be {name!r}: {advice(name, RECIPES)}")
    return RECIPES[name]


def add(name: str, training: dict[str, Any], help: str = "") -> None:
    """Add a recipe from outside: fields of TrainConfig, under a name."""
    choices.add("recipe", name, help)
    RECIPES[name] = training


def settings_like(
    base: TrainConfig,
    dataset: str | None,
    paper: str | None,
    recipe: str | None,
    training: dict[str, Any],
    parts: dict[str, Any],
    model: dict[str, Any],
) -> TrainConfig:
    """Return `base` with every setting changed that is not None. Raise SpikeError if they clash.

    A new paper brings its own neuron; the former paper's changes to training are undone.
    """
    values: dict[str, Any] = {name: getattr(base, name) for name in TrainConfig.model_fields}
    fields = _fields_like(base.model, model)
    other = settings_class(fields["name"]) is not type(base.model)
    neuron = _changed(base.model.neuron, _with_surrogate(base.paper, parts, fields) if other else parts)
    if paper not in (None, base.paper):
        neuron = neuron_of(paper, **_with_surrogate(paper, parts, fields))
        before = paper_of(base.paper)
        for name, value in before.training.items():
            if values[name] == value:
                values[name] = TrainConfig.model_fields[name].default
        fields = {name: value for name, value in fields.items() if name not in before.model}
        values |= {**paper_of(paper).training, "paper": paper}
        fields |= _of_paper(paper, fields)
    if neuron is None and fields.get("batch_norm") and model.get("batch_norm") is None:
        fields["batch_norm"] = "plain"
    values |= recipe_of(recipe) if recipe else {}
    values |= {name: value for name, value in training.items() if value is not None}
    values |= {"dataset": dataset or base.dataset, "model": network_settings(**{**fields, "neuron": neuron})}
    return checked_settings(validated(TrainConfig, values))


def settings_from(
    base: TrainConfig,
    dataset: str,
    paper: str | None,
    recipe: str,
    training: dict[str, Any],
    parts: dict[str, Any],
    model: dict[str, Any],
) -> TrainConfig:
    """Return the settings of a run that starts from the weights of a run of `base`: its network, neuron and points.

    All else is of the recipe, the paper and `training`. Raise SpikeError if another network or paper is given.
    """
    for name, given, own in (("model", model.get("name"), base.model.name), ("paper", paper, base.paper)):
        if given not in (None, own):
            raise SettingError(
                name,
                f"cannot be {given}: the weights of {named('start_from')} are of {own}; "
                f"remove it, or {named('start_from')}",
            )
    fields = {**_fields_like(base.model.alone(), model), "folded": False, "neuron": _changed(base.model.neuron, parts)}
    changes = {name: value for name, value in training.items() if value is not None}
    values = {"points": base.points, "slicing": base.slicing, **recipe_of(recipe), **paper_of(base.paper).training}
    chosen = network_settings(**fields)
    return checked_settings(
        validated(TrainConfig, {**values, **changes, "dataset": dataset, "paper": base.paper, "model": chosen})
    )


def _fields_like(base: ModelConfig, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a network like `base`; a network of another kind shares only the classes."""
    given = {name: value for name, value in given.items() if value is not None}
    same = given.get("name", base.name) == base.name or settings_class(given["name"]) is type(base)
    kept = type(base).model_fields if same else ("classes",)
    return {**{name: getattr(base, name) for name in kept}, **given}


def _changed(neuron: NeuronConfig | None, parts: dict[str, Any]) -> NeuronConfig | None:
    changes = {name: value for name, value in parts.items() if value is not None}
    if neuron is None:
        return neuron_of("ann", **changes)
    return validated(NeuronConfig, {**neuron.model_dump(), **changes})


def _of_paper(paper: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the network settings of a paper; raise SpikeError if the network does not have one of them."""
    fields, name = paper_of(paper).model, given.get("name", FIRST)
    for field in fields:
        if field not in settings_class(name).model_fields:
            raise SettingError("paper", f"{paper} is for {', '.join(with_field(field))}, not for {name}")
    return fields


def checked_settings(settings: TrainConfig) -> TrainConfig:
    """Return the settings unchanged; raise SpikeError if an ANN has settings that need spikes."""
    if settings.model.neuron is None and settings.timesteps > 1:
        raise SettingError("timesteps", f"cannot be {settings.timesteps}: the ANN has no time; train it with 1")
    if settings.model.neuron is None and settings.rmp_weight:
        raise SettingError("rmp_weight", "has no meaning for the ANN, which has no membranes; remove it")
    if settings.model.neuron is None and (settings.im_weight or settings.activity_weight):
        given = "im_weight" if settings.im_weight else "activity_weight"
        raise SettingError(given, "has no meaning for the ANN, which has no spikes; remove it")
    if settings.im_weight and settings.model.neuron is not None and settings.model.neuron.fire not in IM_FIRES:
        raise SettingError("im_weight", "puts half of a layer above one threshold: take fire binary or learned")
    if settings.freeze != "none" and settings.start_from is None:
        raise SettingError(
            "freeze", f"cannot be {settings.freeze} without {named('start_from')}: fresh layers have learned nothing"
        )
    return settings


def _with_surrogate(paper: str, parts: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return the parts with the network's default surrogate, unless the paper or the user names one."""
    if names_surrogate(paper) or parts.get("surrogate") is not None or parts.get("slope") is not None:
        return parts
    return {**parts, "surrogate": settings_class(model.get("name", FIRST)).surrogate}
