"""`spikecli mini`: train the small CLIP of digits that comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.shown.phases import phases
from spikecli.console import Console

Out = Annotated[Path | None, typer.Option(help="Write the weights here too, in float16 as those that ship.")]


def mini(
    out: Out = None,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Train mini, the small CLIP of ten digits that comes with the program; some minutes, resumed where it stopped.

    Example: spikecli mini --out my-mini.safetensors
    """
    import torch

    from spikecli.files import tensors
    from spikecli.neuroclip.backbone import train_here
    from spikecli.neuroclip.mini import MiniRecipe

    console = Console(as_json, quiet)
    with phases(console) as progress:
        clip = train_here(data_dir, torch.device("cpu"), MiniRecipe(seed=seed), progress)
    if out is not None:
        values = clip.module.state_dict()
        halves = {name: value.half() if value.is_floating_point() else value for name, value in values.items()}
        tensors.write(out, halves, {"format": "pt"})
    console.say(f"mini is in {out or data_dir / 'clip'}")
    console.document({"out": None if out is None else str(out), "folder": str(data_dir / "clip"), "seed": seed})
