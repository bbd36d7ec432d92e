"""`spikecli data`: fetch, prepare, describe and check data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikecli.cli.options import complete
from spikecli.cli.options.common import DATA_DIR, AsJson, ConfigFile, DataDir, Quiet, Seed, TableOut
from spikecli.cli.options.groups import with_groups
from spikecli.cli.options.own import Own, Preparing
from spikecli.cli.options.reading import ReadingOptions
from spikecli.cli.shown.notes import FileNotes
from spikecli.cli.shown.phases import phases
from spikecli.cli.shown.tables import show_table, write_out
from spikecli.console import Console

data_app = typer.Typer(help="Fetch, prepare, describe and check data sets.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A data set, as `spikecli data list` names it.",
        autocompletion=complete.all_datasets,
    ),
]
_LISTED = 5  # skipped files that are named one by one


@data_app.command("list")
def list_sets(
    out: TableOut = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show every data set: what it is, whether it is prepared, its size, and how to get it.

    Example: spikecli data list
    """
    from spikecli.datasets import sets
    from spikecli.files.tables import ResultTable

    console = Console(as_json=as_json, quiet=quiet)
    lines = sets.list_sets(data_dir)
    rows = [(line["name"], line["kind"], _state(line), line["description"]) for line in lines]
    cure = f"Kept in {data_dir}. To get one: spikecli data prepare NAME, with --from FILE if you have it already."
    columns = ("name", "holds", "prepared", "what it is")
    show_table(console, ResultTable("Data sets", columns, rows, cure, [_counted(line) for line in lines]), out)
    console.document(lines)


