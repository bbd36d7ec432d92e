"""`spikecli ablate`: papers side by side on one data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options import training as shared
from spikecli.cli.options.evaluation import parse_steps
from spikecli.cli.options.groups import with_groups, with_settings
from spikecli.cli.options.sweep import Sets, parse_sets
from spikecli.cli.shown.ablation import Finished, scores_of, show_ablation
from spikecli.console import Console
from spikecli.errors import SpikeError
from spikecli.settings.config import TrainConfig
from spikecli.settings.papers import paper_of

if TYPE_CHECKING:
    from spikecli.training.ablate import Outcome, Trial
    from spikecli.training.scoring import Scoring

Papers = Annotated[
    str | None, typer.Option(help="Papers, a row each; `ann` is the baseline.", autocompletion=complete.listed("paper"))
]
Runs = Annotated[int, typer.Option(min=1, help="Trainings a paper, with seeds from --seed on.")]
Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps to score at, a column each.")]
TrainSteps = Annotated[int, typer.Option(min=1, help="Time steps in training (1 for the ANN).")]
Split = Annotated[
    Literal["val", "test"], typer.Option(help="val: the part of the training split held out in training.")
]
Perturbations = Annotated[int, typer.Option(min=1, help="Scorings of perturbed networks, each with its own noise.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the runs, with the tables in it; or a .csv, .md or .tex for the table alone.",
        show_default="checkpoints/ablate-DATASET",
    ),
]
Wait = Annotated[bool, typer.Option(help="Wait for runs that another process works on, or end without them.")]
OF_SPIKES = ("timesteps", "rmp_weight", "batch_norm")  # settings that an ANN does without
Layers = Annotated[bool, typer.Option("--layers", help="Also a table of each paper's layers, of its first seed.")]


@dataclass(frozen=True)
class ScoringOptions:
    """Options of how trained networks are scored."""

    timesteps: Steps = "1,2,4"
    split: Split = "val"
    perturbations: Perturbations = 3
    layers: Layers = False


@with_settings
@with_groups
def ablate(
    parts: dict[str, Any],
    training: dict[str, Any],
    network: dict[str, Any],
    scored: ScoringOptions,
    output: options.Output,
    dataset: shared.Dataset,
    papers: Papers = None,
    sets: Sets = None,
    runs: Runs = 3,
    train_timesteps: TrainSteps = 1,
    model: shared.Model = None,
    recipe: shared.Recipe = None,
    val_fraction: shared.ValFraction = None,
    precision: shared.Precision = None,
    out: Out = None,
    wait: Wait = True,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Train papers × seeds, score each at every T, in one table and a CSV; the same command goes on where it stopped.

    With --set, every combination of settings too. Several processes or machines may share a folder: each takes the runs
    that no other works on.

    Example: spikecli ablate shapes --papers lif,ternary,mpbn,ann --epochs 5 --points 256
    """
    training |= {"val_fraction": val_fraction, "precision": precision, "timesteps": train_timesteps}
    network["name"] = model
    given = SharedSettings(dataset, recipe, training, parts, network, data_dir)
    folder, table = _places(out, dataset)
    trials = trials_of(
        given, parse_papers(papers, bool(sets), given), parse_sets(sets), range(seed, seed + runs), folder
    )
    scoring, console = scoring_of(trials, scored), Console(output.as_json, output.quiet)
    outcomes = run_all(trials, scoring, data_dir, device, folder, console, wait)
    show_ablation(Finished(trials, outcomes, folder, table), scoring, scored.layers, console)


@dataclass(frozen=True)
class SharedSettings:
    """The settings that all runs share; None in a dictionary if not given."""

    dataset: str
    recipe: str | None
    training: dict[str, Any]
    parts: dict[str, Any]
    network: dict[str, Any]
    data_dir: Path


def _places(out: Path | None, dataset: str) -> tuple[Path, Path | None]:
    """Return the folder of the runs, and the file of the table if --out names one."""
    from spikecli.files.tables import is_table
    from spikecli.weights.run_folder import RUNS

    default = RUNS / f"ablate-{dataset}"
    if out is not None and is_table(out) and not out.is_dir():
        return default, out
    return out or default, None


