"""`spikecli predict`: what a trained network says of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.evaluation import Confidence, Most, parse_dial
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import Reading
from spikecli.cli.shown.guesses import show_guesses
from spikecli.cli.shown.notes import FileNotes
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.datasets.reading_options import ReadOptions
    from spikecli.evaluation.stopping import StopRule
    from spikecli.weights.trained import Trained

Given = Annotated[
    list[Path],
    typer.Argument(
        metavar="[CHECKPOINT] FILE...",
        readable=False,
        help="A run folder or weights file, by default the reference weights (ModelNet10); then meshes or clouds (.off "
        ".ply .pcd .npy .txt), recordings, or pictures.",
    ),
]
Timesteps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps; auto: until each file's class is sure.")]
Top = Annotated[int, typer.Option(min=1, help="How many classes to name.")]


@with_groups
def predict(
    given: Given,
    reading: Reading,
    speech: options.Speech,
    timesteps: Timesteps = "4",
    top: Top = 5,
    confidence: Confidence = 0.9,
    most: Most = 8,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Name the most probable classes of one's own files, of the kind that the network or saved adapter was trained on.

    Example: spikecli predict chair.off, or spikecli predict checkpoints/my-run chair.off --timesteps 4
    """
    from spikecli.evaluation.stopping import StopRule
    from spikecli.neuroclip import fewshot
    from spikecli.weights import checkpoint as checkpoints
    from spikecli.weights.reference import NAME, is_checkpoint
    from spikecli.weights.trained import Trained

    steps, auto = parse_dial(timesteps)
    if len(steps) + auto != 1:
        raise SpikeError(f"found --timesteps {timesteps!r}; wanted one number, or auto")
    console = Console(speech.as_json, speech.quiet)
    how = reading.options(heard := FileNotes(console))
    named = is_checkpoint(given[0])
    path, files = checkpoints.resolve(given[0] if named else Path(NAME)), given[named:]
    if not files:
        raise SpikeError(f"found {path} and no file to name; wanted spikecli predict {given[0]} chair.off")
    if path.suffix == ".safetensors" and path.is_file() and fewshot.is_adapter(path):
        if auto:
            raise SpikeError(f"{path} is an adapter, which sees all the slices it was fitted on; leave out auto")
        adapted = fewshot.load_adapter(path, data_dir, device)
        guesses = adapted.classify(files, how)
        show_guesses(console, str(path), adapted.question.classnames, guesses, top, notes=heard.of)
    else:
        when = StopRule(confidence, most) if auto else steps[0]
        _name_files(console, Trained.open(path, device), files, when, top, seed, how, heard)


def _name_files(
    console: Console,
    trained: Trained,
    files: list[Path],
    when: int | StopRule,
    top: int,
    seed: int,
    how: ReadOptions,
    heard: FileNotes,
) -> None:
    from spikecli.datasets.samples import files_for
    from spikecli.evaluation.evaluate import probabilities
    from spikecli.evaluation.stopping import sure_probabilities
    from spikecli.weights.provenance import facts_of

    longest = when if isinstance(when, int) else when.most
    inputs = files_for(facts_of(trained), trained.config, files, longest, seed, how)
    title, taken = f"{trained.name}, T = {when}", None
    if isinstance(when, int):
        found = probabilities(trained, inputs, when, seed)[-1]
    else:
        found, taken = sure_probabilities(trained, inputs, when, seed)
        mean = sum(taken) / len(taken)
        title = (
            f"{trained.name}, sure at {when.confidence:g} after {mean:.2f} of at most {when.most} time steps on "
            f"average: {1 - mean / when.most:.0%} of the steps saved"
        )
    rows = zip(files, found.tolist(), strict=True)
    show_guesses(console, title, trained.classnames, rows, top, taken, heard.of)