@data_app.command("prepare")
@with_groups
def prepare(
    name: Name,
    how: Preparing,
    own: Own,
    files: ReadingOptions,
    source: Annotated[
        Path | None,
        typer.Option("--from", readable=False, help="Archive or folder to read; without it, built in or downloaded."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: ConfigFile = None,
    out: TableOut = None,
) -> None:
    """Prepare a data set for training: fetch or read its files, and write one HDF5 file a split.

    Any NAME with --from is a data set of your own: CLASS/FILE, SPLIT/CLASS/FILE, or a list path,class[,split] in CSV.

    Example: spikecli data prepare cups --from scans.zip --points 1024
    """
    from spikecli.datasets import sets
    from spikecli.datasets.own.prepare import prepare_any
    from spikecli.datasets.prepare_options import PrepareOptions
    from spikecli.datasets.reading_options import AS_FOUND

    console = Console(as_json=as_json, quiet=quiet)
    known = name in sets.built_in()
    reading = files.options(FileNotes(console) if known else AS_FOUND.on_note)
    options = PrepareOptions(source, seed=seed, reading=reading, **vars(how), **vars(own))
    with phases(console) as progress:
        report = prepare_any(data_dir, name, options, progress)
    _tell(console, report, own.dry_run, out)
    console.document(report)
    if report.get("bad"):
        console.warn(f"{report['bad']} file{'s' if report['bad'] > 1 else ''} cannot be used")
        raise typer.Exit(1)


@data_app.command("info")
def info(
    name: Name, out: TableOut = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show what is known about a data set, and what of it is prepared.

    Example: spikecli data info modelnet10
    """
    from spikecli.datasets import sets
    from spikecli.files.tables import ResultTable

    console = Console(as_json=as_json, quiet=quiet)
    about = sets.describe(data_dir, name)
    told = {key: value for key, value in about.items() if key != "counts"}
    rows = [(key.replace("_", " "), _text(_flat(value))) for key, value in told.items()]
    records = [{"fact": key, "value": text} for key, text in rows]
    show_table(console, ResultTable(name, ("", ""), rows, records=records), out)
    if about["counts"]:
        splits = list(about["samples"])
        columns, title = ("class", *splits), "Samples of each class"
        counted = [(one, *(counts.get(split, 0) for split in splits)) for one, counts in about["counts"].items()]
        exact = [dict(zip(columns, row, strict=True)) for row in counted]
        show_table(console, ResultTable(title, columns, counted, records=exact), out, "classes")
    console.document(about)


@data_app.command("verify")
def verify(name: Name, data_dir: DataDir = DATA_DIR, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Read all of a prepared data set and compare its checksums: one changed bit is found.

    Example: spikecli data verify modelnet10
    """
    from spikecli.datasets import sets

    console = Console(as_json=as_json, quiet=quiet)
    with phases(console) as progress:
        report = sets.verify(data_dir, name, progress)
    console.say(f"{name}: every checksum holds")
    console.document(report)


def _show_found(console: Console, report: dict[str, Any], out: Path | None, shown: bool) -> None:
    from spikecli.files.tables import ResultTable

    rows = [(name, *parts.values()) for name, parts in report["classes"].items()]
    units = {"points": "points or faces", "events": "events", "images": "pixels"}
    counts, unit = report["count"], units[report["kind"]]
    lines = [f"{counts['least']:,} to {counts['most']:,} {unit} a sample, median {counts['median']:,}"]
    if report["sizes"]:
        lines.append("sizes " + ", ".join(f"{width} × {height}" for width, height in report["sizes"][:5]))
    if report["seconds"]:
        lines.append(f"{report['seconds']['least']:.3g} to {report['seconds']['most']:.3g} s")
    lines.append(f"{report['bytes_read'] / 1e6:,.1f} MB")
    title, columns = f"{report['dataset']}: {report['kind']}", ("class", "train", "test")
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    table = ResultTable(title, columns, rows, "; ".join(lines), records)
    if shown:
        show_table(console, table, out)
    elif out is not None:
        write_out(console, table, out)


def _write_counts(console: Console, report: dict[str, Any], out: Path) -> None:
    """Write the samples of each split, which a built-in data set's line says."""
    from spikecli.files.tables import ResultTable

    write_out(console, ResultTable(report["dataset"], ("split", "samples"), list(report["samples"].items())), out)


def _tell(console: Console, report: dict[str, Any], dry: bool, out: Path | None) -> None:
    if "kind" in report:
        _show_found(console, report, out, dry or not console.quiet)
    elif out is not None:
        _write_counts(console, report, out)
    if dry:
        console.say(f"nothing is written; without --dry-run the data set goes to {report['folder']}")
    else:
        _tell_done(console, report)
    for line in report.get("notes", []):
        console.warn(line)
    skipped = report.get("skipped", [])
    for line in skipped[:_LISTED]:
        console.warn(f"left out: {line}")
    if len(skipped) > _LISTED:
        there = "with --json all are named" if dry else f"`spikecli data info {report['dataset']}` names them"
        console.warn(f"left out {len(skipped) - _LISTED} more; {there}")


def _tell_done(console: Console, report: dict[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {split}" for split, count in report["samples"].items())
    done = "stand already" if report["reused"] else "prepared"
    console.say(f"{report['dataset']}: {counts} {done} in {report['folder']}")
    if not report.get("official", True):
        whole = ", ".join(f"{count:,} {split}" for split, count in report["whole_set"].items())
        console.warn(f"this is not the whole of {report['dataset']}, which has {whole}")


def _counted(line: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the CSV: the samples of each split in a column of their own."""
    flat = {name: value for name, value in line.items() if not isinstance(value, dict | list)}
    return {**flat, **{f"{split} samples": count for split, count in (line.get("samples") or {}).items()}}


def _state(line: dict[str, Any]) -> str:
    if line["damaged"]:
        return "damaged"
    if not line["prepared"]:
        return "no"
    counts = " + ".join(f"{count:,}" for count in line["samples"].values())
    return f"{counts}, {line['bytes'] / 1e6:,.0f} MB"


@data_app.command("remove")
def remove(name: Name, data_dir: DataDir = DATA_DIR, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Remove what is prepared of a data set; of your own, its facts and splits too. Your files are not touched.

    Example: spikecli data remove cups
    """
    from spikecli.datasets import sets

    console = Console(as_json=as_json, quiet=quiet)
    folder = sets.remove(data_dir, name)
    console.say(f"{name}: removed {folder}")
    console.document({"dataset": name, "removed": str(folder)})


def _flat(value: object) -> object:
    """Return settings without nested ones, which only --json shows."""
    return (
        {key: item for key, item in value.items() if not isinstance(item, dict)} if isinstance(value, dict) else value
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list):
        flat = all(isinstance(item, str) and " " not in item and "/" not in item for item in value)
        return (", " if flat else "\n").join(_text(item) for item in value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None or value == "" else str(value)
