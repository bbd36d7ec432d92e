"""`spikecli eval`: the paper's table for a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.evaluation import (
    ByClass,
    DamageOptions,
    DialOptions,
    EnergyOptions,
    EvalOptions,
    Votes,
    parse_dial,
    parse_steps,
)
from spikecli.cli.options.groups import with_groups
from spikecli.cli.shown import costs as shown
from spikecli.cli.shown.classes import show_classes
from spikecli.cli.shown.newest import opened
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.evaluation.evaluate import StepRow
    from spikecli.evaluation.how import How
    from spikecli.evaluation.step_scores import AutoRow, StepScores
    from spikecli.weights.trained import Trained

Given = Annotated[
    Path | None,
    typer.Argument(
        readable=False,
        help="A run folder or weights file.",
        show_default="the newest run in checkpoints/",
        autocompletion=complete.runs,
    ),
]
Steps = Annotated[
    str,
    typer.Option("--timesteps", "-T", help="Time steps to evaluate at, a row each; auto: until each sample is sure."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="A prepared data set.", show_default="the one it was trained on", autocompletion=complete.datasets
    ),
]
Split = Annotated[
    Literal["train", "val", "test"], typer.Option(help="Which split; val: the part of train held out in training.")
]
Runs = Annotated[int, typer.Option(min=1, help="Seeds of the start noise, of one and the same training.")]
Precision = Annotated[
    Literal["fp32", "bf16", "auto"],
    typer.Option(help="bf16: of products alone; auto: bf16 where the device multiplies it faster."),
]
COLUMNS = ("T", "instance acc.", "class acc.", "ECE", "firing", "synaptic ops", "energy", "time")


@with_groups
def evaluate(
    stopping: DialOptions,
    damage: DamageOptions,
    costs: EnergyOptions,
    checkpoint: Given = None,
    timesteps: Steps = "1,2,3,4",
    data: Data = None,
    split: Split = "test",
    runs: Runs = 3,
    votes: Votes = 1,
    precision: Precision = "fp32",
    out: options.TableOut = None,
    by_class: ByClass = False,
    *,
    where: options.Where,
    output: options.Output,
) -> None:
    """Score a network at each number of time steps: accuracy, firing rate, operations, energy.

    With --timesteps auto each sample stops when the network is sure; with --corrupt the samples are damaged.

    Example: spikecli eval checkpoints/demo --timesteps 1,2,3,4
    """
    console = Console(output.as_json, output.quiet)
    asked = EvalOptions(
        checkpoint, data, split, runs, precision, where.data_dir, where.seed, where.device, out, by_class, votes
    )
    if damage.corrupt is not None:
        from spikecli.cli.shown.damage import show_damage

        told: dict[str, Any] = {"--figure": stopping.figure, "--reliability": stopping.reliability}
        told |= {"--by-class": by_class or None, "--votes": votes if votes > 1 else None, **costs.given}
        if given := next((name for name, value in told.items() if value is not None), None):
            raise SpikeError(f"{given} cannot show scores on damaged samples; remove {given} or --corrupt")
        show_damage(console, asked, parse_steps(timesteps), damage)
    else:
        if votes > 1 and "auto" in timesteps:
            raise SpikeError("--votes cannot be given with --timesteps auto: each pass would stop at its own step")
        _show_scores(console, asked, timesteps, stopping, costs)


def _show_scores(
    console: Console, asked: EvalOptions, timesteps: str, turned: DialOptions, costs: EnergyOptions
) -> None:
    from spikecli.evaluation import step_scores as flow
    from spikecli.evaluation.evaluate import samples_for
    from spikecli.evaluation.neurobench import in_lower_case, static
    from spikecli.evaluation.stopping import StopRule, distinct_steps, runs_of, votes_of
    from spikecli.files.tables import ResultTable
    from spikecli.view.drawing.picture import check_picture

    steps, auto = parse_dial(timesteps)
    stop, drawn = StopRule(turned.confidence, turned.most) if auto else None, turned.figure is not None
    if drawn and stop is not None and not steps:
        steps = list(range(1, stop.most + 1))  # what the stops are to be compared with in the figure
    check_picture(turned.figure)
    check_picture(turned.reliability)
    trained = opened(console, asked.checkpoint, asked.device)
    model, samples = trained.network, samples_for(trained, asked.data_dir, asked.data, asked.split)
    steps, runs = list(distinct_steps(model, steps)), runs_of(model, asked.runs)
    _warn(console, trained, asked.data_dir, asked.data)
    total = flow.count_passes(samples, steps, stop, runs * votes_of(model, asked.votes), drawn) * len(samples.labels)
    with console.progress("evaluating", total=total, unit=samples.unit_name) as advance:
        scores = flow.evaluate_steps(model, samples, steps, stop, drawn, _how(asked, costs, runs, trained, advance))
    results = flow.results(scores, samples.classnames if asked.by_class else ())
    _draw(console, scores, turned)
    asked_of = {"checkpoint": str(trained.path), "dataset": samples.dataset, "split": asked.split}
    counts = {"samples": scores.samples, "runs": runs, "seed": asked.seed, **asked.voting}
    sure = {"calibration": [asdict(one) for one in flow.reliabilities(scores)]}
    cost = {"neurobench": (network := static(model)), "results": in_lower_case(results, network)}
    console.document({**asked_of, **counts, **cost, **sure, **({"figure": turned.figure} if drawn else {})})
    title = f"{trained.name} on {samples.dataset}, {asked.split} split, {scores.samples} {samples.unit_name}"
    caption = _caption(asked, runs, runs_of(model, 2) > 1, scores, samples.unit_name, costs.energy_precision)
    rows, records = [_cells(row) for row in scores.all_rows], [_with_classes(row) for row in results]
    show_table(console, ResultTable(title, COLUMNS, rows, caption, records), asked.out)
    if costs.asked and scores.rows:
        cells = [*map(shown.cells, scores.rows)]
        priced = ResultTable(f"{title}, costs", shown.columns(scores.rows), cells, shown.CAPTION, records)
        show_table(console, priced, asked.out, "costs")
    if asked.by_class:
        show_classes(console, title, results, samples, asked.split, asked.out)


def _how(asked: EvalOptions, costs: EnergyOptions, runs: int, trained: Trained, advance: Callable[[int], None]) -> How:
    from spikecli.evaluation.how import How
    from spikecli.evaluation.prices import PRICES
    from spikecli.machine.precision import settled

    traffic, updates = costs.memory_traffic, costs.membrane_updates or costs.memory_traffic
    prices = PRICES[costs.energy_precision or "fp32"]
    precision = settled(asked.precision, trained.device)
    return How(runs, asked.seed, trained.device, precision, advance, prices, updates, traffic, asked.votes)


def _draw(console: Console, scores: StepScores, turned: DialOptions) -> None:
    """Write the figures that were asked for."""
    from spikecli.evaluation.step_scores import reliabilities
    from spikecli.view.runs.reliability import save_reliability
    from spikecli.view.runs.steps import save_steps

    if turned.figure is not None:
        save_steps(turned.figure, scores, turned.theme)
    if turned.reliability is not None:
        save_reliability(turned.reliability, reliabilities(scores), turned.theme)
    for written in (turned.figure, turned.reliability):
        if written is not None:
            console.note(f"wrote {written}")


def _with_classes(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the CSV: the accuracy of each class, and each cost, in a column of its own."""
    energy = {f"energy {name}": value for name, value in row.get("energy", {}).items()}
    costs = {name: value for name, value in row.get("neurobench", {}).items() if not isinstance(value, dict)}
    flat = {**energy, **row.get("neurobench", {}).get("synaptic_operations", {}), **costs}
    flat |= {name: value for name, value in row.get("information", {}).items() if not isinstance(value, dict)}
    own = {
        name: value for name, value in row.items() if name not in ("energy", "neurobench", "information", "confusions")
    }
    return {**own, **flat, **{f"accuracy of {name}": share for name, share in row.get("by_class", {}).items()}}


