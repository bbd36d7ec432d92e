"""A run folder: the names and contents of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spikecli.errors import ChoiceError, SpikeError, named
from spikecli.files.gate import fits, read_json, read_lines, reading
from spikecli.settings.config import TrainConfig, validated

CURVE, STATE, SETTINGS = "metrics.jsonl", "state.safetensors", "config.json"
RESULTS = "results.csv"  # the learning curve for a spreadsheet
SCORES = "ablation.json"  # of a run of `ablate`: the checksum of its weights, and their scores
LAST = "model.safetensors"  # the weights after the last epoch
BEST = "best.safetensors"  # the weights that scored best on the validation part
NOTHING = type(None)


EPOCH = {"epoch": int, "loss": float, "train_accuracy": float, "val_accuracy": (float, NOTHING), "lr": float}


CURE = "copy the run again, or resume it"
RUNS = Path("checkpoints")  # where runs are kept unless --out says otherwise


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


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a training run, finished or not."""
    return any((folder / name).is_file() for name in (CURVE, LAST, STATE))


def check_folder(folder: Path, resume: bool) -> None:
    """Raise SpikeError if a folder holds a run and none is to be resumed, or the other way round."""
    held = (folder / STATE).exists()
    again, out = named("resume"), named("out")
    if held and not resume:
        raise SpikeError(f"{folder} holds a run already; add {again} to go on with it, or name another {out}")
    if resume and not held:
        raise SpikeError(f"found no run to resume in {folder}; remove {again}, or name the run with {out}")


def nearest_run(given: Path) -> str:
    """Return "did you mean checkpoints/demo? " if a run has nearly the name of `given`, else an empty text."""
    places = [place for place in dict.fromkeys((given.parent, RUNS)) if place.is_dir()]
    known = {path.name.casefold(): path for place in places for path in sorted(place.iterdir()) if is_run(path)}
    near = get_close_matches(given.name.casefold(), known, 1)
    return f"did you mean {known[near[0]]}? " if near else ""


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
    from spikecli.weights import checkpoint as checkpoints

    path = folder / SETTINGS
    if path.is_file():
        values = read_json(path, dict, CURE)
        try:
            return validated(TrainConfig, values), ()
        except ChoiceError:  # a part that is not here: the weights say whose it is
            for name in (STATE, LAST):
                if (folder / name).is_file():
                    checkpoints.load(folder / name)
            raise
    for name in (LAST, STATE):
        if (folder / name).is_file():
            stored = checkpoints.load(folder / name)
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
