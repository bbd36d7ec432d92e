"""The options that describe a network and its training, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikecli.settings.papers import PAPERS

_PART = "Neuron parts (instead of the paper's own)"
_TRAINING = "Training (instead of the recipe's own)"
_NETWORK = "Network"


def _part(kind: type, text: str) -> Any:
    return Annotated[kind | None, typer.Option(help=text, rich_help_panel=_PART)]


def _network(kind: type, text: str) -> Any:
    return Annotated[kind | None, typer.Option(help=text, rich_help_panel=_NETWORK)]


def _training(kind: type, text: str, *names: str) -> Any:
    return Annotated[kind | None, typer.Option(*names, help=text, rich_help_panel=_TRAINING)]


NEURON_PARTS: dict[str, Any] = {
    "start": _part(str, "zeros, perturbed or position."),
    "decay": _part(float, "λ in v ← λ·v + x."),
    "charge": _part(str, "leak or learned-leak."),
    "norm": _part(str, "none, mpbn, mpbn-element or rectifier."),
    "fire": _part(str, "binary, ternary or integer."),
    "threshold": _part(float, "θ."),
    "highest": _part(int, "D, the largest spike of --fire integer."),
    "surrogate": _part(str, "rectangle or tanh."),
    "reset": _part(str, "hard or soft."),
    "amplitude": _part(str, "none, scalar, channel or element."),
}
NETWORK: dict[str, Any] = {
    "width": _network(float, "Factor on the channels of DeLA, ResNet and VGG."),
    "batch_norm": _network(str, "plain, or tdbn: begins at the threshold. Spiking ResNet and VGG: tdbn."),
    "tnet": _network(str, "PointNet's T-Nets: pooled (maximum, then firing), paper (firing first) or none."),
    "dropout": _network(float, "Share of a layer of the head that is dropped in training: PointNet, DeLA."),
    "drop_path": _network(float, "DeLA: share of samples that skip the last layer in training; 0 at first."),
    "neighbors": _network(int, "DeLA: nearest points that a point hears."),
}
TRAINING: dict[str, Any] = {
    "epochs": _training(int, "Epochs."),
    "batch_size": _training(int, "Samples a step, over all processes."),
    "lr": _training(float, "Highest learning rate."),
    "weight_decay": _training(float, "Weight decay."),
    "decayed": _training(str, "What it acts on: all, or weights (no norm, bias or neuron)."),
    "optimizer": _training(str, "adam, adamw or sgd."),
    "schedule": _training(str, "onecycle, cosine, warmup (a tenth, then cosine), or step: ×0.7 every 20 epochs."),
    "augment": _training(
        str,
        "Points: paper (dropped ones are overwritten), thin (they are left out), mirror (paper's, reflected and "
        "stretched; z upright), stretch (shuffled, each axis by U(2/3, 3/2)). Events: roll, flip-roll. "
        "Images: cifar. All: none.",
    ),
    "slicing": _training(str, "Events a frame: as many in each (count), or those of as long a time (time)."),
    "size": _training(int, "Side of an event frame in pixels."),
    "points": _training(int, "Points a cloud."),
    "label_smoothing": _training(float, "Label smoothing, 0…1."),
    "rmp_weight": _training(float, "RMP-Loss: weight k of the membranes' distance to their spikes; 0 is off."),
    "rmp_power": _training(int, "RMP-Loss: 1 or 2, the power of the distance."),
    "rmp_schedule": _training(str, "RMP-Loss: triangle (up to k at half the epochs, down to 0) or constant."),
    "reestimate": _training(
        bool, "Batch statistics from clean training clouds at the end.", "--reestimate/--no-reestimate"
    ),
}

Dataset = Annotated[str, typer.Argument(help="A prepared data set.")]
_FITTING = "what suits the data set"
Model = Annotated[
    str | None,
    typer.Option(
        help="Network: pointnet or dela for clouds; resnet18, resnet19, resnet20 or vgg16 for recordings and images.",
        show_default=_FITTING,
    ),
]
Paper = Annotated[
    str | None,
    typer.Option(
        help="A neuron and what it trains with: " + ", ".join(PAPERS) + "; several joined by +.", show_default=_FITTING
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="Schedule preset. Clouds: short (30 epochs), paper (the authors' 200) or dela (60). "
        "Recordings: events (30). "
        "Images: cifar (the authors' 400).",
        show_default=_FITTING,
    ),
]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps in training.")]
ValFraction = Annotated[float, typer.Option(help="Part of each class of the training split that is held out.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 (products alone) or fp64.")]
Out = Annotated[Path | None, typer.Option(readable=False, help="Run folder (default: a new one in checkpoints/).")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Training processes on this machine.")]
