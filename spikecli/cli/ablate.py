"""`spikecli ablate`: papers side by side on one data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options import training as shared
from spikecli.cli.options.evaluation import parse_steps
from spikecli.cli.options.groups import with_settings
from spikecli.console import Console
from spikecli.errors import SpikeError
from spikecli.settings.config import TrainConfig
from spikecli.settings.papers import paper_of

if TYPE_CHECKING:
    from spikecli.training.ablate import Outcome
    from spikecli.training.scoring import Layer, PaperScores, Score, Scoring

Papers = Annotated[
    str, typer.Option(help="Papers, a row each; `ann` is the baseline.", autocompletion=complete.listed("paper"))
]
Runs = Annotated[int, typer.Option(min=1, help="Trainings a paper, with seeds from --seed on.")]
Steps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps to score at, a column each.")]
TrainSteps = Annotated[int, typer.Option(min=1, help="Time steps in training (1 for the ANN).")]
Split = Annotated[
    Literal["val", "test"], typer.Option(help="val: the part of the training split held out in training.")
]
Perturbations = Annotated[int, typer.Option(min=1, help="Scorings of perturbed networks, each with its own noise.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the runs.", show_default="checkpoints/ablate-DATASET")]
Layers = Annotated[bool, typer.Option("--layers", help="Also a table of each paper's layers, of its first seed.")]


@with_settings
def ablate(
    parts: dict[str, Any],
    training: dict[str, Any],
    network: dict[str, Any],
    dataset: shared.Dataset,
    papers: Papers,
    runs: Runs = 3,
    timesteps: Steps = "1,2,4",
    train_timesteps: TrainSteps = 1,
    split: Split = "val",
    perturbations: Perturbations = 3,
    layers: Layers = False,
    model: shared.Model = None,
    recipe: shared.Recipe = None,
    val_fraction: shared.ValFraction = None,
    precision: shared.Precision = None,
    out: Out = None,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Train papers × seeds, score each at every T, in one table and a CSV; the same command goes on where it stopped.

    Example: spikecli ablate shapes --papers lif,ternary,mpbn,ann --epochs 5 --points 256
    """
    training |= {"val_fraction": val_fraction, "precision": precision, "timesteps": train_timesteps}
    network["name"] = model
    wanted = [
        trial_settings(dataset, paper, recipe, {**training, "seed": each}, parts, network, data_dir)
        for paper in parse_papers(papers)
        for each in range(seed, seed + runs)
    ]
    scoring = scoring_of(wanted, parse_steps(timesteps), split, perturbations)
    folder, console = out or Path("checkpoints") / f"ablate-{dataset}", Console(as_json, quiet)
    show_table(run_all(wanted, scoring, data_dir, device, folder, console), scoring, folder, layers, console)


def parse_papers(text: str) -> list[str]:
    """Return the papers in "lif,mpbn", in the order given; raise SpikeError if one is unknown."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        paper_of(name)
    return names


def trial_settings(
    dataset: str,
    paper: str,
    recipe: str | None,
    training: dict[str, Any],
    parts: dict[str, Any],
    network: dict[str, Any],
    data_dir: Path,
) -> TrainConfig:
    """Return a run's settings, the ANN's without those of spiking networks; raise SpikeError if they clash."""
    from spikecli.training.settings import check_settings, settings_of

    if paper_of(paper).neuron is None:
        training = {**training, "timesteps": 1, "rmp_weight": None}
        network = {**network, "batch_norm": None}
        parts = {}
    chosen = settings_of(dataset, paper, recipe, training, parts, network, data_dir=data_dir)
    check_settings(chosen, data_dir)
    return chosen


def scoring_of(wanted: list[TrainConfig], steps: list[int], split: str, perturbations: int) -> Scoring:
    """Return the settings of scoring; raise SpikeError now for errors that would appear after the first training."""
    from spikecli.training.scoring import Scoring

    if split == "val" and not wanted[0].val_fraction:
        raise SpikeError("--val-fraction 0 holds nothing out to score on; raise it, or take --split test")
    if 1 not in steps and any(each.model.neuron is None for each in wanted):
        raise SpikeError("the ANN has no time steps and is scored at T = 1; add 1 to --timesteps, or remove ann")
    return Scoring(tuple(steps), split, perturbations)


def run_all(
    wanted: list[TrainConfig], scoring: Scoring, data_dir: Path, device: str, folder: Path, console: Console
) -> list[Outcome]:
    """Return every run's outcome; the CSV in `folder` grows with each."""
    from spikecli.files.atomic import write_text
    from spikecli.training.ablate import ablate as flow
    from spikecli.training.ablate import trial
    from spikecli.training.scoring import as_csv

    trials = [trial(each, folder) for each in wanted]
    outcomes: list[Outcome] = []
    at = 0.0
    with console.progress("ablating", total=sum(each.config.epochs for each in trials), unit="epochs") as advance:

        def on_progress(epochs: float, text: str) -> None:
            nonlocal at
            advance(epochs - at, text)
            at = epochs

        for outcome in flow(trials, scoring, data_dir, device, on_progress):
            outcomes.append(outcome)
            write_text(folder / "table.csv", as_csv(scores_of(outcomes)))
            answers = ", ".join(f"T = {row.timesteps} {row.instance_accuracy:.1%}" for row in outcome.scores)
            console.note(f"{outcome.trial.name}: {answers}")
    return outcomes


