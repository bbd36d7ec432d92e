"""Weights with their settings in safetensors files: loading one runs no code from it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spikecli import models
from spikecli.config import TrainConfig, validated
from spikecli.errors import SpikeError
from spikecli.reparameterize import reparameterize
from spikecli.storage import atomic_path

FORMAT = "spikecli-1"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: tensors by name, the settings of the run, and whatever else was noted."""

    tensors: dict[str, Tensor]
    config: TrainConfig
    classnames: tuple[str, ...]
    notes: dict[str, Any] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically."""
    metadata = {
        "format": FORMAT,
        "config": checkpoint.config.model_dump_json(),
        "classnames": json.dumps(checkpoint.classnames),
        "notes": json.dumps(checkpoint.notes),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise _as_os_error(error) from error


def _as_os_error(error: SafetensorError) -> OSError:
    """Return the failure of the operating system that safetensors reports as text: "… (os error 28)"."""
    found = re.search(r"os error (\d+)", str(error))
    return OSError(int(found[1]) if found else None, str(error))


def load(path: Path) -> Checkpoint:
    """Return what `path` holds; SpikeError when it is missing, cut short, a pickle or another program's."""
    if not path.is_file():
        raise SpikeError(f"found no checkpoint at {path}; give a .safetensors file or a run folder, or train one first")
    with path.open("rb") as file:
        if file.read(2) in (b"PK", b"\x80\x02", b"\x80\x04"):
            raise SpikeError(
                f"{path} is a pickle, which could run code when loaded; give a .safetensors file made by spikecli"
            )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise SpikeError(
            f"{path} is cut short or no safetensors file ({error}); copy it again or train anew"
        ) from error
    if metadata.get("format") != FORMAT:
        raise SpikeError(f"{path} holds weights that spikecli did not write; give a checkpoint of `spikecli train`")
    try:
        config = validated(TrainConfig, json.loads(metadata["config"]))
        return Checkpoint(tensors, config, tuple(json.loads(metadata["classnames"])), json.loads(metadata["notes"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise SpikeError(
            f"the settings in {path} cannot be read ({error}); the file is damaged, copy it again"
        ) from error


def network(checkpoint: Checkpoint, path: Path) -> nn.Module:
    """Return a checkpoint's network in evaluation mode; SpikeError when the weights do not fit or are not finite."""
    with torch.random.fork_rng(devices=[]):  # the fresh weights are overwritten: their draws leave no trace
        model = models.build(checkpoint.config.model)
    if checkpoint.config.model.folded:
        model = reparameterize(model)  # of fresh weights, for the structure
    expected = model.state_dict()
    missing = sorted(set(expected) - set(checkpoint.tensors))
    if missing:
        raise SpikeError(f"{path} lacks {missing[0]} (and {len(missing) - 1} more): it is not of the model it names")
    for name, tensor in expected.items():
        found = checkpoint.tensors[name]
        if found.shape != tensor.shape:
            raise SpikeError(
                f"{path}: {name} has shape {tuple(found.shape)} where the model it names has {tuple(tensor.shape)}"
            )
        if not torch.isfinite(found).all():
            raise SpikeError(f"{path}: {name} holds NaN or infinity; use an earlier checkpoint of the run")
    if checkpoint.config.model.classes != len(checkpoint.classnames):
        raise SpikeError(
            f"{path} names {len(checkpoint.classnames)} classes for {checkpoint.config.model.classes} outputs"
        )
    model.load_state_dict({name: checkpoint.tensors[name] for name in expected})
    return model.eval()


def resolve(given: Path | None, runs: Path = Path("checkpoints")) -> Path:
    """Return the weights file that a file, a run folder, or nothing (the newest run) means."""
    if given is None:
        found = sorted(runs.glob("*/model.safetensors"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise SpikeError(f"found no run in {runs}; train one with `spikecli train`, or name a checkpoint")
        return found[-1]
    return given / "model.safetensors" if given.is_dir() else given
