"""Habits of the command line: completion, the nearest right word, first steps, the newest run."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import Outcome
from rooms import ROOT

from spikecli.cli.shown.nearest import with_nearest

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def place(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with prepared data and two finished runs, `early` and `demo`, the newer."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("place")
    (folder / "data").symlink_to(shapes_dir)
    line = ["train", "shapes", "--epochs", 1, "--points", 16, "--batch-size", 100, "--quiet", "--json"]
    for name in ("early", "demo"):
        out = folder / "checkpoints" / name
        assert run([str(each) for each in (*line, "--data-dir", shapes_dir, "--out", out)]) == 0
    return folder


# Each question is answered by a fork of a process that has imported what the program imports first.
ASKED = """
import json, os, sys
from spikecli import __main__, cli
for words in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        os.environ.update(COMP_WORDS=" ".join(["spikecli", *words]), COMP_CWORD=str(len(words)))
        try:
            __main__.main()
        finally:
            sys.stdout.flush()
            sys.stderr.write(' '.join({'torch', 'h5py', 'numpy'} & set(sys.modules)))
            os._exit(0)
    os.waitpid(child, 0)
    print("that was all", flush=True)
"""


def offered(place: Path, *questions: Sequence[str], data: str = "data") -> list[list[str]]:
    """Return what bash would offer for the last of the words of each question."""
    environment = {**os.environ, "_SPIKECLI_COMPLETE": "complete_bash", "SPIKECLI_DATA_DIR": data}
    line = [sys.executable, "-c", ASKED, json.dumps(questions)]
    ended = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, check=True)
    assert ended.stderr == "", "completion imports something heavy, or warns"
    return [answer.split() for answer in ended.stdout.split("that was all\n")[:-1]]


QUESTIONS = (
    (("tr",), ["train"]),
    (("data", "ve"), ["verify"]),
    (("train", "--rmp-s"), ["--rmp-schedule"]),
    (("train", "--schedule", ""), ["step", "onecycle", "cosine", "warmup"]),
    (("train", "--paper", "mpbn+tern"), ["mpbn+ternary", "mpbn+ternary-trainable"]),
    (("ablate", "shapes", "--papers", "lif,r"), ["lif,rmp-loss", "lif,real-spike"]),
    (("train", "sh"), ["shapes"]),
    (("data", "prepare", "modelnet4"), ["modelnet40"]),
    (("eval", "ch"), ["checkpoints/demo", "checkpoints/early"]),
    (("view", "x.off", "--checkpoint", "ref"), ["reference"]),
    (("eval", "--split", "t"), ["train", "test"]),
)


@pytest.fixture(scope="module")
def answers(place: Path) -> list[list[str]]:
    return offered(place, *(words for words, _ in QUESTIONS))


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=[" ".join(words) for words, _ in QUESTIONS])
def test_the_shell_completes_commands_options_choices_sets_and_runs(answers: list[list[str]], number: int) -> None:
    assert answers[number] == QUESTIONS[number][1]


def test_completion_knows_prepared_sets_and_runs_of_an_ablation_and_asks_no_file_of_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data/cups/dataset.toml", "checkpoints/ablate-cups/lif-t1-seed0/metrics.jsonl", "data/empty/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    parts = tmp_path / "parts.py"
    parts.write_text("import torch\n")
    monkeypatch.setenv("SPIKECLI_IMPORT", str(parts))
    sets, runs, seen = offered(tmp_path, ("train", ""), ("eval", "checkpoints/"), ("view", "checkpoints/"))
    assert sets == ["shapes", "digits", "cups"] and runs == ["checkpoints/ablate-cups/lif-t1-seed0"]
    assert "checkpoints/ablate-cups" in seen


def test_completion_is_installed_and_shown_by_the_program() -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    line = [sys.executable, "-m", "spikecli", "--show-completion", "bash"]
    shown = subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout
    assert "_SPIKECLI_COMPLETE=complete_bash" in shown
    assert (
        "--install-completion"
        in subprocess.run(
            [sys.executable, "-m", "spikecli", "--help"], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("trian",), "Did you mean 'train'?"),
        (("train", "--epocs", "3"), "Did you mean --epochs"),
        (("eval", "--split", "tset"), "did you mean test?"),
        (("train", "--paper", "mpb"), "did you mean mpbn?"),
        (("train", "shaps"), "did you mean shapes?"),
        (("view", "shaps:test:0", "--out", "x.png"), "did you mean shapes?"),
        (("data", "info", "modelnet1"), "did you mean modelnet10?"),
    ],
)
def test_a_wrong_word_is_usage_and_names_the_nearest(cli: Cli, line: tuple[str, ...], said: str) -> None:
    ended = cli(*line)
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())


def test_a_wrong_run_names_the_nearest(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for line in (("eval", "checkpoints/dmeo"), ("predict", "checkpoint/dem", "a.off"), ("view", "checkpoints/dem")):
        ended = cli(*line)
        assert ended.code == 1
        assert "did you mean checkpoints/demo?" in ended.err


def test_only_a_wrong_choice_is_changed() -> None:
    assert with_nearest("Value error, 'tst' is not one of 'train', 'val', 'test'.") == (
        "found 'tst': did you mean test? choose one of train, val, test"
    )
    assert with_nearest("'xyz' is not one of 'train', 'val'.") == "found 'xyz': choose one of train, val"
    assert with_nearest("0 is not in the range x>=1.") == "0 is not in the range x>=1."


def test_alone_it_says_what_to_do_first(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    ended = cli()
    assert ended.code == 0
    assert len(ended.out.splitlines()) < 12
    assert "spikecli train shapes --epochs 5" in ended.out and "your 2 runs: spikecli runs" in ended.out
    assert "Usage: spikecli eval" in cli("help", "eval").out


def test_eval_and_predict_find_the_newest_run(
    cli: Cli, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    ended = cli("eval", "--timesteps", 1, "--runs", 1, "--json")
    assert ended.document["checkpoint"] == "checkpoints/demo/model.safetensors"
    assert "the newest run: checkpoints/demo" in ended.err
    cloud = place / "cloud.xyz"
    cloud.write_text("\n".join(f"{i % 5} {i % 7} {i % 3}" for i in range(64)))
    shapes = set(json.loads(cli("data", "info", "shapes", "--json").out)["classnames"])
    for line in (("predict", cloud), ("predict", "--newest", cloud)):
        ended = cli(*line, "--json")
        (answer,) = ended.document
        assert {one["class"] for one in answer["predictions"]} <= shapes and "checkpoints/demo" in ended.err
    for other in ("reference", "--reference=modelnet10"):
        ended = cli("predict", other, cloud, "--json")
        assert "checkpoints/" not in ended.err
        assert not {one["class"] for one in ended.document[0]["predictions"]} <= shapes
    assert cli("predict", "--newest", "checkpoints/early", cloud).code == 2
    assert cli("predict", "--newest", "--reference", "modelnet40", cloud).code == 2
    assert cli("predict", "--reference", "modelnet40", "checkpoints/early", cloud).code == 2
    shipped = ROOT / "checkpoints" / "reference"
    shutil.copytree(shipped, place / "checkpoints" / "shipped")  # later than any run, and none itself
    os.utime(place / "checkpoints" / "shipped" / "model.safetensors")
    assert "the newest run of clouds answers: checkpoints/demo" in cli("predict", cloud).err
    monkeypatch.chdir(tmp_path)
    assert "newest run" not in cli("predict", cloud).err
    assert "found no run in checkpoints" in cli("eval").err


def test_predict_passes_over_a_newer_run_for_other_files(
    cli: Cli, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of recordings, the newest, is not asked of a cloud, and the only one that is asked of a recording."""
    shutil.copytree(place / "checkpoints" / "demo", tmp_path / "checkpoints" / "demo")
    (tmp_path / "data").symlink_to(place / "data")
    monkeypatch.chdir(tmp_path)
    cloud, recording = ROOT / "examples" / "chair.off", ROOT / "examples" / "seven.bin"
    assert "wants a network of recordings" in cli("predict", recording).err  # no run for it: the reference answers
    letters = tmp_path / "letters"
    for name in ("a", "b"):
        for number in range(3):
            (letters / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(recording, letters / name / f"{number}.bin")
    assert cli("data", "prepare", "letters", "--from", letters, "--quiet").code == 0
    how = ("--epochs", 1, "--width", 0.1, "--size", 12, "--batch-size", 4, "--val-fraction", 0)
    assert cli("train", "letters", *how, "--out", "checkpoints/late", "--quiet").code == 0
    assert "run of recordings answers: checkpoints/late" in cli("predict", recording, "-T", 1).err
    assert "run of clouds answers: checkpoints/demo" in cli("predict", cloud, "-T", 1).err
    assert "run of clouds answers: checkpoints/demo" in cli("predict", ROOT / "examples" / "*.off", "-T", 1).err
    assert "run of clouds answers: checkpoints/demo" in cli("predict", "shapes:test:0", "-T", 1).err
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{recording}\n"))
    ended = cli("predict", "-", "-T", 1)
    assert ended.code == 0 and "the newest run answers: checkpoints/late" in ended.err
    assert cli("predict", "--newest", cloud).code == 1  # the newest, whatever it is for
