"""The folder of a training run: its state, the weights given to others, and its learning curve."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikecli.errors import SettingError, SpikeError, named
from spikecli.files import tensors
from spikecli.files.atomic import write_rows, write_text
from spikecli.files.gate import at_least, fits
from spikecli.settings.config import TrainConfig
from spikecli.settings.papers import paper_of
from spikecli.training.logs import Log, chart, numbers_of
from spikecli.training.optimizer_state import MOMENTS, moments_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.run_folder import BEST, CURVE, LAST, RESULTS, SETTINGS, STATE, check_folder


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch of training; accuracies in 0…1, `val_accuracy` None without a validation part."""

    epoch: int
    loss: float
    train_accuracy: float
    val_accuracy: float | None
    lr: float
    seconds: float
    clouds_per_second: float
    quantization_error: float | None = None  # mean |u − s| in training, with RMP-Loss alone


_NUMBER_OR_NONE = (float, lambda value: value is None)
_EPOCH = dict.fromkeys(("loss", "train_accuracy", "lr", "seconds", "clouds_per_second"), float)
_PROGRESS: dict[str, Any] = {
    "step": at_least(0), "loss": float, "right": float, "seen": at_least(0), "seconds": float,
    "epochs": [{"epoch": at_least(1), "val_accuracy": _NUMBER_OR_NONE, **_EPOCH}],
}  # fmt: skip


@dataclass
class RunState:
    """The progress of a run: everything besides tensors that resuming it needs."""

    step: int = 0  # steps done since the beginning
    loss: float = 0.0  # summed over the clouds of the epoch under way, as are the next two
    right: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    quantization: float = 0.0  # summed likewise
    epochs: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """One run folder. A resumed run reads only the state file; every other file can be made from it."""

    def __init__(self, folder: Path, config: TrainConfig, classnames: tuple[str, ...]) -> None:
        self.folder = folder
        self.config = config
        self.classnames = classnames
        self.data: dict[str, str] = {}  # fingerprint of each split of the data set
        self.accept_changed = False  # whether to go on although the data set has changed
        self.data_changed = False
        self.origin: dict[str, Any] = {}  # the weights that the run started from
        self.teacher: dict[str, Any] = {}  # the weights that it learns from
        self.calibration: list[dict[str, Any]] = []  # fitted to held-out samples at the end
        self.facts: dict[str, Any] = {}  # of the data set, as `facts_file.as_values` has them
        self.stance: dict[str, Any] = {}  # of its training samples, as `Kind.stance` has it
        self.logs: tuple[Log, ...] = ()  # beside TensorBoard
        self.progress = RunState()

    def load_state(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Restore model, optimizer and progress of a stopped run; raise SpikeError if settings or data differ."""
        path = self.folder / STATE
        state = checkpoints.load(path)
        self._check_same(state)
        if not fits(state.notes.get("progress"), _PROGRESS):
            raise SpikeError(f"{path} does not say how far the run is; it is damaged, copy it again")
        weights = {name[6:]: value for name, value in state.tensors.items() if name.startswith("model/")}
        tensors.check(path, weights, model.state_dict())
        tensors.check_finite(path, state.tensors)
        kept = MOMENTS[self.config.optimizer]
        moments = {name: moments_of(path, name, value, state.tensors, kept) for name, value in model.named_parameters()}
        model.load_state_dict(weights)
        for name, parameter in model.named_parameters():
            optimizer.state[parameter] = moments[name]
        self.origin = state.notes.get("from", {})
        self.progress = RunState(**{name: state.notes["progress"][name] for name in _PROGRESS})

    def _check_same(self, state: Checkpoint) -> None:
        demand_same(self.folder, state.config, self.config)
        if state.notes.get("teacher", {}) != self.teacher:
            raise SpikeError(
                f"{named('teacher')} {self.config.teacher} has other weights than at the start of this run"
            )
        before, now = (data.get("train") for data in (state.notes.get("data", {}), self.data))
        self.data_changed = before is not None and before != now
        if self.data_changed and not self.accept_changed:
            raise SpikeError(
                f"the run in {self.folder} was trained on other data: {self.config.dataset} has changed since (its "
                f"train split was {str(before)[:12]}…, is {str(now)[:12]}…); prepare it as it was, name another "
                f"{named('out')}, "
                f"or go on with the data as they are: {named('accept_changed_data')}"
            )

    def restart_epoch(self, steps: int) -> None:
        """Go back to the start of the current epoch, of `steps` steps, because the data have changed."""
        progress = self.progress
        progress.step, progress.seen = len(progress.epochs) * steps, 0
        progress.loss = progress.right = progress.seconds = progress.quantization = 0.0

    def republish(self, model: nn.Module) -> None:
        """Publish again, in case a stop prevented it; in the middle of an epoch there is nothing to publish."""
        if self.progress.seen:
            self._draw()
        else:
            self.publish(model, self._improved())

    def save_state(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the state to one file atomically, so that a run is never between two states."""
        values: dict[str, Tensor] = {f"model/{name}": value for name, value in model.state_dict().items()}
        for name, parameter in model.named_parameters():
            for key, value in optimizer.state[parameter].items():
                values[f"optimizer/{name}/{key}"] = value
        self._write(STATE, values, {"progress": asdict(self.progress)})

    def end_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: Epoch) -> None:
        """Note an epoch, save the state, and publish weights and curve."""
        self.progress.epochs.append(asdict(epoch))
        self.progress.loss = self.progress.right = self.progress.seconds = self.progress.quantization = 0.0
        self.progress.seen = 0
        self.save_state(model, optimizer)
        self.publish(model, self._improved())
        chart(self.folder, epoch.epoch, asdict(epoch))
        for log in self.logs:
            log.add(numbers_of(asdict(epoch)))

    def publish(self, model: nn.Module, best: bool) -> None:
        """Write the weights (last, and best if they are) and the learning curve."""
        done = len(self.progress.epochs)
        notes = {"epoch": done, "metrics": self.progress.epochs[-1] if done else {}}
        self._write(LAST, model.state_dict(), notes)
        if best:
            self._write(BEST, model.state_dict(), notes)
        self._draw()

    def _draw(self) -> None:
        """Write settings and learning curve."""
        write_text(self.folder / SETTINGS, self.config.model_dump_json(indent=2) + "\n")
        lines = [json.dumps(epoch) + "\n" for epoch in self.progress.epochs]
        write_text(self.folder / CURVE, "".join(lines))
        write_rows(self.folder / RESULTS, self.progress.epochs)

    def _improved(self) -> bool:
        if not self.progress.epochs:
            return False
        accuracy = self.progress.epochs[-1]["val_accuracy"]
        earlier = [epoch["val_accuracy"] for epoch in self.progress.epochs[:-1]]
        return accuracy is not None and all(accuracy > other for other in earlier)

    def _write(self, name: str, values: dict[str, Tensor], notes: dict[str, Any]) -> None:
        own = {"stance": self.stance, "from": self.origin, "calibration": self.calibration, "teacher": self.teacher}
        notes = {**notes, "data": self.data, "facts": self.facts, **{key: one for key, one in own.items() if one}}
        checkpoints.save(self.folder / name, Checkpoint(values, self.config, self.classnames, notes))


