"""Weights: checkpoints, the state of a run, adapters, CLIP's files, and the features kept of it."""

from __future__ import annotations

import io
import json
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from clip_files import random_mini

from spikecli import models
from spikecli.datasets.events.split import EventSplit
from spikecli.errors import SpikeError
from spikecli.neuroclip import fewshot
from spikecli.neuroclip.adapted import open_any
from spikecli.neuroclip.clip import MINI_CONFIG, find_weights, load_clip
from spikecli.neuroclip.features import FeatureStore, Viewing
from spikecli.neuroclip.fitting import Fitting, build_adapter
from spikecli.settings.config import TrainConfig
from spikecli.training import schedule
from spikecli.training.runs import Run
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from torture.formats import Format, of_wholes
from torture.hdf5 import damaged_hdf5
from torture.mutations import Rng, damaged, damaged_json, json_bytes

GROUPS = ("checkpoints", "run states", "adapters", "CLIP weights", "CLIP settings", "features")
CPU = torch.device("cpu")
NAMES = tuple("abcdefghij")


def formats(folder: Path) -> list[Format]:
    """Return the formats of weights."""
    folder.mkdir(parents=True)
    return [*_checkpoints(folder), *_clip(folder / "clip"), *_features(folder / "features")]


def damaged_safetensors(whole: bytes, rng: Rng, tensors: bool = True) -> bytes:
    """Return a file that is damaged near its beginning, or well formed with another header, or with odd numbers."""
    (length,) = struct.unpack_from("<Q", whole)
    header, body = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    way = rng.random()
    if way < 0.25:
        return damaged(whole[: 8 + length + 64], rng) + (body[64:] if rng.random() < 0.7 else b"")
    if way < 0.4 and tensors:
        numbers = bytearray(body)
        place = int(rng.integers(len(body) // 4)) * 4
        numbers[place : place + 4] = struct.pack("<f", float(rng.choice([np.nan, np.inf, -np.inf, 3e38])))
        body = bytes(numbers)
    elif way < 0.7:
        header["__metadata__"] = _metadata(header.get("__metadata__", {}), rng)
    else:
        name = list(header)[int(rng.integers(len(header)))]
        header[name] = damaged_json(header[name], rng)
    text = json_bytes(header, rng)
    return struct.pack("<Q", len(text)) + text + body


def _metadata(found: dict[str, str], rng: Rng) -> Any:
    """Return metadata in which one of the JSON texts, or the whole, says something else."""
    if rng.random() < 0.2 or not found:
        return damaged_json(found, rng)
    key = list(found)[int(rng.integers(len(found)))]
    try:
        inner = json_bytes(damaged_json(json.loads(found[key]), rng), rng).decode()
    except ValueError:
        inner = damaged(found[key].encode(), rng).decode("latin-1")
    return {**found, key: inner}


def _checkpoints(folder: Path) -> list[Format]:
    config = TrainConfig()
    torch.manual_seed(0)
    model = models.build(config.model)
    optimizer = schedule.optimizer(config, model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    run = Run(folder / "run", config, NAMES)
    run.folder.mkdir()
    run.save_state(model, optimizer)
    state = (run.folder / "state.safetensors").read_bytes()
    path = folder / "model.safetensors"
    checkpoints.save(path, Checkpoint(dict(model.state_dict()), config, NAMES, {"epoch": 1, "metrics": {}}))
    whole = path.read_bytes()

    def read(path: Path) -> object:
        loaded = checkpoints.load(path)
        network = checkpoints.network(loaded, path)
        for name, value in network.state_dict().items():
            if not torch.isfinite(value).all():
                raise AssertionError(f"{name} is not finite")
        with torch.inference_mode():
            return network(torch.zeros(1, 16, 3), 1)

    def read_state(path: Path) -> object:
        path.replace(run.folder / "state.safetensors")
        return Run(run.folder, config, NAMES).load_state(model, optimizer)

    return [
        Format("model.safetensors", lambda rng: damaged_safetensors(whole, rng), read, 2.0, "checkpoints"),
        Format("state.safetensors", lambda rng: damaged_safetensors(state, rng), read_state, 1.0, "run states"),
    ]


def _clip(folder: Path) -> list[Format]:
    source = random_mini(folder / "weights.safetensors")
    clip = load_clip(source, CPU)
    whole = source.path.read_bytes()
    tensors = {name: value.half() for name, value in clip.module.state_dict().items() if value.numel() < 5000}
    pickled = []
    for new in (True, False):
        out = io.BytesIO()
        torch.save({"state_dict": tensors}, out, _use_new_zipfile_serialization=new)
        pickled.append(out.getvalue())
    task = cast(
        Any,
        SimpleNamespace(
            viewing=Viewing(), question=SimpleNamespace(classnames=("a", "b"), templates=("{}",)), clip=clip
        ),
    )
    fitted = cast(Any, SimpleNamespace(fitting=Fitting(), adapter=build_adapter(Fitting(), clip.dim)))
    fewshot.save_adapter(folder / "adapter.safetensors", fitted, task, "mini", str(source.path))
    adapter = (folder / "adapter.safetensors").read_bytes()
    settings = {"model_cfg": json.loads(MINI_CONFIG.read_text())}
    settings["preprocess_cfg"] = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}
    place = folder / "local"
    place.mkdir()

    def read_weights(path: Path) -> object:
        return load_clip(find_weights("mini", str(path), folder), CPU)

    def read_settings(path: Path) -> object:
        path.replace(place / "open_clip_config.json")
        shutil.copy(source.path, place / "w.safetensors")
        return load_clip(find_weights(None, str(place), folder), CPU)

    def read_adapter(path: Path) -> object:
        return open_any(path, "cpu", folder)

    def made_settings(rng: Rng) -> bytes:
        return json_bytes(damaged_json(settings, rng), rng)

    return [
        Format("weights.safetensors", lambda rng: damaged_safetensors(whole, rng), read_weights, 0.4, "CLIP weights"),
        Format("weights.pt", of_wholes(pickled), read_weights, 2.0, "CLIP weights"),
        Format("adapter.safetensors", lambda rng: damaged_safetensors(adapter, rng), read_adapter, 0.4, "adapters"),
        Format("open_clip_config.json", made_settings, read_settings, 0.3, "CLIP settings"),
    ]


def _features(folder: Path) -> list[Format]:
    split = cast(EventSplit, SimpleNamespace(fingerprint="f", dataset="nmnist", split="test"))
    clip = cast(Any, SimpleNamespace(identity="i", size=8, mean=(0.0,), std=(1.0,), name="mini", dim=4, device=CPU))
    store = FeatureStore(folder, split, clip, Viewing(timesteps=2))
    store.folder.mkdir(parents=True)
    store._write([0, 1, 2], np.ones((3, 2, 4), np.float32))
    part, mark = store.folder / "00000000.h5", store.folder / "settings.json"
    whole, settings = part.read_bytes(), mark.read_bytes()

    def read_part(path: Path) -> object:
        mark.write_bytes(settings)
        path.replace(part)
        return use()

    def read_mark(path: Path) -> object:
        part.write_bytes(whole)
        path.replace(mark)
        return use()

    def made_mark(rng: Rng) -> bytes:
        return json_bytes(damaged_json(json.loads(settings), rng), rng)

    def use() -> object:
        if store.missing([0, 1, 2]):
            raise SpikeError("some would have to be encoded")
        return store.read([0, 1, 2])

    return [
        Format("features.h5", lambda rng: damaged_hdf5(whole, rng), read_part, 2.0, "features"),
        Format("flipped.h5", of_wholes([whole]), read_part, 2.0, "features"),
        Format("features.json", made_mark, read_mark, 0.5, "features"),
    ]  # fmt: skip
