"""Every table that a command prints is also a file: .csv, .md, .tex."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from own_scans import scans
from rooms import ROOT

Cli = Callable[..., Any]
CLI = ROOT / "spikecli" / "cli"
# Commands that print no table, and what they print.
NO_TABLE = {
    "train": "a line an epoch, which results.csv in the run holds",
    "view": "a picture; a line each sample",
    "watch": "a line each window of a stream, one JSON document a line with --json",
    "import": "a line on the layers that were found",
    "mini": "the progress of its training",
    "config show": "TOML, which --config takes back",
    "data verify": "one line",
    "data remove": "one line",
    "data simulate": "a line on the recording that is written",
}


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name and command of each leaf."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{before}{name} ")
        else:
            yield f"{before}{name}", one


def every_command() -> dict[str, Any]:
    from spikecli.cli import app

    return dict(commands(typer.main.get_command(app)))


@cache
def functions(module: str) -> tuple[dict[str, ast.AST], dict[str, str]]:
    """Return the functions of a module of the command line, and from which such module each imported name comes."""
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text())
    defined = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    imported = {
        name.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("spikecli.cli")
        for name in node.names
    }
    return defined, imported


def prints_a_table(module: str, function: str) -> bool:
    """Return whether a function, or one of the command line's that it calls, shows a table."""
    todo, seen = [(module, function)], set()
    while todo:
        where, name = one = todo.pop()
        if name == "show_table":
            return True
        defined, imported = functions(where)
        if one in seen or name not in defined:
            continue
        seen.add(one)
        for node in ast.walk(defined[name]):
            if isinstance(node, ast.Name):
                todo.append((imported.get(node.id, where), node.id))
    return False


def test_each_command_that_prints_a_table_writes_it_too() -> None:
    found = every_command()
    missing, silent = [], set()
    for name, command in found.items():
        plain = command.callback
        while hasattr(plain, "__wrapped__"):
            plain = plain.__wrapped__
        assert plain is not None
        if not prints_a_table(plain.__module__, plain.__name__):
            silent.add(name)
            continue
        texts = [str(getattr(one, "help", "")) for one in command.params if {"--out", "--table"} & set(one.opts)]
        if not any(".md" in text and ".tex" in text and ".csv" in text for text in texts):
            missing.append(name)
    assert missing == [] and len(found) > 20
    assert silent == set(NO_TABLE), "a command that prints no table says here what it prints"


def test_no_table_is_printed_without_a_file_for_it() -> None:
    printing = [
        path.relative_to(ROOT).as_posix() for path in sorted(CLI.rglob("*.py")) if ".table(" in path.read_text()
    ]
    assert printing == ["spikecli/cli/shown/tables.py"]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five scans of five classes, prepared as `parts`, and an ablation of one paper."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("tables")
    scans(folder / "scans")
    asked = ("data", "prepare", "parts", "--from", folder / "scans", "--points", 16, "--data-dir", folder / "data")
    assert run([*map(str, asked), "--out", str(folder / "found.csv"), "--quiet"]) == 0
    assert run([*map(str, asked), "--out", str(folder / "found.md"), "--quiet", "--dry-run"]) == 0
    asked = ("ablate", "parts", "--papers", "lif,ternary", "--runs", 1, "--epochs", 1, "--points", 16, "--layers")
    places = ("--out", folder / "runs", "--data-dir", folder / "data", "--timesteps", 1, "--quiet")
    assert run([*map(str, (*asked, *places))]) == 0
    return folder


def test_what_was_found_and_what_is_known(cli: Cli, place: Path) -> None:
    assert rows_of(place / "found.csv")[0] == {"class": "bolt", "train": "4", "test": "1"}
    assert "| bolt  |     4 |    1 |" in (place / "found.md").read_text()
    assert cli("data", "info", "parts", "--data-dir", place / "data", "--out", place / "info.csv").code == 0
    assert {"fact": "classes", "value": "5"} in rows_of(place / "info.csv")
    assert rows_of(place / "info-classes.csv")[4] == {"class": "pipe", "train": "4", "test": "1"}


def test_an_ablation_s_tests_and_layers(cli: Cli, place: Path) -> None:
    assert {path.name for path in (place / "runs").glob("table*")} == {
        f"table{part}{ending}" for part in ("", "-paired", "-layers") for ending in (".csv", ".md", ".tex")
    }
    assert [row["paper"] for row in rows_of(place / "runs" / "table-paired.csv")] == ["ternary"]
    layers = rows_of(place / "runs" / "table-layers.csv")
    assert {row["paper"] for row in layers} == {"lif", "ternary"} and float(layers[0]["energy_uj"]) > 0


@pytest.mark.parametrize("ending", ["csv", "md", "tex"])
def test_folds_an_export_and_its_refusals(cli: Cli, place: Path, ending: str) -> None:
    run, data = place / "runs" / "lif-t1-seed0", ("--data-dir", place / "data")
    folds, report = place / f"folds.{ending}", place / f"report.{ending}"
    out = place / f"folded-{ending}.safetensors"
    assert cli("reparameterize", run, "--out", out, "--samples", 2, "--table", folds, *data).code == 0
    assert "point1" in folds.read_text() and "batch norm" in folds.read_text()
    if ending == "csv":
        assert cli("export", run, "--out", place / "net.nir", "--raw", "--table", report, *data).code in (0, 1)
    refused = cli("export", run, "--check", "nir", "--table", report, *data)
    assert refused.code == 1 and "reason" in report.read_text()


def test_a_prediction_as_it_is_shown(cli: Cli, place: Path) -> None:
    line = ("predict", place / "runs" / "lif-t1-seed0", place / "scans" / "bolt", "--top", 1, "--timesteps", 1)
    assert cli(*line, "--data-dir", place / "data", "--out", place / "named.tex").code == 0
    assert (place / "named.tex").read_text().count("bolt\\_") == 5
