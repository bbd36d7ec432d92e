"""The README and the pages of the site, run: each command in its order, with one epoch and few points.

tests/test_own_pages.py runs the pages on own data; docs/cli.md is made from the help, whose examples run in
tests/test_help_examples.py. What is only parsed, by tests/test_site.py, stands in UNRUN and PARSED with its reason.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Outcome
from own_scans import scans
from page_commands import commands_of
from rooms import ROOT

from spikecli import neurons
from spikecli.cli import run
from spikecli.datasets.clouds import prepare
from spikecli.datasets.clouds.shapes import ShapeRecipe
from spikecli.datasets.events import digits
from spikecli.export import formats
from spikecli.settings import plugins

Cli = Callable[..., Outcome]
DOCS = ROOT / "docs"
TUTORIALS = (
    "README", "index", "reproduce", "add-a-neuron", "how-it-works", "gallery", "networks", "runs", "reparameterize",
    "deploy", "neuroclip",
)  # fmt: skip
# Pages on which no command is run.
PARSED = {
    "cli": "made from the help, whose examples have a test of their own",
    "papers": "made from a table; its commands need archives, and tests/test_fidelity.py trains with the options",
    "performance": "measures a machine for minutes; tests/test_bench.py runs the command on less",
    "robustness": "needs an archive, or minutes; tests/test_robustness.py runs the options on less",
    "results": "hours on a GPU, with archives",
    "techniques": "hours; `ablate` itself runs on the pages named above",
    "own-clouds": "run by tests/test_own_pages.py",
    "own-recordings": "run by tests/test_own_pages.py",
}
NO_COMMANDS = ("api", "architecture", "formats", "reliability")

# What makes a command small enough for a test, and what is not run here, each with its reason.
SMALLER = {
    r"--epochs \d+": "--epochs 1",
    r"--points \d+": "--points 32",
    r"--runs \d+": "--runs 1",
    r"--width [\d.]+": "--width 0.1 --size 12",
    r"--papers \S+": "--papers lif,ann",
    r"shapes:test:\d+": "shapes:test:1",
    r"digits:test:\d+": "digits:test:1",
    r"--shots \d+": "--shots 1",
    r"epochs=10,30": "epochs=1",
    r"--size 17|--batch-size 16": "",
    r"(export .*) --timesteps 2": r"\1 --timesteps 1",  # a graph is written down step by step
}
UNRUN = {
    r"spikecli doctor": "tests/test_doctor.py runs it",
    r"modelnet|nmnist|eval checkpoints/RUN --timesteps 1,2,3,4": "needs an archive",
    r"best_model.pth": "a released file; tests/test_import.py imports one made by a derivation",
    r"DATASET|PRESET": "a placeholder",
    r"--check nir|net.nir": "the stand-in has a map of 3 x 3; tests/test_export_nir.py exports another",
    r"hand clap": "needs a CLIP that knows them",
    r"udp://|tcp://": "waits for a camera; tests/test_watch.py plays one",
}
# What the pages call by a placeholder or by the reader's own name, and what stands for it here.
STAND_INS = {
    "FOLDER": "scans", "chair.off": "examples/chair.off", "recording.bin": "examples/seven.bin",
    "gesture.bin": "examples/seven.bin", "gesture_1.bin": "examples/turning_chair.bin",
    "checkpoints/my-run": "checkpoints/demo", "shared/sweep/one": "checkpoints/demo", "RUN": "digits",
    "checkpoints/RUN": "digits",
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with examples/, some of the shapes prepared, and checkpoints/demo as `make demo` leaves it."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(ROOT / "checkpoints" / "reference", folder / "checkpoints" / "reference")
    tiny = ["--epochs", "1", "--points", "32", "--batch-size", "300", "--quiet", "--json"]
    place = ["--data-dir", str(folder / "data"), "--out", str(folder / "checkpoints" / "demo")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "ShapeRecipe", lambda seed: ShapeRecipe(seed, train=6, test=3))
        assert run(["data", "prepare", "shapes", "--points", "64", "--quiet", "--json", *place[:2]]) == 0
    assert run(["train", "shapes", *tiny, *place]) == 0
    frames = ["--model", "resnet20", "--width", "0.1", "--size", "12", "--paper", "lif", "--timesteps", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "RECORDED", slice(898, 948))
        place[-1] = str(folder / "digits")
        assert run(["train", "digits", *frames, "--epochs", "1", "--quiet", "--json", *place]) == 0
    scans(folder / "scans")
    for name, stands in STAND_INS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (folder / stands).is_dir() else shutil.copy
        copy(folder / stands, folder / name)
    return folder


@pytest.fixture
def small(few_dots: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Defaults of a test: an option that a page leaves out is read from the environment."""
    for command in ("TRAIN", "ABLATE"):
        for option, value in (("EPOCHS", 1), ("POINTS", 32), ("BATCH_SIZE", 300)):
            monkeypatch.setenv(f"SPIKECLI_{command}_{option}", str(value))
    monkeypatch.setenv("SPIKECLI_EVAL_RUNS", "1")
    monkeypatch.setenv("SPIKECLI_ABLATE_RUNS", "1")
    monkeypatch.setattr(digits, "RECORDED", slice(898, 948))
    yield
    if "eager" in neurons.SLOTS["fire"]:
        neurons.remove("fire", "eager")
    formats._ADDED.pop("shapes", None)
    plugins._imported.cache_clear()


def smaller(command: str) -> list[str]:
    """Return the words of a command, made small, without the program's name."""
    for found, fewer in SMALLER.items():
        command = re.sub(found, fewer, command)
    return shlex.split(command, comments=True)[1:]


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_commands_of_a_page_run(
    page: str, cli: Cli, desk: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    write_files_of(path_of(page))
    ran = 0
    for command in commands_of(path_of(page), spans=False):
        if any(re.search(found, command) for found in UNRUN):
            continue
        ended = cli(*smaller(command))
        assert ended.code == 0, f"{page}.md: {command}\n{ended.err}"
        for name in re.findall(r"--(?:out|figure) (\S+)", command):
            assert Path(name).exists(), f"{page}.md: {command} wrote no {name}"
        ran += 1
    assert ran >= 2


def path_of(page: str) -> Path:
    return ROOT / "README.md" if page == "README" else DOCS / f"{page}.md"


def test_every_page_is_run_or_says_why_not() -> None:
    pages = {path.stem for path in DOCS.glob("*.md")} | {"README"}
    assert pages == {*TUTORIALS, *PARSED, *NO_COMMANDS}
    assert not set(TUTORIALS) & set(PARSED)
    for page in NO_COMMANDS:
        assert not list(commands_of(path_of(page), spans=False)), f"{page}.md shows commands now"


def write_files_of(page: Path) -> None:
    """Write the files that a page shows: blocks of code with title="NAME"."""
    text = page.read_text(encoding="utf-8")
    for name, content in re.findall(r'```python title="([\w.]+)"\n(.*?)```', text, flags=re.DOTALL):
        Path(name).write_text(content, encoding="utf-8")


def test_lines_that_are_not_run_are_still_there() -> None:
    lines = [command for page in TUTORIALS for command in commands_of(path_of(page), spans=False)]
    assert [found for found in UNRUN if not any(re.search(found, line) for line in lines)] == []


def test_python_on_the_start_pages_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile("\n".join(blocks), "api.md", "exec"), {})
    assert capsys.readouterr().out.startswith("toilet ")
