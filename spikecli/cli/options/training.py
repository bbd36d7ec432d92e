"""The options that describe a network and its training, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from spikecli.cli.options import complete
from spikecli.cli.options.fields import help_of, named, network_fields, neuron_fields, option, training_fields
from spikecli.settings.config import TrainConfig
from spikecli.settings.document import known
from spikecli.settings.released import Fidelity

NEURON_PARTS: dict[str, Any] = {
    name: option(name, field, "Neuron parts (instead of the paper's own)") for name, field in neuron_fields().items()
}
NETWORK: dict[str, Any] = {name: option(name, field, "Network") for name, field in network_fields().items()}
TRAINING: dict[str, Any] = {
    name: option(name, field, "Training (instead of the recipe's own)") for name, field in training_fields().items()
}

Dataset = Annotated[str, typer.Argument(help="A prepared data set.", autocompletion=complete.datasets)]
DatasetOrShapes = Annotated[
    str | None,
    typer.Argument(help="A prepared data set.", show_default="shapes", autocompletion=complete.datasets),
]
_FIELDS = TrainConfig.model_fields
_FITTING = "what suits the data set"
Model = Annotated[
    str | None,
    typer.Option(
        help=named("model"),
        show_default=_FITTING,
        autocompletion=complete.listed("model"),
    ),
]
Paper = Annotated[
    str | None,
    typer.Option(help=named("paper"), show_default=_FITTING, autocompletion=complete.listed("paper", "+")),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        help=named("recipe"),
        show_default=_FITTING,
        autocompletion=complete.listed("recipe"),
    ),
]
OfRelease = Annotated[
    Fidelity,
    typer.Option(
        help="released: settings of the authors' code, where none are given; see `spikecli papers --paper NAME`."
    ),
]
Timesteps = Annotated[
    int | None, typer.Option("--timesteps", "-T", min=1, help="Time steps in training.", show_default="1")
]
ValFraction = Annotated[
    float | None, typer.Option(help=help_of("val_fraction", _FIELDS["val_fraction"]), show_default="0.1")
]
Precision = Annotated[
    str | None,
    typer.Option(
        help=help_of("precision", _FIELDS["precision"]),
        show_default="auto",
        autocompletion=complete.among(known(_FIELDS["precision"])),
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help=help_of("seed", _FIELDS["seed"]), show_default="0")]
Out = Annotated[
    Path | None,
    typer.Option(readable=False, help="Run folder (default: a new one in checkpoints/).", autocompletion=complete.runs),
]
AcceptChanged = Annotated[
    bool, typer.Option("--accept-changed-data", help="Resume although the data set has changed since.")
]
Resume = Annotated[
    str,
    typer.Option(
        "--resume",
        metavar="[auto]",
        help="Continue the run in the folder, with its own settings; auto: start it if there is none.",
        show_default=False,
    ),
]
Like = Annotated[
    Path | None,
    typer.Option(
        readable=False,
        help="Repeat the run in this folder; options that you also give override its settings.",
        autocompletion=complete.runs,
    ),
]
StartFrom = Annotated[
    str | None,
    typer.Option(
        "--from",
        help=help_of("start_from", _FIELDS["start_from"]),
        rich_help_panel=(_BEGIN := "From the weights of another network"),
    ),
]
Freeze = Annotated[
    str | None,
    typer.Option("--freeze", help=help_of("freeze", _FIELDS["freeze"]), show_default="none", rich_help_panel=_BEGIN),
]
LogTo = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="Log each epoch to wandb or mlflow too, where installed, with a comma. TensorBoard needs no option.",
        autocompletion=complete.among(("wandb", "mlflow")),
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="End within this time, such as 2h or 90m: as many epochs as fit, by the pace of the first steps.",
    ),
]


@dataclass(frozen=True)
class Following:
    """Options of how a training is followed, and how long it may take."""

    log: LogTo = None
    time: TimeLimit = None


Processes = Annotated[int, typer.Option("--processes", min=1, help="Training processes on this machine.")]
