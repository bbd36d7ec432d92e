"""`spikecli eval`: the paper's table for a trained network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikecli.cli import options
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.evaluate import Row

Given = Annotated[
    Path | None,
    typer.Argument(readable=False, help="A run folder or weights file.", show_default="the newest run in checkpoints/"),
]
Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps to evaluate at, a row each.")]
Data = Annotated[str | None, typer.Option(help="A prepared data set.", show_default="the one it was trained on")]
Split = Annotated[Literal["train", "test"], typer.Option(help="Which split.")]
Runs = Annotated[int, typer.Option(min=1, help="Repetitions with other perturbation seeds.")]
Precision = Annotated[Literal["fp32", "bf16"], typer.Option(help="bf16: of products alone.")]
COLUMNS = ("T", "instance acc.", "class acc.", "firing", "synaptic ops", "energy", "time")


def evaluate(
    checkpoint: Given = None,
    timesteps: Steps = "1,2,3,4",
    data: Data = None,
    split: Split = "test",
    runs: Runs = 3,
    precision: Precision = "fp32",
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Score a network at each number of time steps: accuracy, firing rate, operations, energy.

    Example: spikecli eval checkpoints/demo --timesteps 1,2,3,4
    """
    steps = parse_steps(timesteps)
    console = Console(as_json, quiet)
    from spikecli import checkpoint as checkpoints
    from spikecli import evaluate as flow
    from spikecli.device import choose_device

    path = checkpoints.resolve(checkpoint)
    place = choose_device(device)
    model, samples = flow.opened(path, data_dir, data, split, place)
    _warn(console, path, data_dir, data)
    total = runs * len(samples.labels) * len(flow.passes(samples, steps))
    with console.progress("evaluating", total=total, unit=samples.noun) as advance:
        rows = flow.evaluate(model, samples, steps, runs, seed, place, precision, advance)
    document = {"checkpoint": str(path), "dataset": samples.dataset, "split": split, "samples": len(samples.labels)}
    console.document({**document, "runs": runs, "seed": seed, "results": [asdict(row) for row in rows]})
    title = f"{path} on {samples.dataset}, {split} split, {len(samples.labels)} {samples.noun}"
    spread = f"mean ± std of {runs} perturbation seeds from {seed}" if runs > 1 else f"perturbation seed {seed}"
    counted = (
        f"operations and energy of one of the {samples.noun}: 4.6 pJ a multiply-add of real values, 0.9 pJ an addition"
    )
    console.table(title, COLUMNS, [_cells(row, runs) for row in rows], f"{spread}; {counted}")


def _warn(console: Console, path: Path, data_dir: Path, data: str | None) -> None:
    """Say which splits have changed since training."""
    from spikecli import checkpoint as checkpoints
    from spikecli import provenance

    for line in provenance.changes(checkpoints.load(path), data_dir, data):
        console.warn(f"{line}; these scores are not of the data it was trained for")


def _cells(row: Row, runs: int) -> tuple[str, ...]:
    return (
        str(row.timesteps),
        f"{row.instance_accuracy:.2%}" + (f" ± {100 * row.instance_accuracy_std:.2f}" if runs > 1 else ""),
        f"{row.class_accuracy:.2%}",
        f"{row.firing_rate:.2%}",
        f"{row.synaptic_operations / 1e6:.1f} M",
        f"{row.energy_uj:.0f} µJ",
        f"{row.seconds:.1f} s",
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
