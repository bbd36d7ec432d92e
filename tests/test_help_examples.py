"""The examples in the help of every command run as they stand, on tiny data and with smaller sizes."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import furniture
import pytest
import typer.main
from conftest import Outcome

from spikecli.cli import app

Cli = Callable[..., Outcome]
TINY = "--points 16 --batch-size 4 --epochs 1"
# The start of an example: what is added to it, to make it small; later options win.
SMALLER = {
    "train modelnet10": TINY,
    "ablate shapes": f"--papers lif,ann {TINY.replace('4', '400')} --runs 1 --timesteps 1 --perturbations 1",
    "bench --timesteps": "--batch-size 2 --points 16 --repeats 1 --precision fp32 --timesteps 1",
    "eval checkpoints/demo": "--runs 1",
    "reparameterize": "--samples 2",
    "data prepare cups": "--points 16",
    "predict chair.off": "--timesteps 1",
    "data list": "",
    "data info": "",
    "data verify": "",
    "data remove cups": "",
    "config show": "",
    "papers": "",
    "runs": "",
    "view shapes:test:0": "",
    "predict checkpoints/my-run": "",
}
# The start of an example that cannot run here, and why; the test that runs the command.
ELSEWHERE = {
    "doctor --strict": "its exit code is the machine's: test_doctor",
    "bench reference": "takes a minute on a CPU: test_bench",
    "fewshot": "takes a minute on a CPU: test_fewshot",
    "zeroshot": "reads a recording of the user's: test_zeroshot",
    "mini": "trains for minutes: test_mini",
    "export": "writes with packages that need not be installed: test_export",
    "watch": "waits for a stream: test_watch",
    "calibrate": "needs more held-out samples than tiny data have: test_calibration",
    "compare": "compares two runs: test_compare",
    "import": "reads a released checkpoint: test_import",
}


def examples() -> list[str]:
    """Return the examples in the help of all commands, without `spikecli`."""

    def walk(command: click.Command) -> Iterator[str]:
        for child in getattr(command, "commands", {}).values():
            yield from walk(child)
        found = re.search(r"Example: (.+)", command.help or "")
        if found:
            yield from re.findall(r"spikecli (.+?)(?:, (?:or|then) (?=spikecli )|$)", found[1])

    return list(walk(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with what the examples name: runs, data sets, a mesh and an archive of scans."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("desk")
    furniture.chair(folder / "chair.off")
    with zipfile.ZipFile(folder / "scans.zip", "w") as archive:
        for name, draw in (("chair", furniture.chair), ("table", furniture.table)):
            for number in range(5):
                archive.write(draw(folder / "piece.off"), f"{name}/{number}.off")
    for split in ("train", "test"):
        for name, draw in (("chair", furniture.chair), ("table", furniture.table)):
            place = folder / "ModelNet10" / name / split
            place.mkdir(parents=True)
            for number in range(4):
                draw(place / f"{name}_{number:04}.off")
    data = ["--data-dir", str(folder / "data")]
    lines = [
        ["data", "prepare", "shapes", "--points", "64"],
        ["data", "prepare", "modelnet10", "--from", str(folder / "ModelNet10"), "--points", "32"],
    ]
    for name in ("demo", "my-run"):
        out = ["--out", str(folder / "checkpoints" / name)]
        lines.append(["train", "shapes", "--points", "16", "--batch-size", "300", "--epochs", "1", *out])
    for line in lines:
        assert run([*line, *data, "--quiet", "--json"]) == 0, line
    return folder


def start_of(example: str, table: dict[str, str]) -> str | None:
    """Return the longest start in a table that an example has."""
    return max((start for start in table if f"{example} ".startswith(start)), key=len, default=None)


def test_every_example_runs_or_says_why_not(cli: Cli, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    found = examples()
    assert len(found) > 15
    unknown = [one for one in found if start_of(one, {**SMALLER, **ELSEWHERE}) is None]
    assert unknown == [], "add what makes it small to SMALLER, or why it cannot run to ELSEWHERE"
    # What prepares comes first, and what removes last.
    for example in sorted(found, key=lambda one: ("remove" in one, "prepare" not in one)):
        start = start_of(example, SMALLER)
        if start is None or start_of(example, ELSEWHERE) is not None:
            continue
        words = shlex.split(example.partition(" > ")[0])
        ended = cli(*words, *shlex.split(SMALLER[start]), *(["--quiet"] if words[0] in ("train", "ablate") else []))
        assert ended.code == 0, f"spikecli {example}: {ended.err}"
    assert (desk / "demo.png").is_file() and (desk / "checkpoints" / "my-run" / "folded.safetensors").is_file()
    assert not (desk / "data" / "cups").exists()
