"""The pages for newcomers, run: each command in its order, with one epoch and few points, beside examples/."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Outcome
from page_commands import commands_of
from rooms import ROOT

from spikecli import neurons
from spikecli.cli import run
from spikecli.datasets.events import digits
from spikecli.settings import plugins

Cli = Callable[..., Outcome]
DOCS = ROOT / "docs"
TUTORIALS = ("index", "reproduce", "add-a-neuron", "how-it-works")

# What makes a command small enough for a test, and what is not run here, each with its reason.
SMALLER = {
    r"--epochs \d+": "--epochs 1",
    r"--points \d+": "--points 32",
    r"--runs \d+": "--runs 1",
    r"--width [\d.]+": "--width 0.1 --size 12",
    r"--papers \S+": "--papers lif,ann",
    r"shapes:test:\d+": "shapes:test:1",
}
UNRUN = {
    r"spikecli doctor": "tests/test_doctor.py runs it",
    r"modelnet": "needs an archive",
    r"best_model.pth": "a released file; tests/test_import.py imports one made by a derivation",
    r"--from FOLDER|YOUR|NAME": "a placeholder",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, shapes_dir: Path) -> Path:
    """A folder with examples/, prepared shapes, and checkpoints/demo as `make demo` leaves it."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(ROOT / "checkpoints" / "reference", folder / "checkpoints" / "reference")
    shutil.copytree(shapes_dir / "shapes", folder / "data" / "shapes")
    tiny = ["--epochs", "1", "--points", "32", "--batch-size", "300", "--quiet", "--json"]
    place = ["--data-dir", str(folder / "data"), "--out", str(folder / "checkpoints" / "demo")]
    assert run(["train", "shapes", *tiny, *place]) == 0
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Defaults of a test: an option that a page leaves out is read from the environment."""
    for command in ("TRAIN", "ABLATE"):
        for option, value in (("EPOCHS", 1), ("POINTS", 32), ("BATCH_SIZE", 300)):
            monkeypatch.setenv(f"SPIKECLI_{command}_{option}", str(value))
    monkeypatch.setenv("SPIKECLI_EVAL_RUNS", "1")
    monkeypatch.setattr(digits, "RECORDED", slice(898, 998))
    yield
    if "eager" in neurons.SLOTS["fire"]:
        neurons.remove("fire", "eager")
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
    write_files_of(DOCS / f"{page}.md")
    ran = 0
    for command in commands_of(DOCS / f"{page}.md", spans=False):
        if any(re.search(found, command) for found in UNRUN):
            continue
        ended = cli(*smaller(command))
        assert ended.code == 0, f"{page}.md: {command}\n{ended.err}"
        for name in re.findall(r"--out (\S+)", command):
            assert Path(name).exists(), f"{page}.md: {command} wrote no {name}"
        ran += 1
    assert ran >= 3


def write_files_of(page: Path) -> None:
    """Write the files that a page shows: blocks of code with title="NAME"."""
    text = page.read_text(encoding="utf-8")
    for name, content in re.findall(r'```python title="([\w.]+)"\n(.*?)```', text, flags=re.DOTALL):
        Path(name).write_text(content, encoding="utf-8")


def test_lines_that_are_not_run_are_still_there() -> None:
    lines = [command for page in TUTORIALS for command in commands_of(DOCS / f"{page}.md", spans=False)]
    assert any("spikecli doctor" in line for line in lines) and any("modelnet" in line for line in lines)


def test_python_on_the_start_pages_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile("\n".join(blocks), "api.md", "exec"), {})
    assert capsys.readouterr().out.startswith("toilet ")
