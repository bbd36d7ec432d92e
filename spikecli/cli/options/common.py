"""Options that several commands share, each defined once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.errors import ChoiceError, SpikeError
from spikecli.settings.choices import BOOLEANS, advice


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values the defaults of this command: defaults < file < environment < option."""
    if path is None:
        return None
    from spikecli.files.gate import read_text, reading

    text = read_text(path, cure := "write TOML such as `epochs = 30`")
    with reading(path, cure):
        settings = tomllib.loads(text)
    names = {
        option.lstrip("-"): parameter.name
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--") or parameter.param_type_name == "argument"
    }
    unknown = sorted({key.replace("_", "-") for key in settings} - set(names))
    if unknown:
        known = ", ".join(sorted(names))
        raise SpikeError(f"{path} sets {unknown[0]!r}, which is no option of this command; its options are {known}")
    switches = {parameter.name for parameter in context.command.params if getattr(parameter, "is_flag", False)}
    for key, value in settings.items():
        if names[key.replace("_", "-")] in switches and str(value).casefold() not in BOOLEANS:
            raise ChoiceError(key.replace("-", "_"), f"cannot be {value!r}: {advice(value, ('true', 'false'))}")
    context.default_map = {
        **(context.default_map or {}),
        **{names[key.replace("_", "-")]: value for key, value in settings.items()},
    }
    return path


def _check_table(path: Path | None) -> Path | None:
    """Return the file of a table; raise ChoiceError, before any work, if its ending is of none."""
    if path is not None:
        from spikecli.files.atomic import demand_place
        from spikecli.files.tables import check_table

        check_table(path)
        demand_place(path)
    return path


def check_weights(path: Path | None) -> Path | None:
    """Return the weights file to write; raise an error, before any work, if it has another ending or no place."""
    if path is not None:
        from spikecli.files.atomic import demand_place

        demand_place(path)
        if path.suffix != ".safetensors":
            raise ChoiceError("out", f"cannot be {path}: its ending is {path.suffix!r}; name a .safetensors file")
    return path


def check_weights_or_table(path: Path | None) -> Path | None:
    """Return the weights file or table to write; raise an error as `check_weights` does, or as for a table."""
    from spikecli.files.tables import is_table

    return _check_table(path) if path is not None and is_table(path) else check_weights(path)


# Paths are `readable=False`: an unreadable file is not a usage error; the reader reports it in one line.
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir", readable=False, envvar="SPIKECLI_DATA_DIR", help="Where data sets are kept.", show_default=True
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and notes.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        readable=False,
        callback=_read_config,
        is_eager=True,
        help="TOML file; its keys are the option names.",
    ),
]
TableOut = Annotated[
    Path | None,
    typer.Option("--out", readable=False, callback=_check_table, help="Write the table too: .csv, .md or .tex."),
]
TableFile = Annotated[
    Path | None,
    typer.Option("--table", readable=False, callback=_check_table, help="Write the table to a .csv, .md or .tex."),
]

DATA_DIR = Path("data")


@dataclass(frozen=True)
class Output:
    """Options of the output."""

    as_json: options.AsJson = False
    quiet: options.Quiet = False
    config: options.ConfigFile = None


@dataclass(frozen=True)
class Where:
    """Options of where data sets lie and where the network runs, and the seed."""

    data_dir: options.DataDir = DATA_DIR
    seed: options.Seed = 0
    device: options.Device = "auto"