def parse_papers(text: str | None, swept: bool, given: SharedSettings) -> list[str]:
    """Return the papers in "lif,mpbn", in the order given; of a sweep without papers, the data set's own.

    Raise SpikeError if one is unknown, a usage error if there is neither.
    """
    if text is None:
        from spikecli.training.settings import defaults

        if not swept:
            raise typer.BadParameter("or --set is needed: nothing is compared yet", param_hint="--papers")
        return [defaults(given.dataset, given.network["name"], given.data_dir).paper]
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        paper_of(name)
    return names


def trials_of(
    given: SharedSettings, papers: list[str], combinations: list[dict[str, Any]], seeds: Iterable[int], folder: Path
) -> list[Trial]:
    """Return the runs of papers × combinations × seeds, each once; raise SpikeError if settings clash."""
    from spikecli.training.ablate import trial

    trials: dict[Path, Trial] = {}
    for paper in papers:
        for changes in combinations:
            fitting = {name: value for name, value in changes.items() if fits_paper(name, paper)}
            label = " ".join(f"{name}={_word(value)}" for name, value in fitting.items())
            for seed in seeds:
                one = trial(trial_settings(given, paper, fitting, seed), folder, label)
                trials.setdefault(one.folder, one)
    return list(trials.values())


def fits_paper(name: str, paper: str) -> bool:
    """Return whether a setting means something to a paper: an ANN has no neurons and no time steps."""
    field = name.replace("-", "_")
    return paper_of(paper).neuron is not None or not (field in shared.NEURON_PARTS or field in OF_SPIKES)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def trial_settings(given: SharedSettings, paper: str, changes: dict[str, Any], seed: int) -> TrainConfig:
    """Return a run's settings, the ANN's without those of spiking networks; raise SpikeError if they clash."""
    from spikecli.training.settings import check_settings, settings_of

    training, parts, network = {**given.training, "seed": seed}, dict(given.parts), dict(given.network)
    for name, value in changes.items():
        field = name.replace("-", "_")
        if name == "model":
            network["name"] = value
        else:
            (parts if field in parts else network if field in network else training)[field] = value
    if paper_of(paper).neuron is None:
        training |= {"timesteps": 1, "rmp_weight": None}
        network["batch_norm"] = None
        parts = {}
    chosen = settings_of(given.dataset, paper, given.recipe, training, parts, network, data_dir=given.data_dir)
    check_settings(chosen, given.data_dir)
    return chosen


def scoring_of(trials: list[Trial], scored: ScoringOptions) -> Scoring:
    """Return the settings of scoring; raise SpikeError now for errors that would appear after the first training."""
    from spikecli.training.scoring import Scoring

    steps, wanted = parse_steps(scored.timesteps), [one.config for one in trials]
    if scored.split == "val" and not all(each.val_fraction for each in wanted):
        raise SpikeError("--val-fraction 0 holds nothing out to score on; raise it, or take --split test")
    if 1 not in steps and any(each.model.neuron is None for each in wanted):
        raise SpikeError("the ANN has no time steps and is scored at T = 1; add 1 to --timesteps, or remove ann")
    return Scoring(tuple(steps), scored.split, scored.perturbations)


def run_all(
    trials: list[Trial], scoring: Scoring, data_dir: Path, device: str, folder: Path, console: Console, wait: bool
) -> list[Outcome]:
    """Return the outcomes of the runs, in their order; the CSV in `folder` grows with each.

    Without `wait` the runs that other processes work on are missing.
    """
    from spikecli.files.atomic import write_text
    from spikecli.training.ablate import ablate as flow
    from spikecli.training.scoring import as_csv

    places = {one.folder: number for number, one in enumerate(trials)}
    outcomes: list[Outcome] = []
    at = 0.0
    with console.progress("ablating", total=sum(one.config.epochs for one in trials), unit="epochs") as advance:

        def on_progress(epochs: float, text: str) -> None:
            nonlocal at
            advance(epochs - at, text)
            at = epochs

        for outcome in flow(trials, scoring, data_dir, device, on_progress, wait):
            outcomes.append(outcome)
            outcomes.sort(key=lambda one: places[one.trial.folder])
            write_text(folder / "table.csv", as_csv(scores_of(outcomes)))
            answers = ", ".join(f"T = {row.timesteps} {row.instance_accuracy:.1%}" for row in outcome.scores)
            console.note(f"{outcome.trial.name}: {answers}")
    return outcomes