def _caption(asked: EvalOptions, runs: int, draws: bool, scores: StepScores, unit_name: str, prices: str | None) -> str:
    from spikecli.evaluation.prices import PRICES

    if not draws:
        spread = "no membrane starts at random: the same for every seed"
    elif runs > 1:
        spread = f"mean ± std of {runs} perturbation seeds from {asked.seed}"
    else:
        spread = f"perturbation seed {asked.seed}"
    spread = f"each answer is the mean of {asked.votes} passes, an ensemble; {spread}" if asked.voting else spread
    of = PRICES[prices or "fp32"]
    counted = (
        f"operations and energy of one of the {unit_name}: {of.mac_pj:g} pJ a multiply-add of real values, "
        f"{of.ac_pj:g} pJ an addition{f' ({of.name})' if prices else ''}"
    )
    if scores.auto is None or scores.saved is None:
        return f"{spread}; {counted}"
    auto, saved = scores.auto, scores.saved
    return (
        f"{spread}; {counted}; auto: each stops at the first step at which a class has a probability of "
        f"{auto.confidence:g}, at {auto.mean_timesteps:.2f} of at most {auto.most} on average; of T = {auto.most} that "
        f"takes {1 - saved.timesteps:.0%} of the steps, {1 - saved.energy_uj:.0%} of the energy, "
        f"{1 - saved.seconds:.0%} of the time here"
    )


def _warn(console: Console, trained: Trained, data_dir: Path, data: str | None) -> None:
    """Warn of splits that have changed since training."""
    from spikecli.datasets import provenance

    for line in provenance.changes(trained, data_dir, data):
        console.warn(f"{line}; these scores are not of the data it was trained for")


def _spread(deviation: float | None) -> str:
    return "" if deviation is None else f" ± {100 * deviation:.2f}"


def _cells(row: StepRow | AutoRow) -> tuple[str, ...]:
    return (
        str(row.timesteps),
        f"{row.instance_accuracy:.2%}" + _spread(row.instance_accuracy_std),
        f"{row.class_accuracy:.2%}",
        "–" if row.ece is None else f"{row.ece:.1%}",
        f"{row.firing_rate:.2%}",
        f"{row.synaptic_operations / 1e6:.1f} M",
        f"{row.energy_uj:.0f} µJ",
        f"{row.seconds:.1f} s",
    )
