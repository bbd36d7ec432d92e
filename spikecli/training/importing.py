"""Released checkpoints become runs of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spikecli import models
from spikecli.datasets.facts_file import as_values
from spikecli.datasets.sets import find_facts
from spikecli.errors import ChoiceError, SettingError, SpikeError, named
from spikecli.files.atomic import write_text
from spikecli.files.gate import file_hash, read_lines
from spikecli.files.pickled import read_state
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import NETWORKS
from spikecli.settings.papers import PAPERS
from spikecli.settings.released import Fidelity
from spikecli.settings.releases import RELEASES
from spikecli.training.settings import settings_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.released_names import Names, names_of
from spikecli.weights.released_state import as_ours, check, membrane, released, shape_of, without_ends
from spikecli.weights.run_folder import LAST, SETTINGS, is_run

# The data sets of the releases by kind of network, classes and channels of the input.
_DATA = {(10, 3): "cifar10", (100, 3): "cifar100", (10, 2): "cifar10dvs"}
_CLOUDS = {10: "modelnet10", 40: "modelnet40"}
_PIXELS = {"cifar10": "cifar10", "cifar100": "cifar100"}  # mean and deviation that a release takes


@dataclass(frozen=True)
class Imported:
    """A run made from a released checkpoint: its folder, settings and classes, and how many tensors were read."""

    folder: Path
    config: TrainConfig
    classnames: tuple[str, ...]
    tensors: int
    parameters: int


def import_released(
    file: Path,
    model: str,
    out: Path,
    paper: str | None = None,
    dataset: str | None = None,
    classes: Path | None = None,
    points: int | None = None,
    data_dir: Path = Path("data"),
) -> Imported:
    """Write the weights in a released file as a run folder `out`, and return it.

    The network and its neuron are as the paper's authors released them. Raise SpikeError if the file does not fit, with
    the names that are missing or unknown; if it does not say its paper or data set; if `out` holds a run.
    """
    names = names_of(model) if model in NETWORKS else None
    if names is None:
        known = [name for name in NETWORKS if names_of(name)]
        raise ChoiceError("as", f"cannot be {model!r}: released names are known of {', '.join(known)}")
    if is_run(out):
        raise SpikeError(f"{out} holds a run already; name another {named('out')}")
    found = read_state(file)
    source = released(found)
    if (shape := shape_of(source, names)) is None or (model == "pointnet" and shape[1] not in (3, 6)):
        lacking = "" if _other(found, model) else without_ends(source, names)
        raise SpikeError(f"{file} does not fit {model}{lacking}; {_hint(found, model)}")
    counted, inputs = shape
    told, dataset = membrane(source, names), dataset or _dataset(model, counted, inputs)
    classnames = _classnames(counted, dataset, classes, data_dir)
    config = _sized(_settings(model, paper or told["paper"], told["amplitude"], dataset, points, data_dir), *shape)
    with torch.device("meta"):  # for names and shapes alone
        network = models.build(config.model)
    values = as_ours(source, names, network.state_dict())
    check(source, file, model, lambda: _hint(found, model))
    origin = {"file": file.name, "sha256": file_hash(file), "paper": config.paper}
    notes = {"imported": origin, "facts": as_values(find_facts(dataset, data_dir))}
    checkpoints.save(out / LAST, Checkpoint(values, config, classnames, notes))
    write_text(out / SETTINGS, config.model_dump_json(indent=2) + "\n")
    return Imported(out, config, classnames, len(source.used), sum(one.numel() for one in network.parameters()))


def _settings(
    model: str, paper: str | None, amplitude: str | None, dataset: str, points: int | None, data_dir: Path
) -> TrainConfig:
    """Return the settings of a network as released; raise SettingError if the paper is not known."""
    if paper is None:
        given = ", ".join(name for name in PAPERS if name not in ("integer", "joint", "mpbn", "spiking-pointnet"))
        raise SettingError("paper", f"is needed: the file holds nothing of its neurons; one of {given}")
    own = RELEASES.get("ternary" if paper == "ternary-trainable" else paper)
    fidelity: Fidelity = "released" if own is not None and own.code and paper in RELEASES else "default"
    parts = {"amplitude": amplitude} if amplitude else {}
    network = {"name": model, "batch_norm": None, **_fields(model, dataset)}
    training = {"augment": None, "points": points}
    return settings_of(dataset, paper, None, training, parts, network, data_dir=data_dir, fidelity=fidelity)


def _sized(config: TrainConfig, classes: int, inputs: int) -> TrainConfig:
    """Return the settings of the network alone, with the sizes that its weights have."""
    alone = config.model.alone()
    found = {"classes": classes}
    if "inputs" in type(alone).model_fields:
        found["inputs"] = inputs
    return config.model_copy(update={"model": alone.model_copy(update=found)})


def _fields(model: str, dataset: str) -> dict[str, str]:
    """Return fields of the network that the released data path decides."""
    if model == "pointnet":
        return {"tnet": "paper"}
    return {"pixels": _PIXELS[dataset]} if dataset in _PIXELS else {}


def _dataset(model: str, classes: int, inputs: int) -> str:
    """Return the data set that a release of these sizes was trained on; raise SettingError if none is known."""
    known = _CLOUDS.get(classes) if model == "pointnet" else _DATA.get((classes, inputs))
    if known is None:
        raise SettingError(
            "data", f"is needed: no release of {model} with {classes} classes and {inputs} input channels is known"
        )
    return known


def _classnames(count: int, dataset: str, classes: Path | None, data_dir: Path) -> tuple[str, ...]:
    """Return the class names of a file, or of the data set; raise SpikeError if there are not `count`."""
    if classes is not None:
        found, where = tuple(read_lines(classes, "write one class name a line")), str(classes)
    else:
        found, where = find_facts(dataset, data_dir).classnames, dataset
    if len(found) != count:
        raise SpikeError(
            f"the weights have {count} classes and {where} names {len(found)}; give {named('data')} or "
            f"{named('classes')} FILE with a name a line"
        )
    return found


def _hint(found: dict[str, Tensor], model: str) -> str:
    """Return what to do with a file that does not fit: another network, if its names are of one."""
    if other := _other(found, model):
        return f"its names are those of {other}: give {named('as')} {other}"
    return f"give another {named('as')}, or {named('paper')} if the neuron is another"


def _other(found: dict[str, Tensor], model: str) -> str | None:
    """Return another network than `model` whose names a file has, if there is one."""
    for other in NETWORKS:
        names = names_of(other)
        if names is not None and other != model and _fits(found, names):
            return other
    return None


def _fits(found: dict[str, Tensor], names: Names) -> bool:
    source = released(found)
    layers = {f"{layer.theirs}.weight" for layer in names.layers}
    weights = {name for name, value in source.tensors.items() if name.endswith(".weight") and value.dim() > 1}
    return layers == weights
