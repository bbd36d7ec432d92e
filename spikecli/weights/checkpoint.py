"""Weights with their settings in safetensors files: loading one runs no code from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikecli import models
from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.gate import at_least, fits, reading
from spikecli.models import joint
from spikecli.settings.config import TrainConfig, validated
from spikecli.weights.needs import SHAPE, demand, needs
from spikecli.weights.reference import is_name, reference, title_of
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.run_folder import CURVE, LAST, RUNS, SETTINGS, STATE, nearest_run

FORMAT = "spikecli-1"
ADAPTER = "spikecli-adapter-1"  # what `fewshot` writes
_NOTES: dict[str, Any] = {
    "data": {str: str},
    "progress": {"epochs": [dict]},
    "metrics": dict,
    "stance": dict,
    "needs": SHAPE,
    "calibration": [
        {
            "timesteps": at_least(1),
            "temperature": lambda value: fits(value, float) and value > 0,
            "threshold": float,
            "samples": at_least(0),
            "ece_before": float,
            "ece": float,
            "fitted": lambda value: isinstance(value, bool),
        }
    ],  # as evaluation.calibration has them
}  # shapes, where there


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a weights file: tensors by name, the settings of the run, class names and notes."""

    tensors: dict[str, Tensor]
    config: TrainConfig
    classnames: tuple[str, ...]
    notes: dict[str, Any] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; raise SpikeError, and keep the former file, if a weight is not finite."""
    outside = needs(checkpoint.config)
    metadata = {
        "format": FORMAT,
        "config": checkpoint.config.model_dump_json(),
        "classnames": json.dumps(checkpoint.classnames),
        "notes": json.dumps({**checkpoint.notes, **({"needs": outside} if outside else {})}),
    }
    tensors.write(path, checkpoint.tensors, metadata)


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file, read once: `given` is the user's argument, which `path` was found by.

    `name` is what titles call it.
    """

    path: Path
    given: Path
    name: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def is_adapter(self) -> bool:
        """Whether it holds an adapter that `fewshot` saved."""
        return self.metadata.get("format") == ADAPTER


def read(given: Path | None = None) -> WeightsFile:
    """Return what a weights file, a run folder, `reference`, or (None) the newest run holds.

    Raise SpikeError if it is missing, damaged or a pickle.
    """
    path = resolve(given)
    name = title_of(path)
    if not path.is_file():
        near = nearest_run(path.parent if path.name == LAST else path)
        raise SpikeError(
            f"found no checkpoint at {path}; {near}give a .safetensors file or a run folder, or train one first"
        )
    return WeightsFile(path, given or path, name, *tensors.read(path))


def load(path: Path) -> Checkpoint:
    """Return the checkpoint in `path`; raise SpikeError if it is missing, damaged, a pickle or of another program."""
    return checkpoint_in(read(path))


def checkpoint_in(file: WeightsFile) -> Checkpoint:
    """Return the checkpoint that a file holds; raise SpikeError if it is damaged or of another program."""
    path, metadata = file.path, file.metadata
    if file.is_adapter:
        raise SpikeError(
            f"{path} is an adapter of CLIP, not a network; `spikecli fewshot` scores adapters, and predict, watch and "
            "export take them"
        )
    if metadata.get("format") != FORMAT:
        raise SpikeError(f"{path} holds weights that spikecli did not write; give a checkpoint of `spikecli train`")
    with reading(path, cure := "the file is damaged, copy it again"):
        classnames, notes = json.loads(metadata["classnames"]), json.loads(metadata["notes"])
    told = fits(notes, dict) and all(fits(notes[name], shape) for name, shape in _NOTES.items() if name in notes)
    if not fits(classnames, [str]) or not told:
        raise SpikeError(f"the settings in {path} do not add up; the file is damaged, copy it again")
    demand(notes.get("needs", []), str(path))
    with reading(path, cure):
        config = validated(TrainConfig, json.loads(metadata["config"]))
    return Checkpoint(file.tensors, config, tuple(classnames), notes)


def network(checkpoint: Checkpoint, path: Path) -> nn.Module:
    """Return a checkpoint's network in evaluation mode; raise SpikeError if the weights do not fit or are not finite.

    Of two networks that were trained together, return the spiking one as an ordinary network.
    """
    config = checkpoint.config.model
    if config.classes != len(checkpoint.classnames):
        raise SpikeError(
            f"{path} names {len(checkpoint.classnames)} classes for {config.classes} outputs; copy it again"
        )
    with torch.device("meta"):  # takes no memory, whatever sizes the settings claim
        claimed = models.build(config).state_dict()
    if not config.folded:
        tensors.check(path, checkpoint.tensors, claimed)
    elif _values(claimed) > 2 * _values(checkpoint.tensors):  # a fold leaves weights as large as it found them
        raise SpikeError(f"{path} holds less than the model that it names; copy it again")
    with torch.random.fork_rng(devices=[]):  # the fresh weights are overwritten: their draws leave no trace
        model = models.build(config.alone())
    if config.folded:
        model = reparameterize(model)  # of fresh weights, for the structure
        tensors.check(path, checkpoint.tensors, model.state_dict())
    found = joint.ordinary(checkpoint.tensors, model) if config.is_joint else checkpoint.tensors
    model.load_state_dict({name: found[name] for name in model.state_dict()})
    return model.eval()


def opened(file: WeightsFile) -> tuple[Checkpoint, nn.Module]:
    """Return the checkpoint of a file and its network in evaluation mode; raise SpikeError as both do."""
    found = checkpoint_in(file)
    return found, network(found, file.path)


def _values(found: dict[str, Tensor]) -> int:
    return sum(value.numel() for value in found.values())


def finished_runs(runs: Path = RUNS) -> list[Path]:
    """Return the weights of each run, those written last first. Weights that came from elsewhere are no run: no curve,
    state or settings lie beside them."""
    found = [
        path
        for path in runs.glob(f"*/{LAST}")
        if any((path.parent / name).is_file() for name in (CURVE, STATE, SETTINGS))
    ]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def trained_on(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of a network's training data and their facts as noted, without reading its weights.

    Both are empty for a file of another program; the facts are for one that holds none. Raise SpikeError if the file is
    damaged.
    """
    found = tensors.metadata(path)
    if found.get("format") != FORMAT:
        return "", {}
    with reading(path, "the file is damaged, copy it again"):
        config, notes = json.loads(found["config"]), json.loads(found["notes"])
        return str(config["dataset"]), dict(notes.get("facts") or {})


def resolve(given: Path | None, runs: Path = RUNS) -> Path:
    """Return the weights file for a file, a run folder, `reference`, or None (the newest run).

    Raise SpikeError if there is no run.
    """
    if given is not None and is_name(given):
        given = reference(str(given))
    if given is None:
        found = finished_runs(runs)
        if not found:
            raise SpikeError(f"found no run in {runs}; train one with `spikecli train`, or name a checkpoint")
        return found[0]
    return given / LAST if given.is_dir() else given
