"""The contents of a run folder: its settings, and how its epochs went."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikecli.errors import ChoiceError, SpikeError
from spikecli.files.gate import fits, read_json, read_lines, reading
from spikecli.settings.config import TrainConfig, validated
from spikecli.weights import checkpoint
from spikecli.weights.reference import run_folder
from spikecli.weights.run_folder import CURVE, LAST, SETTINGS, STATE

NOTHING = type(None)
EPOCH = {"epoch": int, "loss": float, "train_accuracy": float, "val_accuracy": (float, NOTHING), "lr": float}
CURE = "copy the run again, or resume it"


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it: a dictionary an epoch with the fields of `runs.Epoch`; `weights` where they are."""

    name: str
    folder: Path
    config: TrainConfig
    epochs: tuple[dict[str, Any], ...]
    weights: Path | None

    @property
    def label(self) -> str:
        """The name, with the epochs done if the run is not finished."""
        done = len(self.epochs)
        return self.name if done in (0, self.config.epochs) else f"{self.name} ({done} of {self.config.epochs} epochs)"


def settings_kept(given: Path) -> TrainConfig:
    """Return the settings of a run folder, of a weights file in one or alone, or of `reference`.

    Raise SpikeError if none are there or they are damaged.
    """
    folder = run_folder(given)
    if given.is_file() and not (folder / SETTINGS).is_file():
        return checkpoint.load(given).config
    return read_run(folder).config


def read_run(folder: Path, config: TrainConfig | None = None) -> RunRecord:
    """Return the run in a folder; it may have no finished epoch yet. Raise SpikeError if the folder is damaged.

    `config` are its settings if they have been read, with its weights.
    """
    weights = folder / LAST
    config, noted = _settings(folder) if config is None else (config, ())
    epochs = _epochs(folder / CURVE) if (folder / CURVE).is_file() else noted
    name = folder.resolve().name
    return RunRecord(name, folder, config, epochs, weights if weights.is_file() else None)


def _settings(folder: Path) -> tuple[TrainConfig, tuple[dict[str, Any], ...]]:
    """Return the settings, and the epochs recorded in the state file if there is no learning curve yet."""
    path = folder / SETTINGS
    if path.is_file():
        values = read_json(path, dict, CURE)
        try:
            return validated(TrainConfig, values), ()
        except ChoiceError:  # a part that is not here: the weights say whose it is
            for name in (STATE, LAST):
                if (folder / name).is_file():
                    checkpoint.load(folder / name)
            raise
    for name in (LAST, STATE):
        if (folder / name).is_file():
            stored = checkpoint.load(folder / name)
            epochs = stored.notes.get("progress", {}).get("epochs", [])
            if not fits(epochs, [EPOCH]):
                raise SpikeError(f"{folder / name} does not say how its epochs went; {CURE}")
            return stored.config, tuple(epochs)
    if not (folder / CURVE).is_file():
        raise SpikeError(
            f"{folder} holds no run: neither {SETTINGS} nor weights; a training that failed at once leaves such"
        )
    raise SpikeError(f"{folder} holds {CURVE}, but neither {SETTINGS} nor weights; copy the whole run folder")


def _epochs(path: Path) -> tuple[dict[str, Any], ...]:
    epochs = []
    for number, line in enumerate(read_lines(path, CURE), start=1):
        with reading(path, f"look at line {number}, or {CURE}"):
            epochs.append(json.loads(line))
        if not fits(epochs[-1], EPOCH):
            raise SpikeError(f"{path} does not say in line {number} how an epoch went; {CURE}")
    return tuple(epochs)
