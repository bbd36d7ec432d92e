"""`spikecli predict`: predictions of a trained network for a user's files."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.evaluation import Confidence, Most, parse_dial
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import ReadingOptions, SkipBad
from spikecli.cli.shown.adapter import AnswerOptions, through_adapter
from spikecli.cli.shown.guesses import NONE, end_with_bad, show_guesses
from spikecli.cli.shown.newest import weights_and_sources
from spikecli.cli.shown.notes import NOTES_OF_A_KIND, FileNotes
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.evaluation.own_files import FileAnswer, PredictOptions
    from spikecli.files.rows import RowFile
    from spikecli.weights.trained import Trained

Given = Annotated[
    list[Path],
    typer.Argument(
        metavar="[CHECKPOINT] FILE|FOLDER|-...",
        readable=False,
        help="A run folder or weights file, by default the newest run for such files, else the reference weights; then "
        "meshes or clouds, recordings, or pictures: files, folders, patterns, DATASET:SPLIT:INDEX, or - for a list on "
        "stdin.",
        autocompletion=complete.runs,
    ),
]
Timesteps = Annotated[str, typer.Option("--timesteps", "-T", help="Time steps; auto: until each file's class is sure.")]
Top = Annotated[int, typer.Option(min=1, help="How many classes to name.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Also write one row a file to a .csv or .jsonl, as it goes; run again, it goes on. A .md or .tex has the "
        "table as shown.",
        readable=False,
    ),
]


Reference = Annotated[
    Literal["modelnet10", "modelnet40"] | None,
    typer.Option(
        "--reference",
        help="Use these weights, which come with the program, and no run of yours.",
        show_default="modelnet10, if no run is for such files",
    ),
]
Newest = Annotated[bool, typer.Option("--newest", help="Use the newest run in checkpoints/, whatever it is for.")]
Reject = Annotated[
    str | None,
    typer.Option(
        help='Answer "none of these" if no class has this calibrated probability; auto: that of the checkpoint.'
    ),
]
_MANY = 20  # files from which a progress bar is worth its line


@with_groups
def predict(
    given: Given,
    reading: ReadingOptions,
    output: options.Output,
    timesteps: Timesteps = "4",
    top: Top = 5,
    confidence: Confidence = 0.9,
    most: Most = 8,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = None,
    skip_bad: SkipBad = False,
    reference: Reference = None,
    newest: Newest = False,
    reject: Reject = None,
) -> None:
    """Name the most probable classes of your files, of the kind that the network or saved adapter was trained on.

    Without a checkpoint the newest run answers that was trained on such files, else the reference weights.

    Example: spikecli predict chair.off, or spikecli predict checkpoints/my-run chair.off --timesteps 4
    """
    from spikecli.evaluation.own_files import PredictOptions
    from spikecli.evaluation.stopping import StopRule
    from spikecli.weights.trained import Trained

    steps = _one_dial(timesteps)
    console = Console(output.as_json, output.quiet)
    how = reading.options(heard := FileNotes(console, NOTES_OF_A_KIND))
    shown = AnswerOptions(top, out, heard, reject)
    file, sources = weights_and_sources(console, given, reference, newest, data_dir)
    asked = PredictOptions(steps or StopRule(confidence, most), seed, data_dir, how, out is not None, skip_bad)
    if file.is_adapter:
        through_adapter(console, file, sources, asked, shown, device)
    else:
        trained = Trained.of_file(file, device)
        asked = _rejecting(console, trained, asked, reject)
        _name_files(console, trained, sources, asked, shown)


def _one_dial(timesteps: str) -> int | None:
    """Return the number of time steps, None for auto; raise SpikeError for several."""
    steps, auto = parse_dial(timesteps)
    if len(steps) + auto != 1:
        raise SpikeError(f"found --timesteps {timesteps!r}; wanted one number, or auto")
    return None if auto else steps[0]


def _rejecting(console: Console, trained: Trained, asked: PredictOptions, reject: str | None) -> PredictOptions:
    """Return the options with what rejects answers, if asked for; warn of what is not calibrated."""
    from spikecli.evaluation.rejecting import parse_reject, rejecting

    if reject is None:
        return asked
    found = rejecting(trained, parse_reject(reject), asked.longest)
    if found.note:
        console.warn(found.note)
    return replace(asked, reject=found)


def _name_files(
    console: Console, trained: Trained, given: list[str], asked: PredictOptions, shown: AnswerOptions
) -> None:
    """Show the prediction for each source; exit with code 1 if a bad one was left out."""
    from spikecli.evaluation.own_files import answer_files
    from spikecli.files.sources import expand, missing

    sources = expand(given, _suffixes(trained))
    if not asked.skip_bad and (lost := missing(sources)):
        raise SpikeError(f"found no file {lost[0]}; check the path, or set --skip-bad")
    table = _table_of(trained, shown.out, asked)
    todo = [source for source in sources if table is None or source not in table.done]
    if len(todo) < len(sources):
        console.note(f"{shown.out} holds {len(sources) - len(todo)} of {len(sources)} files already; the others follow")
    good: list[FileAnswer] = []
    bad: list[tuple[str, str]] = []
    with ExitStack() as stack:
        long = len(todo) >= _MANY
        advance = stack.enter_context(console.progress("Predicting", len(todo), "files")) if long else None
        for answer in answer_files(trained, todo, asked):
            if answer.problem is not None:
                bad.append((answer.source, answer.problem))
            else:
                good.append(answer)
                if table is not None:
                    table.add(_row(trained, answer))
            if advance is not None:
                advance(1)
    shown.heard.say_rest()
    _show(console, trained, good, bad, asked, shown if table is None else replace(shown, out=None))
    if table is not None:
        console.note(f"wrote {shown.out}")
    end_with_bad(console, bad, len(todo))


def _table_of(trained: Trained, out: Path | None, asked: PredictOptions) -> RowFile | None:
    from spikecli.files.gate import file_hash
    from spikecli.files.rows import RowFile
    from spikecli.files.tables import is_text

    if out is None or is_text(out):
        return None
    fixed: dict[str, object] = {"timesteps": asked.when} if isinstance(asked.when, int) else {}
    fixed["weights"] = file_hash(trained.path)[:12]  # no row of another network is taken for one of this
    return RowFile(out, ("file", "class", *trained.classnames, "timesteps", "energy_uj", "weights"), fixed)


def _row(trained: Trained, answer: FileAnswer) -> dict[str, object]:
    shares = dict(zip(trained.classnames, answer.probabilities, strict=True))
    first = {"file": answer.source, "class": NONE if answer.rejected else max(shares, key=lambda name: shares[name])}
    return {**shares, **first, "timesteps": answer.timesteps, "energy_uj": answer.energy_uj}


def _show(
    console: Console,
    trained: Trained,
    good: list[FileAnswer],
    bad: list[tuple[str, str]],
    asked: PredictOptions,
    shown: AnswerOptions,
) -> None:
    title, taken = f"{trained.name}, T = {asked.when}", None
    if not isinstance(asked.when, int):
        taken, most = [answer.timesteps for answer in good], asked.when.most
        mean = sum(taken) / max(1, len(taken))
        title = (
            f"{trained.name}, stops at probability {asked.when.confidence:g}: {mean:.2f} of at most {most} time steps "
            f"on average, {1 - mean / most:.0%} of the steps saved"
        )
    rows = [(Path(answer.source), answer.probabilities) for answer in good]
    rejected = None if asked.reject is None else [answer.rejected for answer in good]
    show_guesses(console, title, trained.classnames, rows, shown.top, taken, shown.heard.of, bad, rejected, shown.out)


def _suffixes(trained: Trained) -> tuple[str, ...]:
    """Return the suffixes of files that a network of this kind can read."""
    from spikecli.datasets.provenance import facts_at_training
    from spikecli.datasets.sets import kind_named

    return kind_named(facts_at_training(trained).kind).suffixes()
