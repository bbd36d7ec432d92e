"""`spikecli zeroshot`: classify event recordings by the class names alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecli.cli.options import clip as clip_options
from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.cli.options.evaluation import RecordingDamage
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import ReadingOptions, SkipBad
from spikecli.cli.shown.guesses import end_with_bad, show_guesses
from spikecli.cli.shown.notes import NOTES_OF_A_KIND, FileNotes
from spikecli.cli.shown.phases import phases
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.datasets.reading_options import ReadOptions
    from spikecli.evaluation.robustness import Battery, DamageCell
    from spikecli.neuroclip.features import FeatureStore, Viewing
    from spikecli.neuroclip.zeroshot import Question, Scores
    from spikecli.progress import Progress

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="A prepared data set, or recordings: files, folders, patterns, or - for a list on stdin.",
        show_default="digits",
        metavar="[DATASET|FILE|FOLDER|-...]",
        autocompletion=complete.datasets,
    ),
]
Split = Annotated[str, typer.Option(help="train or test.")]
Top = Annotated[int, typer.Option(min=1, help="How many classes to name for a file.")]
PerStep = Annotated[bool, typer.Option("--per-step", help="Also show the accuracy after each step.")]


@with_groups
def zeroshot(
    look: clip_options.ClipOptions,
    words: clip_options.Prompts,
    output: options.Output,
    damage: RecordingDamage,
    reading: ReadingOptions,
    sources: Sources = None,
    split: Split = "test",
    limit: clip_options.Limit = None,
    per_step: PerStep = False,
    top: Top = 5,
    skip_bad: SkipBad = False,
    out: options.TableOut = None,
) -> None:
    """Classify event recordings with CLIP, without any training on events; by default `mini` on `digits`.

    Example: spikecli zeroshot 7.bin --classes zero,seven
    """
    from spikecli.neuroclip import zeroshot as flow
    from spikecli.neuroclip.backbone import open_backbone
    from spikecli.neuroclip.features import FeatureStore

    how = reading.options(heard := FileNotes(console := Console(output.as_json, output.quiet), NOTES_OF_A_KIND))
    dataset, names = _named(sources or ["digits"], look.data_dir)
    battery = _battery(dataset, damage)
    question, viewing = _asked(words, dataset, names, look, skip_bad), _viewing(look, dataset)
    if dataset is None:
        _name_files(console, look, names, question, viewing, how, FileOptions(top, skip_bad, heard, out))
        return
    with phases(console) as progress:
        recordings = flow.open_split(look.data_dir, dataset, split, progress)
        model = open_backbone(look.clip, look.weights, look.data_dir, look.device, look.quick_gelu, progress)
        console.note(model.description)
        store = FeatureStore(look.data_dir, recordings, model, viewing)
        scores = flow.classify_split(store, question, limit, progress)
        cells = _damaged(store, question, battery, damage.seed, limit, progress) if battery else []
    if cells:
        _show_damage(console, cells, flow.summary(model, viewing, question, scores, False), damage.seed, out)
    else:
        _show(console, scores, flow.summary(model, viewing, question, scores, per_step), per_step, out)


@dataclass(frozen=True)
class FileOptions:
    """Options of files: the number of classes to show, whether to skip bad files, and notes on reading."""

    top: int
    skip_bad: bool
    heard: FileNotes
    out: Path | None = None


def _name_files(
    console: Console,
    look: clip_options.ClipOptions,
    files: list[str],
    question: Question,
    viewing: Viewing,
    how: ReadOptions,
    shown: FileOptions,
) -> None:
    """Show what CLIP says of files, all of which are looked at first: making the model may take minutes."""
    from spikecli.neuroclip.backbone import open_backbone
    from spikecli.neuroclip.features import readable
    from spikecli.neuroclip.learned import demand_learned
    from spikecli.neuroclip.zeroshot import classify_files

    good, bad = readable(list(map(Path, files)), look.timesteps, how, shown.skip_bad)
    demand_learned(look.clip, look.weights, question.classnames)
    with phases(console) as progress:
        model = open_backbone(look.clip, look.weights, look.data_dir, look.device, look.quick_gelu, progress)
        console.note(model.description)
    guesses = classify_files(model, viewing, question, good, how)
    shown.heard.say_rest()
    show_guesses(
        console, "Recordings", question.classnames, guesses, shown.top, notes=shown.heard.of, bad=bad, out=shown.out
    )
    end_with_bad(console, bad, len(files))


def _named(names: list[str], data_dir: Path) -> tuple[str | None, list[str]]:
    """Return the name of the data set, or None, and the files that names, folders, patterns, or - for stdin mean."""
    from spikecli.datasets.events.formats import DECODERS
    from spikecli.datasets.sets import known_names
    from spikecli.files.sources import expand

    if len(names) == 1 and names[0] in known_names(data_dir):
        return names[0], names
    return None, expand(names, tuple(DECODERS))


def _asked(
    words: clip_options.Prompts, dataset: str | None, names: list[str], look: clip_options.ClipOptions, skip_bad: bool
) -> Question:
    """Return the question to CLIP; raise SpikeError if it is known that it never learned the data set's classes."""
    from spikecli.neuroclip.learned import demand_learned
    from spikecli.neuroclip.zeroshot import ask_about, ask_of_files, read_words

    spoken = read_words(words.classes, words.templates)
    if dataset is None:
        return ask_of_files(names, *spoken, lost=skip_bad)
    question = ask_about(dataset, *spoken, look.data_dir)
    demand_learned(look.clip, look.weights, question.classnames)
    return question


