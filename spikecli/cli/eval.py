"""`spikecli eval`: the paper's table for a trained network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli import options
from spikecli.console import Console
from spikecli.errors import SpikeError

Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps to evaluate at, a row each: 1,2,3,4.")]


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A run folder or weights file.", show_default="the newest run")
    ] = None,
    timesteps: Steps = "1,2,3,4",
    data: Annotated[
        str | None, typer.Option(help="A prepared data set.", show_default="the one it was trained on")
    ] = None,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    runs: Annotated[int, typer.Option(min=1, help="Repetitions with other perturbation seeds.")] = 3,
    precision: Annotated[str, typer.Option(help="fp32, or bf16 (products alone).")] = "fp32",
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Score a network at each number of time steps: accuracy, firing rate, operations, energy.

    Example: spikecli eval checkpoints/shapes-pointnet-spiking-pointnet-t1-seed0 --timesteps 1,2,3,4
    """
    steps = parse_steps(timesteps)
    if precision not in ("fp32", "bf16"):
        raise SpikeError(f"found --precision {precision}; wanted fp32 or bf16")
    console = Console(as_json, quiet)
    from spikecli import checkpoint as checkpoints
    from spikecli import evaluate as flow
    from spikecli.datasets.prepared import load_points
    from spikecli.device import choose_device

    path = checkpoints.resolve(checkpoint)
    loaded = checkpoints.load(path)
    place = choose_device(device)
    model = checkpoints.network(loaded, path).to(place)
    clouds = load_points(data_dir, data or loaded.config.dataset, split, loaded.config.points)
    if clouds.classnames != loaded.classnames:
        raise SpikeError(
            f"{path} knows the classes {', '.join(loaded.classnames)}, but {clouds.dataset} has "
            f"{', '.join(clouds.classnames)}; give the data set it was trained on with --data"
        )
    with console.progress("evaluating", total=runs * len(clouds.labels), unit="clouds") as advance:
        rows = flow.evaluate(model, clouds, steps, runs, seed, place, precision, advance)
    document = {"checkpoint": str(path), "dataset": clouds.dataset, "split": split, "samples": len(clouds.labels)}
    console.document({**document, "runs": runs, "seed": seed, "results": [asdict(row) for row in rows]})
    spread = f"mean ± std of {runs} perturbation seeds from {seed}" if runs > 1 else f"perturbation seed {seed}"
    console.table(
        f"{path} on {clouds.dataset}, {split} split, {len(clouds.labels)} clouds",
        ("T", "instance acc.", "class acc.", "firing", "synaptic ops", "energy", "time"),
        [
            (
                row.timesteps,
                f"{row.instance_accuracy:.2%}" + (f" ± {100 * row.instance_accuracy_std:.2f}" if runs > 1 else ""),
                f"{row.class_accuracy:.2%}",
                f"{row.firing_rate:.2%}",
                f"{row.synaptic_operations / 1e6:.1f} M",
                f"{row.energy_uj:.0f} µJ",
                f"{row.seconds:.1f} s",
            )
            for row in rows
        ],
        f"{spread}; operations and energy of one cloud (4.6 pJ a multiply-add of real values, 0.9 pJ an addition)",
    )


def parse_steps(text: str) -> list[int]:
    """Return the sorted numbers of time steps in "1,2,4"; SpikeError unless all are whole and at least 1."""
    try:
        steps = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise SpikeError(f"found --timesteps {text!r}; wanted whole numbers such as 1,2,4") from None
    if steps[0] < 1:
        raise SpikeError(f"found --timesteps {text!r}; a network needs at least 1 time step")
    return steps
