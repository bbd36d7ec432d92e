"""The options that describe a network and its training, each defined once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from spikecli.config import PAPERS

_PART = "Neuron parts (instead of the paper's own)"
_TRAINING = "Training (instead of the recipe's own)"


def _part(kind: type, text: str) -> Any:
    return Annotated[kind | None, typer.Option(help=text, rich_help_panel=_PART)]


def _training(kind: type, text: str, *names: str) -> Any:
    return Annotated[kind | None, typer.Option(*names, help=text, rich_help_panel=_TRAINING)]


NEURON_PARTS: dict[str, Any] = {
    "start": _part(str, "zeros or perturbed."),
    "decay": _part(float, "λ in v ← λ·v + x."),
    "charge": _part(str, "leak or learned-leak."),
    "norm": _part(str, "none, mpbn or rectifier."),
    "fire": _part(str, "binary or ternary."),
    "threshold": _part(float, "θ."),
    "surrogate": _part(str, "rectangle or tanh."),
    "reset": _part(str, "hard or soft."),
    "amplitude": _part(str, "none, scalar or channel."),
}
TRAINING: dict[str, Any] = {
    "epochs": _training(int, "Epochs."),
    "batch_size": _training(int, "Clouds a step, over all processes."),
    "lr": _training(float, "Highest learning rate."),
    "weight_decay": _training(float, "Weight decay."),
    "optimizer": _training(str, "adam or adamw."),
    "schedule": _training(str, "onecycle, or step: ×0.7 every 20 epochs."),
    "augment": _training(str, "paper: dropped points are overwritten; thin: they are left out; none."),
    "label_smoothing": _training(float, "Label smoothing, 0…1."),
    "reestimate": _training(
        bool, "Batch statistics from clean training clouds at the end.", "--reestimate/--no-reestimate"
    ),
}

Dataset = Annotated[str, typer.Argument(help="A prepared data set.")]
Model = Annotated[str, typer.Option(help="Network: pointnet.")]
Paper = Annotated[str, typer.Option(help="Neuron preset: " + ", ".join(PAPERS) + ".")]
Recipe = Annotated[str, typer.Option(help="Schedule preset: short (30 epochs) or paper (the authors' 200).")]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps in training.")]
Points = Annotated[int, typer.Option(help="Points a cloud.")]
ValFraction = Annotated[float, typer.Option(help="Part of each class of the training split that is held out.")]
TNet = Annotated[str, typer.Option(help="T-Nets: pooled (maximum, then firing), paper (firing first) or none.")]
Dropout = Annotated[float, typer.Option(help="Share of the head's second layer that is dropped in training.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 (products alone) or fp64.")]
Out = Annotated[Path | None, typer.Option(help="Run folder (default: a new one in checkpoints/).")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Training processes on this machine.")]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options of NEURON_PARTS and TRAINING, which it receives as `parts` and `training`."""

    @functools.wraps(command)
    def wrapper(*args: Any, **values: Any) -> None:
        parts = {name: values.pop(name) for name in NEURON_PARTS}
        training = {name: values.pop(name) for name in TRAINING}
        command(*args, parts=parts, training=training, **values)

    own = [p for p in inspect.signature(command).parameters.values() if p.name not in ("parts", "training")]
    hints = get_type_hints(command, include_extras=True)
    added = {**TRAINING, **NEURON_PARTS}
    parameters = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in added.items()
    ]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper
