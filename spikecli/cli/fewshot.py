"""`spikecli fewshot`: fit NeuroCLIP's adapter to a few recordings a class."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecli.cli.options import clip as clip_options
from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.fitting import Fitted, as_released
from spikecli.cli.options.groups import with_groups
from spikecli.cli.shown.phases import phases
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.settings.released import Fidelity

if TYPE_CHECKING:
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.zeroshot import Question

Recordings = Annotated[
    str, typer.Argument(help="A prepared data set of event recordings.", autocompletion=complete.datasets)
]
Shots = Annotated[int, typer.Option(min=1, help="Training recordings of each class.")]
Runs = Annotated[int, typer.Option(min=1, help="Draws of shots, an adapter fitted to each.")]
OfRelease = Annotated[
    Fidelity,
    typer.Option(help="released: as the authors' code; see `spikecli papers --paper neuroclip`."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        callback=options.check_weights_or_table,
        help="Keep the first run's adapter in this .safetensors file; a .csv, .md or .tex gets the table.",
    ),
]


@with_groups
def fewshot(
    dataset: Recordings,
    look: clip_options.ClipOptions,
    words: clip_options.Prompts,
    how: Fitted,
    output: options.Output,
    shots: Shots = 16,
    runs: Runs = 3,
    limit: clip_options.Limit = None,
    out: Out = None,
    seed: options.Seed = 0,
    fidelity: OfRelease = "default",
    *,
    context: typer.Context,
) -> None:
    """Fit an adapter on top of a frozen CLIP to a few shots a class, and score it on the test split.

    Example: spikecli fewshot digits --shots 16 --runs 3
    """
    from spikecli.files.tables import is_table
    from spikecli.neuroclip import fewshot as flow
    from spikecli.neuroclip.backbone import open_backbone
    from spikecli.neuroclip.fitting import Fitting

    begin = perf_counter()
    if fidelity == "released":
        how, look = as_released(context, how), as_released(context, look)
    console = Console(output.as_json, output.quiet)
    fitting = Fitting(**how.settings())
    question = _asked(console, dataset, look, words)
    viewing = _viewing(dataset, look)
    with phases(console) as progress:
        train, test = flow.open_splits(look.data_dir, dataset, shots, progress)
        model = open_backbone(look.clip, look.weights, look.data_dir, look.device, look.quick_gelu, progress)
        console.note(model.description)
        task = flow.Task(train, test, model, viewing, question, look.data_dir, limit)
        done = list(flow.draws(task, fitting, shots, runs, seed, how.views, how.select, progress))
    if out is not None and not is_table(out):
        flow.save_adapter(out, done[0], task, look.clip, look.weights)
    _show(console, flow.summary(task, done, shots, seed, perf_counter() - begin), out)


def _asked(console: Console, dataset: str, look: clip_options.ClipOptions, words: clip_options.Prompts) -> Question:
    """Return the question to CLIP; warn of class names that it is known never to have learned."""
    from spikecli.neuroclip.learned import never_learned, said_of
    from spikecli.neuroclip.zeroshot import ask_about, read_words

    question = ask_about(dataset, *read_words(words.classes, words.templates), look.data_dir)
    if names := never_learned(look.clip, look.weights, question.classnames):
        console.warn(f"{said_of(names)}; the adapter learns them from its shots alone")
    return question


def _viewing(dataset: str, look: clip_options.ClipOptions) -> Viewing:
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.zeroshot import facts_of_recordings

    threshold = facts_of_recordings(dataset, look.data_dir).threshold
    return Viewing(look.timesteps, look.slicing, look.image_preset, look.normalization, threshold)


def _show(console: Console, summary: dict[str, Any], out: Path | None) -> None:
    from spikecli.files.tables import ResultTable, is_table, with_spread

    console.document(summary)
    spread, seed = summary["instance_accuracy_std"], summary["seed"]
    one = {name: summary[name] for name in ("dataset", "samples", "clip", "shots", "zero_shot_accuracy")}
    draws = [{**one, "draw": draw, "instance_accuracy": each} for draw, each in enumerate(summary["accuracies"])]
    kept = "" if out is None or is_table(out) else f"; the first draw's adapter is in {out}"
    table = ResultTable(
        f"{summary['shots']} shots on {summary['dataset']}, test split, {summary['samples']} recordings",
        ("CLIP", "adapter", "parameters", "zero-shot", "accuracy", "time"),
        [
            (
                summary["clip"],
                summary["adapter"],
                f"{summary['adapter_parameters']:,}",
                f"{summary['zero_shot_accuracy']:.1%}",
                f"{summary['instance_accuracy']:.1%}" + ("" if spread is None else f" ± {spread:.1%}"),
                f"{summary['seconds']:.0f} s",
            )
        ],
        (f"one draw, seed {seed}" if spread is None else f"mean ± std of {summary['runs']} draws from seed {seed}")
        + kept,
        with_spread(draws, "draw", ("instance_accuracy",)),
    )
    show_table(console, table, out if out is not None and is_table(out) else None)
