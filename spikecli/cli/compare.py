"""`spikecli compare`: networks on the same samples, with paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.evaluation import parse_steps
from spikecli.cli.options.groups import with_groups
from spikecli.cli.shown import tests
from spikecli.cli.shown.tables import show_table
from spikecli.cli.shown.tests import caption_of, cells_of, record_of
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.evaluation.compare import ComparedRow

Networks = Annotated[
    list[Path],
    typer.Argument(
        readable=False, metavar="RUN RUN…", help="Run folders or weights files.", autocompletion=complete.runs
    ),
]
Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps to compare at, a row each.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="A prepared data set.", show_default="that of the first run's training", autocompletion=complete.datasets
    ),
]
Split = Annotated[Literal["train", "val", "test"], typer.Option(help="Which split.")]
COLUMNS = ("network", "seeds", "T", "accuracy", *tests.COLUMNS)


@with_groups
def compare(
    runs: Networks,
    timesteps: Steps = "1",
    data: Data = None,
    split: Split = "test",
    out: options.TableOut = None,
    *,
    where: options.Where,
    output: options.Output,
) -> None:
    """Compare networks with the first on the same samples: difference, interval, and a paired test.

    Runs that differ in their training seed alone are one network.

    Example: spikecli compare checkpoints/lif-seed0 checkpoints/mpbn-seed0 --timesteps 1,4
    """
    from spikecli.evaluation.compare import answers, compared, demand_same_samples
    from spikecli.evaluation.how import How
    from spikecli.weights.trained import Trained

    if len(runs) < 2:
        raise SpikeError(f"found one run, {runs[0]}; wanted two or more to compare")
    console, steps = Console(output.as_json, output.quiet), parse_steps(timesteps)
    opened = [Trained.open(run, where.device) for run in runs]
    data = data or (None if split == "val" else opened[0].config.dataset)
    demand_same_samples(opened, where.data_dir, data, split)
    with console.progress("comparing", total=len(opened), unit="networks") as advance:
        given = []
        for one in opened:
            given.append(answers(one, steps, where.data_dir, data, split, How(seed=where.seed, device=one.device)))
            advance(1)
    name = data or opened[0].config.dataset
    about = {"dataset": name, "split": split, "samples": len(next(iter(given[0].right.values()))), "seed": where.seed}
    _show(compared(given, where.seed), about, out, console)


def _show(rows: list[ComparedRow], about: dict[str, Any], out: Path | None, console: Console) -> None:
    from spikecli.files.tables import ResultTable

    title = f"{about['dataset']}, {about['split']} split, {about['samples']} samples"
    records = [_record(row) for row in rows]
    console.document({**about, "against": rows[0].network, "rows": records})
    cells, caption = [_cells(row) for row in rows], caption_of(rows[0].network, about["seed"])
    show_table(console, ResultTable(title, COLUMNS, cells, caption, records), out)


def _record(row: ComparedRow) -> dict[str, Any]:
    about = {name: value for name, value in vars(row).items() if name != "paired"}
    return {**about, "seeds": len(row.runs), **record_of(row.paired)}


def _cells(row: ComparedRow) -> tuple[str, ...]:
    spread = "" if row.accuracy_std is None else f" ± {100 * row.accuracy_std:.2f}"
    accuracy = f"{100 * row.accuracy:.2f}{spread} %"
    return row.network, str(len(row.runs)), str(row.timesteps), accuracy, *cells_of(row.paired)
