"""`spikecli bench`: speed and memory on this machine, beside the time of the bare matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.evaluation import parse_dial
from spikecli.cli.shown.latency import show_latency
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.errors import ChoiceError, SpikeError
from spikecli.settings.config import TrainConfig, validated
from spikecli.settings.networks import PointNetConfig

if TYPE_CHECKING:
    from spikecli.files.tables import ResultTable
    from spikecli.speed.bench import BenchRow, DataPath

PRECISIONS = ("fp32", "bf16")
Run = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN]", readable=False, help="A run folder, weights file or reference: latency of its own."
    ),
]
BatchSize = Annotated[int, typer.Option(help="Clouds a step.")]
Points = Annotated[int, typer.Option(help="Points a cloud.")]
Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps, a row for each; with a RUN also auto.")]
Samples = Annotated[int, typer.Option(min=1, help="Of a RUN: samples of the test split for accuracy and energy.")]
Figure = Annotated[
    Path | None, typer.Option(readable=False, help="Of a RUN: a .png, .svg or .pdf of accuracy against milliseconds.")
]
Repeats = Annotated[int, typer.Option(min=1, help="Runs of each; medians are reported.")]
Precision = Annotated[
    str,
    typer.Option(help="fp32, bf16 or both, separated by a comma; auto: bf16 too where the device gains by it."),
]
TNet = Annotated[str, typer.Option(help="T-Nets: pooled, paper or none.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="as torch chooses")]


def bench(
    run: Run = None,
    batch_size: BatchSize = 24,
    points: Points = 1024,
    timesteps: Steps = "1,2,4",
    repeats: Repeats = 5,
    precision: Precision = "auto",
    tnet: TNet = PointNetConfig().tnet,
    threads: Threads = None,
    samples: Samples = 256,
    figure: Figure = None,
    data_dir: options.DataDir = options.DATA_DIR,
    device: options.Device = "auto",
    out: options.TableOut = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Time training and inference of the SNN and the ANN, and the matrix products alone that they cannot do without.

    With a RUN: milliseconds a sample at batch 1 and 32, in torch and in onnxruntime where it is installed.

    Example: spikecli bench --timesteps 1,4, or spikecli bench reference --timesteps 1,2,4,auto --figure latency.png
    """
    fixed, auto = parse_dial(timesteps)
    console = Console(as_json, quiet)
    if run is not None:
        asked = (tuple(fixed), auto), (repeats, samples), (threads, device)
        show_latency(console, run, *asked, data_dir, figure, out)
        return
    if auto or figure is not None:
        raise SpikeError("found auto or --figure without a RUN; name one: spikecli bench reference --timesteps 1,auto")
    named = parse_precisions(precision)
    validated(PointNetConfig, {"tnet": tnet})
    validated(TrainConfig, {"batch_size": batch_size, "points": points})
    _bench_own(console, (batch_size, points, tuple(fixed), named, repeats, tnet), threads, device, out)


def _bench_own(
    console: Console,
    asked: tuple[int, int, tuple[int, ...], tuple[str, ...], int, str],
    threads: int | None,
    device: str,
    out: Path | None,
) -> None:
    """Measure PointNets with fresh weights and show the table; `asked` are the fields of a plan but its device."""
    from spikecli.machine.device import choose_device
    from spikecli.speed import bench as flow

    batch_size, points, steps, named, repeats, tnet = asked
    place = choose_device(device)
    plan = flow.BenchPlan(batch_size, points, steps, named or flow.worthwhile(place), repeats, tnet, place)
    with flow.limited_to(threads) as used, console.progress("measuring", total=plan.rounds, unit="runs") as advance:
        rows, path = flow.measure(plan, lambda what: advance(1, what))
    settings = {"device": str(place), "threads": used, "batch_size": batch_size, "points": points, "tnet": tnet}
    results = {"results": [asdict(row) for row in rows], "data_path": asdict(path)}
    console.document({**settings, "repeats": repeats, **results})
    title = f"PointNet on {plan.device}, {used} threads, {batch_size} clouds of {points} points, T-Nets {tnet}"
    show_table(console, table_of(rows, title, repeats), out)
    console.say(describe_fetching(path))


def table_of(rows: Sequence[BenchRow], title: str, repeats: int) -> ResultTable:
    """Return the table of the rows that were measured."""
    from spikecli.files.tables import ResultTable

    return ResultTable(
        title,
        ("net", "work", "T", "prec", "ms", "floor ms", "ratio", "roof ms", "G MAC", "peak MB"),
        [cells(row) for row in rows],
        f"medians of {repeats}; floor: the products alone that cannot be avoided, timed in turns; roof: their "
        "multiply-adds, or their factors' bytes, at this device's rates; peak: beyond imports",
        [asdict(row) for row in rows],
    )


def describe_fetching(path: DataPath) -> str:
    """Return one line on the cost of fetching batches."""
    return (
        f"data path: a training step with a batch of its own takes {path.ratio:.3f} times one with a batch reused "
        f"({path.batch_seconds * 1e3:.1f} ms of {path.real_seconds * 1e3:.0f} ms, {path.precision})"
    )


def cells(row: BenchRow) -> tuple[str, ...]:
    """Return a row of the table: times in ms, multiply-adds in 10⁹, memory in MB."""
    return (
        row.network,
        row.work,
        str(row.timesteps),
        row.precision,
        f"{row.seconds * 1e3:.1f}",
        f"{row.floor_seconds * 1e3:.1f}",
        f"{row.ratio:.2f}",
        f"{row.roofline_seconds * 1e3:.2f}",
        f"{row.multiply_adds / 1e9:.2f}",
        "–" if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
    )


def parse_precisions(text: str) -> tuple[str, ...]:
    """Return the precisions in "fp32,bf16", in the order given, none for auto; raise ChoiceError if one is unknown."""
    if text == "auto":
        return ()
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in PRECISIONS:
            raise ChoiceError(
                "precision", f"cannot be {text!r}: choose auto, {' or '.join(PRECISIONS)}, or both with a comma"
            )
    return names
