"""`spikecli predict`: what a trained network says of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli import options
from spikecli.cli.guesses import show_guesses
from spikecli.console import Console

Checkpoint = Annotated[Path, typer.Argument(readable=False, help="A run folder or weights file.")]
Files = Annotated[list[Path], typer.Argument(readable=False, help="Meshes or clouds: .off .ply .pcd .npy .txt")]
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
    """Name the most probable classes of one's own files: meshes and clouds, or recordings with a saved adapter.

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
        _name_clouds(console, path, files, timesteps, top, seed, device)


def _name_clouds(
    console: Console, path: Path, files: list[Path], timesteps: int, top: int, seed: int, device: str
) -> None:
    import numpy as np

    from spikecli import checkpoint as checkpoints
    from spikecli import evaluate as flow
    from spikecli.datasets.pointcloud import load_points_of

    loaded = checkpoints.load(path)
    clouds = np.stack([load_points_of(file, loaded.config.points, seed=seed) for file in files])
    probabilities = flow.predict_clouds(path, clouds, timesteps, seed, device)[-1]
    rows = zip(files, probabilities.tolist(), strict=True)
    show_guesses(console, f"{path}, T = {timesteps}", loaded.classnames, rows, top)
