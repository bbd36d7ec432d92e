"""`spikecli calibrate`: fit a temperature and a threshold to the samples that a run held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.groups import with_groups
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

Given = Annotated[
    Path, typer.Argument(readable=False, help="A run folder or weights file.", autocompletion=complete.runs)
]
Timesteps = Annotated[
    str, typer.Option("--timesteps", "-T", help="Time steps of frames, one calibration each; else 1 to 4 are fitted.")
]

_ECE = ("ECE before", "ECE after")


@with_groups
def calibrate(
    checkpoint: Given,
    timesteps: Timesteps = "1,2,3,4",
    out: options.TableOut = None,
    *,
    where: options.Where,
    output: options.Output,
) -> None:
    """Fit a temperature and a threshold to held-out samples, and keep them in the weights file, for predict --reject.

    Training does it by itself at its end; this is for weights of before, and for other numbers of time steps.

    Example: spikecli calibrate checkpoints/my-run --timesteps 1,4,8
    """
    from dataclasses import asdict

    from spikecli.cli.options.evaluation import parse_steps
    from spikecli.evaluation.calibration import FEWEST, calibrate_file
    from spikecli.evaluation.how import How
    from spikecli.files.tables import ResultTable
    from spikecli.weights.checkpoint import read
    from spikecli.weights.trained import Trained

    console = Console(output.as_json, output.quiet)
    file = read(checkpoint)
    trained = Trained.of_file(file, where.device)
    steps = parse_steps(timesteps)
    found = calibrate_file(trained, file, where.data_dir, steps, How(seed=where.seed, device=trained.device))
    records = [asdict(one) for one in found]
    console.document({"checkpoint": str(trained.path), "calibration": records})
    rows = [
        (one.timesteps, f"{one.temperature:.3f}", f"{one.threshold:.1%}", f"{one.ece_before:.1%}", f"{one.ece:.1%}")
        for one in found
    ]
    title, columns = f"{trained.name}, {found[0].samples} held-out samples", ("T", "temperature", "threshold", *_ECE)
    caption = "threshold: the highest that 95% of the right answers reach"
    show_table(console, ResultTable(title, columns, rows, caption, records), out)
    if not found[0].fitted:
        console.warn(f"{found[0].samples} held-out samples are too few for a temperature; wanted {FEWEST} or more")
