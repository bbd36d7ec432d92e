"""`spikecli predict`: what a trained network says of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli import options
from spikecli.console import Console


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="A run folder or weights file.")],
    files: Annotated[list[Path], typer.Argument(help="Meshes or clouds: .off .ply .pcd .npy .txt")],
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps.")] = 4,
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Name the most probable classes of meshes and clouds; a mesh is sampled, a cloud is brought into the unit sphere.

    Example: spikecli predict checkpoints/my-run chair.off --timesteps 4
    """
    import numpy as np

    from spikecli import checkpoint as checkpoints
    from spikecli import evaluate as flow
    from spikecli.datasets.pointcloud import load_points_of

    console = Console(as_json, quiet)
    path = checkpoints.resolve(checkpoint)
    loaded = checkpoints.load(path)
    with console.progress("reading", total=len(files), unit="files") as advance:
        clouds = []
        for file in files:
            clouds.append(load_points_of(file, loaded.config.points, seed=seed))
            advance(1)
    probabilities = flow.predict_clouds(path, np.stack(clouds), timesteps, seed, device)[-1]
    guesses = [
        [{"class": loaded.classnames[k], "probability": float(row[k])} for k in np.argsort(-row)[:top]]
        for row in probabilities
    ]
    console.document([{"file": str(file), "predictions": row} for file, row in zip(files, guesses, strict=True)])
    console.table(
        f"{path}, T = {timesteps}",
        ("file", "class", "probability"),
        [
            (str(file) if place == 0 else "", guess["class"], f"{guess['probability']:.1%}")
            for file, row in zip(files, guesses, strict=True)
            for place, guess in enumerate(row)
        ],
    )