def _viewing(look: clip_options.ClipOptions, dataset: str | None) -> Viewing:
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.zeroshot import facts_of_recordings

    threshold = facts_of_recordings(dataset, look.data_dir).threshold if dataset else 0
    return Viewing(look.timesteps, look.slicing, look.image_preset, look.normalization, threshold)


def _battery(dataset: str | None, damage: RecordingDamage) -> Battery | None:
    """Return the damage to the recordings of a data set, None for none."""
    if damage.corrupt is None:
        return None
    from spikecli.datasets.corrupt import chosen_kinds, chosen_severities
    from spikecli.datasets.sets import kind_named
    from spikecli.evaluation.robustness import Battery

    if dataset is None:
        raise SpikeError("--corrupt needs a data set, whose labels it scores against; found files; name a data set")
    kinds = chosen_kinds(damage.corrupt, kind_named("events").corruptions())
    return Battery(kinds, chosen_severities(damage.severities))


def _damaged(
    store: FeatureStore, question: Question, battery: Battery, seed: int, limit: int | None, progress: Progress
) -> list[DamageCell]:
    from spikecli.neuroclip.event_robustness import zero_shot_robustness

    return zero_shot_robustness(store, question, battery, seed, limit, progress)


def _show_damage(
    console: Console, cells: list[DamageCell], summary: dict[str, Any], seed: int, out: Path | None
) -> None:
    from spikecli.cli.shown.damage import show_reports
    from spikecli.evaluation.robustness import DamageReport, means

    names = ("clip", "weights", "dataset", "split", "samples", "timesteps", "image_preset", "slicing", "normalization")
    facts = {**{name: summary[name] for name in names}, "runs": 1, "seed": seed}
    show_reports(console, [DamageReport(str(summary["clip"]), cells, means(cells))], facts, "recordings", out)


def _show(console: Console, scores: Scores, summary: dict[str, Any], per_step: bool, out: Path | None) -> None:
    from spikecli.files.tables import ResultTable

    console.document(summary)
    table = ResultTable(
        f"Zero-shot on {scores.dataset}, {scores.split} split, {scores.samples} recordings",
        ("CLIP", "T", "instance accuracy", "top 5", "class accuracy", "time"),
        [
            (
                f"{summary['clip']} ({summary['weights']})",
                summary["timesteps"],
                f"{scores.instance_accuracy:.1%}",
                f"{scores.top5_accuracy:.1%}",
                f"{scores.class_accuracy:.1%}",
                f"{scores.seconds:.1f} s",
            )
        ],
        f"prompts: {' | '.join(summary['templates'])}",
        [{name: value for name, value in summary.items() if not isinstance(value, list | tuple | dict)}],
    )
    show_table(console, table, out)
    if per_step:
        rows = [(step, f"{right:.1%}") for step, right in enumerate(scores.steps, start=1)]
        exact = [{"steps": step, "instance_accuracy": right} for step, right in enumerate(scores.steps, start=1)]
        columns = ("steps", "instance accuracy")
        show_table(console, ResultTable("Accuracy after each step", columns, rows, records=exact), out, "steps")
