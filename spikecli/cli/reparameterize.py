"""`spikecli reparameterize`: fold norms and amplitudes of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.groups import with_groups
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.evaluation.proof import Comparison, Folded

Checkpoint = Annotated[Path, typer.Argument(help="A run folder or weights file.", autocompletion=complete.runs)]
Out = Annotated[
    Path,
    typer.Option(callback=options.check_weights, help="The weights file to write, such as RUN/folded.safetensors."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="A prepared data set.", show_default="the one it was trained on", autocompletion=complete.datasets
    ),
]
Split = Annotated[Literal["train", "test"], typer.Option(help="Which split the samples are of.")]
Samples = Annotated[int, typer.Option(min=1, help="Samples that the two networks are compared on.")]
Half = Annotated[bool, typer.Option("--half", help="Write float16: half the size; reports what rounding changes.")]


@with_groups
def reparameterize(
    checkpoint: Checkpoint,
    out: Out,
    data: Data = None,
    split: Split = "test",
    samples: Samples = 32,
    half: Half = False,
    table: options.TableFile = None,
    *,
    where: options.Where,
    output: options.Output,
) -> None:
    """Fold norms into weights and thresholds and amplitudes into the next layers: only 0 and ±1 are emitted.

    Written only if no spike and no logit differs in float64, at T = 1 and 4 on real samples. Both networks get the
    same noise: a start that is perturbed draws it from the same seed in the same order.

    Example: spikecli reparameterize checkpoints/my-run --out checkpoints/my-run/folded.safetensors
    """
    import torch

    from spikecli.evaluation.how import How
    from spikecli.evaluation.proof import TIMESTEPS, fold
    from spikecli.files.tables import ResultTable
    from spikecli.weights.trained import Trained

    console = Console(output.as_json, output.quiet)
    trained, kind = Trained.open(checkpoint, where.device), torch.float16 if half else torch.float32
    with console.progress("comparing", total=2 * len(TIMESTEPS) * samples, unit="samples") as advance:
        how = How(seed=where.seed, device=trained.device, on_samples=advance)
        done = fold(trained, out, where.data_dir, data, split, samples, how, kind)
    console.document({**_document(done), "timesteps": TIMESTEPS, "seed": where.seed})
    rows = [(each.name, each.part, f"{each.place} of {', '.join(each.into)}") for each in done.folds]
    show_table(console, ResultTable(f"{trained.path} → {out}", ("folded", "was", "is now in"), rows), table)
    steps = " and ".join(map(str, TIMESTEPS))
    console.say(f"{done.samples} samples of {done.dataset}, {split} split, at T = {steps}, seed {where.seed}")
    console.say(f"float64: {_said(done.float64)}")
    console.say(f"{done.stored}, as written: {_said(done.written)}")


def _document(done: Folded) -> dict[str, Any]:
    """Return the JSON: differences in float64 at the top, those of the written weights below."""
    return {
        "checkpoint": str(done.checkpoint),
        "out": str(done.out),
        "folded": [fold.name for fold in done.folds],
        "dataset": done.dataset,
        "split": done.split,
        "samples": done.samples,
        **_figures(done.float64),
        done.stored: _figures(done.written),
        "kept_in_float32": done.in_float32,
    }


def _figures(comparison: Comparison) -> dict[str, Any]:
    return {
        "max_logit_difference": comparison.max_logit_difference,
        "spikes_flipped": comparison.spikes_flipped,
        "spikes": comparison.spikes,
        "answers_changed": comparison.answers_changed,
        "max_current_difference": comparison.max_current_difference,
        "max_potential_difference": comparison.max_potential_difference,
        "max_threshold_difference": comparison.max_threshold_difference,
    }


def _said(comparison: Comparison) -> str:
    spikes = f"{comparison.spikes_flipped:,} of {comparison.spikes:,} spikes flipped"
    answers = f"{comparison.answers_changed} answers changed"
    return f"{spikes}, largest difference of a logit {comparison.max_logit_difference:.2g}, {answers}"
