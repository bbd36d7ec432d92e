"""`spikecli import`: a released checkpoint becomes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.console import Console

File = Annotated[
    Path, typer.Argument(readable=False, metavar="FILE", help="A released .pth file, or its tensors as .safetensors.")
]
As = Annotated[
    str,
    typer.Option(
        "--as",
        help="Its network: pointnet, resnet18, resnet19, resnet20 or vgg16.",
        autocompletion=complete.listed("model"),
    ),
]
Out = Annotated[Path, typer.Option(readable=False, help="The run folder to write.")]
PaperOf = Annotated[
    str | None,
    typer.Option(
        help="The paper of its neuron.",
        show_default="what the file says: mpbn, joint, soft-reset-mpr, spiking-pointnet",
        autocompletion=complete.listed("paper"),
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="The data set it was trained on.",
        show_default="by classes and channels: ModelNet, CIFAR, CIFAR10-DVS",
        autocompletion=complete.datasets,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        readable=False, help="A file with a class name a line.", show_default="the class names of the data set"
    ),
]
Points = Annotated[int | None, typer.Option(min=8, help="Points a cloud.", show_default="as released, 1024")]


def import_run(
    file: File,
    model: As,
    out: Out,
    paper: PaperOf = None,
    data: Data = None,
    classes: Classes = None,
    points: Points = None,
    data_dir: options.DataDir = options.DATA_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Make a run from a checkpoint that a paper's authors, or users of their code, have saved.

    The file is read as weights alone: no code in it runs. The run is as released; eval, view, reparameterize and export
    take it as any other.

    Example: spikecli import best_model.pth --as pointnet --out checkpoints/released
    """
    from spikecli.training.importing import import_released

    console = Console(as_json, quiet)
    done = import_released(file, model, out, paper, data, classes, points, data_dir)
    console.document(
        {
            "file": str(file),
            "run": str(done.folder),
            "model": done.config.model.name,
            "paper": done.config.paper,
            "dataset": done.config.dataset,
            "classnames": list(done.classnames),
            "tensors": done.tensors,
            "parameters": done.parameters,
        }
    )
    about = f"{done.config.model.name} of {done.config.paper}, {len(done.classnames)} classes of {done.config.dataset}"
    console.say(f"{file} → {done.folder}: {about}; {done.tensors} tensors, {done.parameters:,} parameters")
    console.say(f"next: spikecli eval {done.folder}")