def scores_of(outcomes: list[Outcome]) -> list[Score]:
    """Return the scores of all outcomes, in order."""
    return [row for outcome in outcomes for row in outcome.scores]


def show_table(outcomes: list[Outcome], scoring: Scoring, folder: Path, layers: bool, console: Console) -> None:
    """Print the table, with --layers also the layers, and the JSON document."""
    from spikecli.cli.shown.tests import show_paper_tests
    from spikecli.training.paired_papers import paper_tests
    from spikecli.training.scoring import summarized

    first = outcomes[0].trial.config
    scores = scores_of(outcomes)
    table = summarized(scores)
    seeds = len({row.seed for row in scores})
    document: dict[str, Any] = {
        "dataset": first.dataset, "split": scoring.split, "samples": scores[0].samples, "runs": seeds,
        "seed": min(row.seed for row in scores), "train_timesteps": first.timesteps, "out": str(folder),
        "csv": str(folder / "table.csv"),
        "table": [{"paper": paper, "results": [asdict(cell) for cell in cells]} for paper, cells in table.items()],
        "rows": [asdict(row) for row in scores],
    }  # fmt: skip
    chosen = {outcome.trial.config.paper: outcome for outcome in reversed(outcomes)} if layers else {}
    chosen = {paper: chosen[paper] for paper in table if paper in chosen}
    if layers:
        document["layers"] = {paper: [asdict(row) for row in one.layers] for paper, one in chosen.items()}
    console.table(
        f"{first.dataset}, {scoring.split} split, {scores[0].samples} samples, trained {first.epochs} epochs",
        ("paper", *(f"T = {t}, %" for t in scoring.timesteps), "firing", "µJ", "|u − s|"),
        [row_of(paper, cells, scoring.timesteps) for paper, cells in table.items()],
        f"instance accuracy, {'one training seed' if seeds == 1 else f'mean ± std of {seeds} training seeds'}, last "
        f"epoch; at T = {scoring.timesteps[0]}: share of "
        "neurons that fire, energy of one sample (an addition 0.9 pJ, a multiply-add of real values 4.6 pJ), mean "
        "distance of membranes to their spikes; at every T in the CSV",
    )
    tests = paper_tests(outcomes, scoring.timesteps, scoring.split)
    console.document({**document, "paired": show_paper_tests(tests, console)})
    for paper, one in chosen.items():
        title = f"{paper}, seed {one.trial.config.seed}, one sample at T = {one.scores[-1].timesteps}"
        columns = ("layer", "firing", "additions", "multiply-adds", "energy", "quantization")
        console.table(title, columns, [layer_cells(row) for row in one.layers])
    console.say(f"a row for each paper, seed and T: {folder / 'table.csv'}")


def row_of(paper: str, cells: list[PaperScores], steps: tuple[int, ...]) -> tuple[str, ...]:
    """Return a paper's row of the table; a dash for a missing score."""
    at = {cell.timesteps: cell for cell in cells}

    def accuracy(cell: PaperScores | None) -> str:
        if cell is None:
            return "–"
        spread = "" if cell.instance_accuracy_std is None else f" ± {100 * cell.instance_accuracy_std:.1f}"
        return f"{100 * cell.instance_accuracy:.1f}{spread}"

    first = at.get(steps[0], cells[0])
    rate, error = first.firing_rate, first.quantization_error
    return (
        paper,
        *(accuracy(at.get(t)) for t in steps),
        "–" if rate is None else f"{rate:.1%}",
        f"{first.energy_uj:.1f}",
        "–" if error is None else f"{error:.3f}",
    )


def layer_cells(row: Layer) -> tuple[str, ...]:
    """Return a layer's row: counts in millions, energy in µJ; a dash for a value that it does not have."""

    def shown(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    products = row.synaptic_operations or row.multiplies
    return (
        row.layer,
        shown(row.firing_rate, ".1%"),
        f"{row.synaptic_operations / 1e6:.3f} M" if products else "–",
        f"{row.multiplies / 1e6:.3f} M" if products else "–",
        f"{row.energy_uj:.2f} µJ" if products else "–",
        shown(row.quantization_error, ".3f"),
    )
