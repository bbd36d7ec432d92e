"""The settings of a run, from the data set, the paper and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikecli.datasets.kind import Defaults
from spikecli.datasets.samples import Samples
from spikecli.datasets.sets import find_facts, kind_named
from spikecli.errors import SettingError, named
from spikecli.machine import precision
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import settings_class, with_field
from spikecli.settings.papers import paper_of
from spikecli.settings.recipes import settings_from, settings_like, train_settings
from spikecli.settings.released import Fidelity, Release
from spikecli.settings.releases import release_of
from spikecli.settings.rules import refuse
from spikecli.weights import checkpoint as checkpoints


def settings_of(
    dataset: str,
    paper: str | None,
    recipe: str | None,
    training: dict[str, Any],
    parts: dict[str, Any],
    network: dict[str, Any],
    *,
    data_dir: Path = Path("data"),
    fidelity: Fidelity = "default",
) -> TrainConfig:
    """Return the settings of the run, with the data set's defaults for everything that is not given.

    With `fidelity` released, what the paper's authors released goes before these. Raise SpikeError if there is no such
    data set, a setting is invalid, or nothing was released.
    """
    if (source := training.get("start_from")) is not None:
        return _settings_from(str(source), dataset, paper, recipe, training, parts, network, data_dir)
    fitting = defaults(dataset, network["name"], data_dir)
    paper = paper or fitting.paper
    free = set[str]()
    if fidelity == "released":
        free = _free(training, parts, network)
        kind = find_facts(dataset, data_dir).kind
        training, parts, network = as_released(release_of(paper), kind, training, parts, network, fitting.model)
    training = {**training, "augment": training["augment"] or fitting.augment}
    training["precision"] = training.get("precision") or "auto"
    name = network["name"] or fitting.model
    network = {**network, "name": name}
    if network["batch_norm"] is None and name in with_field("batch_norm"):
        network["batch_norm"] = "plain" if paper_of(paper).neuron is None else fitting.batch_norm
    with _naming_released(paper, free):
        return train_settings(dataset, paper, recipe or fitting.recipe, training, parts, network)


def _free(*groups: dict[str, Any]) -> set[str]:
    """Return the names of the settings that are not given."""
    return {name for group in groups for name, value in group.items() if value is None}


@contextmanager
def _naming_released(paper: str, free: set[str]) -> Iterator[None]:
    """Let an error about a setting that is `free`, so that the user has not given it, say that it is a released one."""
    try:
        yield
    except SettingError as error:
        if (error.setting if error.setting != "model" else "name") not in free:
            raise
        why = f"{error.reason} ({named('fidelity')} released took it from the authors' code of {paper})"
        raise type(error)(error.setting, why) from error


def as_released(
    release: Release,
    kind: str,
    training: dict[str, Any],
    parts: dict[str, Any],
    network: dict[str, Any],
    usual: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the three groups of settings with the released values where nothing is given.

    A network that the user names, or the `usual` one of the data set where none was released, gets the fields that it
    has.
    """
    name = network["name"] or release.model.get("name") or usual
    fields = {
        key: value for key, value in release.model.items() if not name or key in settings_class(name).model_fields
    }
    released = (release.training_on(kind), release.neuron, {**fields, "name": name})
    given = (training, parts, network)
    return tuple(  # type: ignore[return-value]
        {**theirs, **{key: value for key, value in ours.items() if value is not None or key not in theirs}}
        for theirs, ours in zip(released, given, strict=True)
    )


def settings_as(
    base: TrainConfig,
    dataset: str | None,
    paper: str | None,
    recipe: str | None,
    training: dict[str, Any],
    parts: dict[str, Any],
    network: dict[str, Any],
    *,
    data_dir: Path = Path("data"),
) -> TrainConfig:
    """Return `base` with every setting changed that is not None; a network of another kind has its own batch norm.

    Raise SpikeError if there is no such data set or a setting is invalid.
    """
    name = network["name"]
    other = name is not None and name in with_field("batch_norm") and settings_class(name) is not type(base.model)
    if other and network["batch_norm"] is None:
        network = {**network, "batch_norm": defaults(dataset or base.dataset, name, data_dir).batch_norm}
    return settings_like(base, dataset, paper, recipe, training, parts, network)


