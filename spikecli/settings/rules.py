"""Combinations of settings that make no sense, each with its reason; no other module refuses one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from spikecli.errors import SettingError
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import NETWORKS, ModelConfig

# Each rule: what is refused, the setting to blame, and why.
Rule = tuple[Callable[[ModelConfig], bool], str, str]


def _of_points(model: ModelConfig) -> bool:
    return "points" in model.takes


def _has(model: ModelConfig, value: Any, field: str, without: bool = True) -> bool:
    """Return whether a network's field has a value; `without` is the answer of a network that lacks the field."""
    return bool(getattr(model, field) == value) if field in type(model).model_fields else without


# Augmentations that mirror, and those that do the same without.
_UNMIRRORED = {"flip-roll": "roll", "flip-shift": "shift", "flip-crop": "crop", "cifar": "crop"}

NETWORK_RULES: tuple[Rule, ...] = (
    (
        lambda model: _of_points(model) and model.neuron is not None and model.neuron.amplitude == "element",
        "amplitude",
        "element learns one amplitude per pixel; point clouds have no pixels and no order; take channel",
    ),
    (
        lambda model: _of_points(model) and model.neuron is not None and model.neuron.norm == "mpbn-element",
        "norm",
        "mpbn-element has one norm per pixel; point clouds have no pixels and no order; take mpbn",
    ),
    (
        lambda model: model.neuron is None and _has(model, "tdbn", "batch_norm", False),
        "batch_norm",
        "tdbn scales by the threshold, but the ANN has none; take plain",
    ),
    (
        lambda model: model.neuron is None and getattr(model, "tells_steps", False),
        "batch_norm",
        "tebn and bntt tell time steps apart, and the ANN has none; take plain",
    ),
    (
        lambda model: (
            _has(model, "sew", "residual", False) and model.neuron is not None and model.neuron.amplitude != "none"
        ),
        "amplitude",
        "cannot fold through a sum of spikes of different sizes; take amplitude none, or residual plain or ms",
    ),
    (
        lambda model: model.is_joint and not _has(model, "plain", "residual"),
        "residual",
        "is not for joint, whose exits read the spikes of plain blocks; take plain",
    ),
    (
        lambda model: model.is_joint and not _has(model, "none", "tnet"),
        "paper",
        "joint has no penalty on the transforms of two networks, without which T-Nets fail; take tnet none",
    ),
    (
        lambda model: not _has(model, "half", "pixels") and not _has(model, 3, "inputs"),
        "pixels",
        "is for images of three channels; take half",
    ),
    (
        lambda model: model.is_joint and model.neuron is None,
        "paper",
        "joint trains an ANN beside a spiking network, and this is an ANN; take paper ann alone",
    ),
)
NEURON_RULES: tuple[Rule, ...] = (
    (
        lambda model: model.neuron is not None and model.neuron.norm == "rectifier" and model.neuron.fire != "binary",
        "norm",
        "rectifier pulls the membrane toward 0 and 1, but ternary spikes are −1, 0 and 1; take fire binary",
    ),
    (
        lambda model: model.neuron is not None and model.neuron.norm == "rectifier" and model.neuron.threshold != 0.5,
        "norm",
        "rectifier leaves the spikes of threshold 0.5 alone, and no other's; take that threshold",
    ),
    (
        lambda model: not _of_points(model) and model.neuron is not None and model.neuron.start == "position",
        "start",
        "position reads the places of points, of which maps have none; take zeros or perturbed",
    ),
    (
        lambda model: model.folded,
        "model",
        "is folded and has no norms left to train with; train the network that it was folded from",
    ),
)


def refuse_network(model: ModelConfig) -> None:
    """Raise SpikeError, with the reason, if no network can be built from these settings."""
    _apply(NETWORK_RULES, model)


def refuse(config: TrainConfig, kind: str, flips: bool = True, augments: Collection[str] = ()) -> None:
    """Raise SpikeError, with the reason, if these settings clash with each other or with this kind of data.

    `kind` is points, events or images, `augments` the names of this kind's augmentations,
    `flips` whether a mirrored sample keeps its class.
    """
    _refuse_data(config, kind, flips, augments)
    _apply(NETWORK_RULES + NEURON_RULES, config.model)


def _apply(rules: tuple[Rule, ...], model: ModelConfig) -> None:
    for refused, setting, reason in rules:
        if refused(model):
            raise SettingError(setting, reason)


def _refuse_data(config: TrainConfig, kind: str, flips: bool, augments: Collection[str]) -> None:
    name, dataset = config.model.name, config.dataset
    if kind not in config.model.takes:
        fitting = ", ".join(other for other, one in NETWORKS.items() if kind in one.takes)
        raise SettingError(
            "model",
            f"{name} takes {' and '.join(config.model.takes)}, but {dataset} holds {kind}; take one of {fitting}",
        )
    if augments and config.augment not in augments:
        raise SettingError(
            "augment",
            f"{config.augment} is not for {kind}, which {dataset} holds; take one of {', '.join(augments)}",
        )
    if (instead := _UNMIRRORED.get(config.augment)) and not flips:
        raise SettingError(
            "augment", f"{config.augment} mirrors what is then no longer of its class in {dataset}; take {instead}"
        )
    if config.resample and kind != "points":
        raise SettingError("resample", f"is for clouds of points, but {dataset} holds {kind}; remove it")
    if not _has(config.model, "half", "pixels") and kind != "images":
        raise SettingError("pixels", f"is for images, but {dataset} holds {kind}; take half")
    no_teacher = config.teacher is None, "says nothing without a teacher; give one, or remove it"
    without = {
        "teacher_weight": no_teacher,
        "teacher_temperature": no_teacher,
        "orthogonality": (_has(config.model, "none", "tnet"), "is for T-Nets, of which there are none; remove it"),
    }
    for setting, (needless, reason) in without.items():
        if needless and getattr(config, setting) != TrainConfig.model_fields[setting].default:
            raise SettingError(setting, reason)
    of_frames = {"slicing": config.slicing != "count", "size": config.size is not None}
    for setting, given in {**of_frames, "resize": config.resize != "bilinear"}.items():
        if given and kind != "events":
            raise SettingError(setting, f"is for recordings of events, but {dataset} holds {kind}; remove it")
