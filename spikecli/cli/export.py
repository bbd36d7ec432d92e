"""`spikecli export`: a trained network as ONNX, NIR or torch.export, checked before it is written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.reading import size_of
from spikecli.cli.shown.tables import show_table, write_out
from spikecli.console import Console
from spikecli.errors import ChoiceError, SpikeError

if TYPE_CHECKING:
    from spikecli.export.subject import Subject
    from spikecli.export.wanted import Exported, Refusal

Checkpoint = Annotated[
    Path, typer.Argument(readable=False, help="A run folder, weights file, reference, or an adapter of fewshot.")
]
Out = Annotated[
    Path | None,
    typer.Option(readable=False, help="The file to write; its suffix is the format: .onnx, .nir, .pt2 or a plug-in's."),
]
Check = Annotated[
    str | None,
    typer.Option("--check", metavar="onnx|nir|pt2", help="List what this format cannot express; write nothing."),
]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", min=1, help="Time steps; an adapter has its own.")]
Raw = Annotated[bool, typer.Option("--raw", help="Leave the preprocessing out: the network's own input.")]
Step = Annotated[bool, typer.Option("--step", help="One time step, with membranes as inputs and outputs.")]
Noise = Annotated[bool, typer.Option("--noise", help="A random start becomes an input; otherwise it is 0.")]
Sample = Annotated[
    list[Path] | None,
    typer.Option("--sample", readable=False, help="A file to check on; several times for several.", show_default=False),
]
Samples = Annotated[int, typer.Option(min=1, help="Samples of the test split to check on.")]
Sensor = Annotated[
    str | None,
    typer.Option("--sensor", help="Sensor of the recordings, such as 128x128, if it is not that of the training data."),
]


@with_groups
def export(
    checkpoint: Checkpoint,
    speech: options.Output,
    out: Out = None,
    check: Check = None,
    timesteps: Timesteps = 4,
    raw: Raw = False,
    step: Step = False,
    noise: Noise = False,
    sample: Sample = None,
    samples: Samples = 8,
    sensor: Sensor = None,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    table: options.TableFile = None,
) -> None:
    """Write a network in a format that other programs run, after one of them has given the same answers.

    The check is on --sample files, or on the test split if it is prepared, or on made samples; it says which.

    Example: spikecli export checkpoints/my-run --out net.onnx, or spikecli export reference --check nir
    """
    from spikecli.export import formats, subject
    from spikecli.neuroclip.adapted import open_any

    _demand_one(out, check)
    console = Console(speech.as_json, speech.quiet)
    wanted = formats.Wanted(timesteps, raw, step, noise, samples, tuple(sample or ()), size_of(sensor), seed, data_dir)
    name = check if check is not None else (out or Path()).suffix.removeprefix(".")
    form = formats.named(name, "out" if check is None else "check")
    if out is not None:
        formats.demand_packages(name)  # before a network is opened
    what = subject.of(open_any(checkpoint, "cpu", data_dir))
    if out is None:
        formats.demand_fit(what, wanted)
        _say_refusals(console, name, what, form.refusals(what, wanted), table)
        return
    note = f"{getattr(form, 'work', 'writing')} {what.name} and checking it; this takes a while"
    _say_exported(console, what, formats.export(what, wanted, out, lambda: console.note(note)), table)


def _demand_one(out: Path | None, check: str | None) -> None:
    if out is None and check is None:
        raise ChoiceError("out", "or --check is needed: --out net.onnx writes the file, --check onnx asks if it could")
    if out is not None and check is not None:
        raise ChoiceError("check", "asks and writes nothing: give it without --out, or --out without it")


def _say_refusals(console: Console, name: str, what: Subject, refused: list[Refusal], table: Path | None) -> None:
    from spikecli.files.tables import ResultTable

    document = {"network": what.name, "format": name, "can": not refused}
    console.document({**document, "refused": [asdict(each) for each in refused]})
    if refused:
        rows = [(each.node, each.reason) for each in refused]
        show_table(console, ResultTable(f"{what.name} as {name}", ("part", "reason"), rows), table)
        raise SpikeError(f"{what.name} cannot be exported as {name}: {len(refused)} parts; the reasons are above")
    console.say(f"{what.name} can be exported as {name}: spikecli export … --out net.{name}")


def _say_exported(console: Console, what: Subject, done: Exported, table: Path | None) -> None:
    from spikecli.files.tables import ResultTable

    checked: dict[str, Any] = {name: value for name, value in asdict(done.checked).items() if value is not None}
    size = done.path.stat().st_size
    console.document(
        {
            "out": str(done.path),
            "network": what.name,
            "format": done.format,
            "version": done.version,
            "bytes": size,
            "inputs": done.inputs,
            "outputs": done.outputs,
            "check": checked,
            **done.notes,
        }
    )
    sides = (("input", done.inputs), ("output", done.outputs))
    rows = [(side, name, shape) for side, shapes in sides for name, shape in shapes.items()]
    about = {"network": what.name, "version": done.version, "bytes": size, **checked}
    records = [{"side": side, "name": name, "shape": str(shape), **about} for side, name, shape in rows] or [about]
    title = f"{what.name} → {done.path}, {done.version}, {size / 1e6:.2f} MB"
    result = ResultTable(title, ("", "name", "shape"), rows, records=records)
    if rows:
        show_table(console, result, table)
    else:  # a format from outside, which names none
        console.say(f"{title}; the format names no inputs and no outputs")
        if table is not None:
            write_out(console, result, table)
    found = done.checked
    flips = "" if found.spikes is None else f", {found.spikes_flipped:,} of {found.spikes:,} spikes differ"
    samples = f"{found.samples} sample{'s' * (found.samples != 1)}"
    console.say(
        f"{found.program} on {samples} ({found.source}): largest difference of a logit "
        f"{found.max_logit_difference:.2g}, {found.answers_changed} answers changed{flips}"
    )