def _settings_from(
    source: str,
    dataset: str,
    paper: str | None,
    recipe: str | None,
    training: dict[str, Any],
    parts: dict[str, Any],
    network: dict[str, Any],
    data_dir: Path,
) -> TrainConfig:
    """Return the settings of a run that starts from the weights called `source`."""
    base = checkpoints.load(checkpoints.resolve(Path(source))).config
    fitting = defaults(dataset, base.model.name, data_dir)
    training = {**training, "augment": training["augment"] or fitting.augment}
    training["precision"] = training.get("precision") or "auto"
    return settings_from(base, dataset, paper, recipe or fitting.recipe, training, parts, network)


def fitted_to(config: TrainConfig, samples: Samples, inputs: np.ndarray) -> TrainConfig:
    """Return the settings with the values that the data decide: number of classes, channels and size of a map.

    Batch norms that tell time steps apart get those of training. Raise SettingError for a network that reads positions
    alone, if the points have normals.
    """
    found: dict[str, Any] = {"classes": len(samples.classnames)}
    if inputs.ndim > 3:
        found |= {"inputs": inputs.shape[-3], "size": inputs.shape[-2:]}
    elif "inputs" in type(config.model).model_fields:
        found["inputs"] = inputs.shape[-1]
    elif inputs.shape[-1] > 3:
        raise SettingError(
            "model",
            f"cannot be {config.model.name}, which reads no normals, and {config.dataset} is prepared with them; "
            "prepare it without, or take pointnet or dela",
        )
    if getattr(config.model, "tells_steps", False):
        found["steps"] = config.timesteps
    return config.model_copy(update={"model": config.model.model_copy(update=found)})


def with_precision(config: TrainConfig, state: Path, device: torch.device) -> TrainConfig:
    """Return the settings with "auto" precision resolved: that of the run to resume, else the device's best."""
    known = config.precision == "auto" and state.exists()
    chosen = checkpoints.load(state).config.precision if known else precision.settled(config.precision, device)
    return config.model_copy(update={"precision": chosen})


def defaults(dataset: str, model: str | None = None, data_dir: Path = Path("data")) -> Defaults:
    """Return the default network, recipe and neuron for a data set, or those for a given network.

    Raise SpikeError if there is no such data set.
    """
    facts = find_facts(dataset, data_dir)
    return kind_named(facts.kind).defaults(facts, model)


def unnamed(
    config: TrainConfig, paper: str | None, recipe: str | None, augment: str | None, model: str | None, data_dir: Path
) -> dict[str, str]:
    """Return what a new run of `config` took by itself, by the names of settings: of these four those not given."""
    fitting = config.model.name if config.start_from or model else None
    own = defaults(config.dataset, fitting, data_dir).recipe
    taken = {"recipe": own, "augment": config.augment, "model": config.model.name, "paper": config.paper}
    given = {"recipe": recipe, "augment": augment, "model": model, "paper": paper}
    from_weights = ("model", "paper") if config.start_from else ()
    return {name: value for name, value in taken.items() if given[name] is None and name not in from_weights}


def check_settings(config: TrainConfig, data_dir: Path) -> None:
    """Raise SpikeError, with the reason, if settings clash with each other or with their data set."""
    facts = find_facts(config.dataset, data_dir)
    refuse(config, facts.kind, facts.mirrors, kind_named(facts.kind).augmentations())


def check_released(config: TrainConfig, data_dir: Path, *given: dict[str, Any]) -> None:
    """Raise SpikeError as `check_settings`; of a setting that is in none of the `given` groups, say that it is a
    released one."""
    with _naming_released(config.paper, _free(*given)):
        check_settings(config, data_dir)
