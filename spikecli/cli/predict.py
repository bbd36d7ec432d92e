"""`spikecli predict`: what a trained network says of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli import options
from spikecli.cli.guesses import show_guesses
from spikecli.console import Console

Checkpoint = Annotated[Path, typer.Argument(help="A run folder or weights file.")]
Files = Annotated[
    list[Path], typer.Argument(help="Meshes or clouds (.off .ply .pcd .npy .txt), recordings, or pictures.")
]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps.")]
Top = Annotated[int, typer.Option(min=1, help="How many classes to name.")]


def predict(
    checkpoint: Checkpoint,
    files: Files,
    timesteps: Timesteps = 4,
    top: Top = 5,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Name the most probable classes of one's own files, of the kind that the network or saved adapter was trained on.

    Example: spikecli predict checkpoints/my-run chair.off --timesteps 4
    """
    from spikecli import checkpoint as checkpoints
    from spikecli import fewshot

    console = Console(as_json, quiet)
    path = checkpoints.resolve(checkpoint)
    if path.suffix == ".safetensors" and path.is_file() and fewshot.is_adapter(path):
        adapted = fewshot.load_adapter(path, data_dir, device)
        show_guesses(console, str(path), adapted.question.classnames, adapted.classify(files), top)
    else:
        _name_files(console, path, files, timesteps, top, seed, device)


def _name_files(
    console: Console, path: Path, files: list[Path], timesteps: int, top: int, seed: int, device: str
) -> None:
    from spikecli import checkpoint as checkpoints
    from spikecli import evaluate as flow
    from spikecli.samples import files_for

    loaded = checkpoints.load(path)
    inputs = files_for(loaded.config, files, timesteps, seed)
    probabilities = flow.predict_clouds(path, inputs, timesteps, seed, device)[-1]
    rows = zip(files, probabilities.tolist(), strict=True)
    show_guesses(console, f"{path}, T = {timesteps}", loaded.classnames, rows, top)
