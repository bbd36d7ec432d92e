"""The examples of `--help`: each runs in its order in one folder, at a tiny size, or is at least parsed, and listed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from event_bytes import bin_bytes, some_events, write
from own_scans import scans
from page_commands import problem_of
from rooms import ROOT

from spikecli.cli import app
from spikecli.machine import doctor
from spikecli.machine.doctor import Finding

Cli = Callable[..., Any]

# Examples that are parsed by the command's own parser and not run, and why.
PARSED = {
    "train modelnet10 --epochs 30": "ModelNet10 is no part of the repository",
    "data info modelnet10": "shown, but without its files it has nothing to verify",
    "data verify modelnet10": "ModelNet10 is no part of the repository",
    "mini --out my-mini.safetensors": "trains for minutes; tests/test_mini.py trains a smaller one",
    "import best_model.pth --as pointnet --out checkpoints/released": "the authors' file is not ours to ship",
    "watch checkpoints/my-run gesture.bin": "a network of recordings; tests/test_watch.py plays one",
    "export reference --check nir": "runs in tests/test_export_nir.py, where snnTorch is installed",
    "bench --timesteps 1,4": "trains at full size; tests/test_bench.py measures a small one",
    "bench reference --timesteps 1,2,4,auto --figure latency.png": "the same",
    "fewshot digits --shots 16 --runs 3": "prepares all digits; tests/test_fewshot.py has a few",
    "data simulate clip.mp4 --out events.npz --threshold 0.3 --mismatch 0.03": "no film is shipped; "
    "tests/test_simulate.py films one",
    "doctor --strict": "its answer depends on the machine",
}
# The others run, in this order, with what makes them small.
RUN = {
    "data list": "",
    "data prepare cups --from scans.zip --points 1024": "--points 32",
    "data remove cups": "",
    "eval checkpoints/demo --timesteps 1,2,3,4": "--timesteps 1,2 --runs 1",
    "predict chair.off": "",
    "predict checkpoints/my-run chair.off --timesteps 4": "--timesteps 2",
    "calibrate checkpoints/my-run --timesteps 1,4,8": "--timesteps 1,2",
    "compare checkpoints/lif-seed0 checkpoints/mpbn-seed0 --timesteps 1,4": "--timesteps 1",
    "ablate shapes --papers lif,ternary,mpbn,ann --epochs 5 --points 256": "--papers lif,ann --epochs 1 --points 16 "
    "--batch-size 100 --timesteps 1 --runs 1",
    "zeroshot 7.bin --classes zero,seven": "--timesteps 2",
    "watch zeroshot 7.bin --classes zero,seven": "--speed 0",
    "view shapes:test:0 --checkpoint checkpoints/demo --out demo.png": "--timesteps 1",
    "runs checkpoints": "",
    "papers --paper mpbn": "",
    "reparameterize checkpoints/my-run --out checkpoints/my-run/folded.safetensors": "--samples 2",
    "export checkpoints/my-run --out net.onnx": "--timesteps 1",
    "config show spiking-pointnet > mine.toml": "",
}


def examples() -> Iterator[str]:
    """Yield the examples of every command's help, without the program's name."""

    def below(command: Any) -> Iterator[Any]:
        for each in getattr(command, "commands", {}).values():
            yield from below(each)
        if not hasattr(command, "commands"):
            yield command

    for command in below(typer.main.get_command(app)):
        told = re.search(r"Example: (.*)", " ".join((command.help or "").split()))
        assert told, f"the help of {command.name} has no example"
        for line in re.split(r",? or (?=spikecli )", told[1]):
            yield line.removeprefix("spikecli ")


def test_every_example_is_run_or_said_to_be_parsed_alone() -> None:
    assert sorted(examples()) == sorted([*RUN, *PARSED]), "an example has changed: put it into RUN, or PARSED with why"
    assert all(PARSED.values())


@pytest.mark.parametrize("line", [*PARSED, *RUN])
def test_the_parser_takes_the_example(line: str) -> None:
    assert problem_of(shlex.split(line.partition(" > ")[0])) == ""


@pytest.fixture(scope="module")
def place(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples name: scans, a mesh, a recording, the built-in shapes and short runs on them."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("examples")
    (folder / "data").mkdir()
    (folder / "data" / "shapes").symlink_to(shapes_dir / "shapes")
    scans(folder / "scans")
    shutil.make_archive(str(folder / "scans"), "zip", folder / "scans")
    shutil.copy(ROOT / "examples" / "chair.off", folder)
    write(folder / "7.bin", bin_bytes(some_events(200, 34, 34)))
    shared = ["--epochs", "1", "--points", "16", "--batch-size", "100", "--quiet", "--json"]
    first = folder / "checkpoints" / "demo"
    assert run(["train", "shapes", *shared, "--data-dir", str(folder / "data"), "--out", str(first)]) == 0
    for name in ("my-run", "lif-seed0", "mpbn-seed0"):
        shutil.copytree(first, first.with_name(name))
    return folder


@pytest.mark.parametrize("line", RUN)
def test_the_example_runs(line: str, place: Path, cli: Cli, few_dots: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    words = line.partition(" > ")[0]
    ended = cli(*shlex.split(f"{words} {RUN[line]}"))  # of an option that is given twice, the last counts
    assert ended.code == 0, ended.err
    for name in re.findall(r"--out (\S+)", words):
        assert Path(name).exists(), f"{line} wrote no {name}"
    assert ended.out.strip(), f"{line} said nothing"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("data list --out t.csv", "name,"),
        ("doctor --out t.md", "| check"),
        ("calibrate checkpoints/my-run --timesteps 1 --out t.tex", "temperature"),
        ("eval checkpoints/my-run -T 1 --runs 2 --out t.csv", "instance_accuracy_std"),
        ("runs checkpoints --out t.csv", "run,"),
        ("papers --out t.tex", "booktabs"),
    ],
)
def test_tables_go_into_files(line: str, found: str, place: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("torch", "ok", "2.13", "", 0.1)])  # test_doctor.py's
    monkeypatch.chdir(place)
    assert cli(*shlex.split(line), "--quiet").code == 0
    assert found in Path(line.split()[-1]).read_text(encoding="utf-8")