def differences(before: TrainConfig, now: TrainConfig) -> list[tuple[str, Any, Any]]:
    """Return (name, before, now) of the settings that differ, except those that may change on resuming."""
    first, second = flat(before.model_dump()), flat(now.model_dump())
    return [
        (name, first.get(name), second.get(name))
        for name in dict.fromkeys((*first, *second))
        if name != "epochs"
        and first.get(name) != second.get(name)
        and (name, second.get(name)) != ("precision", "auto")
    ]


def demand_same(folder: Path, before: TrainConfig, now: TrainConfig) -> None:
    """Raise SpikeError if a run cannot go on with the settings `now`, naming the first that differs."""
    for name, value, wanted in differences(before, now):
        raise SettingError(
            name, f"cannot be {wanted}: the run in {folder} was started with {value}; remove it, or name another folder"
        )


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by option name, with those of the network and the neuron at the same level.

    `model` is the network's name; `map_size` and `inputs` are of the network, `neuron` stands for a missing one.
    """
    model = dict(settings["model"])
    neuron = model.pop("neuron")
    size = {"map_size": model.pop("size")} if "size" in model else {}
    network = {"model": model.pop("name"), **model, **size, **(neuron or {"neuron": None})}
    return {**{name: value for name, value in settings.items() if name != "model"}, **network}


def holds_run(folder: Path) -> bool:
    """Return whether a folder holds a run that can be resumed."""
    return (folder / STATE).exists()


def demand_run(folder: Path) -> Path:
    """Return a folder unchanged; raise SpikeError if it holds no run that can be resumed."""
    check_folder(folder, resume=True)
    return folder


def run_name(config: TrainConfig) -> str:
    """Return the name of a run of these settings; it includes changes to the paper's neuron."""
    own = paper_of(config.paper).neuron
    parts = own.model_dump() if own else {}
    mine = config.model.neuron.model_dump() if config.model.neuron else {}
    changed = [
        f"{name.replace('_', '-')}-{value:g}" if isinstance(value, float) else f"{name.replace('_', '-')}-{value}"
        for name, value in mine.items()
        if parts.get(name, value) != value
    ]
    paper = "-".join([config.paper, *changed])
    start = f"-from-{Path(config.start_from).stem}" if config.start_from else ""
    return f"{config.dataset}-{config.model.name}-{paper}{start}-t{config.timesteps}-seed{config.seed}"


def default_folder(parent: Path, config: TrainConfig, resume: bool, last: bool = False) -> Path:
    """Return the first free folder for a run of these settings under `parent`; with `resume`, the last used one.

    With `last` it is the last used one if there is one, else the first free one.
    """
    stem = run_name(config)
    used: list[Path] = []
    for number in count(1):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        if not holds_run(folder):
            break
        used.append(folder)
    if used and (resume or last):
        return used[-1]
    return demand_run(folder) if resume else folder
