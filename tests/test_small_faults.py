"""Small faults that users met, one test each."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from event_bytes import bin_bytes, some_events
from first_version import unpack
from rich.console import Console as RichConsole

from spikecli import models
from spikecli.cli import fewshot
from spikecli.cli.data import _flat
from spikecli.cli.export import _say_exported
from spikecli.console import Console
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.samples import stratified_split
from spikecli.evaluation.evaluate import StepRow
from spikecli.evaluation.probe import Membranes
from spikecli.evaluation.step_scores import AutoRow, StepScores
from spikecli.export.wanted import Checked, Exported
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.papers import PAPERS
from spikecli.view.clouds.membranes import MembraneView, name_thresholds
from spikecli.view.runs.steps import steps_figure
from spikecli.view.sources import told_apart
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.reference import title_of


def row(timesteps: int, accuracy: float) -> StepRow:
    return StepRow(timesteps, accuracy, None, accuracy, 0.1, 1e6, 3.0 * timesteps, 0.1 * timesteps, ())


def test_a_star_left_of_the_rows_is_within_the_chart_and_markers_are_whole() -> None:
    auto = AutoRow("auto", 1.0, None, 1.0, 0.1, 1e6, 9.0, 0.3, 0.9, 8, 2.5, (), ())
    scores = StepScores([row(7, 0.99), row(8, 1.0)], auto, None, [0.9, 0.95], 10)
    for axes in steps_figure(scores, "light").axes:
        low, high = axes.get_xlim()
        assert low < 2.5 and high > 8
        bottom, top = axes.get_ylim()
        most = max(max(line.get_ydata()) for line in axes.lines)
        assert (top - most) / (top - bottom) * 1.85 * 72 > 6  # points: half of the largest marker


def test_of_one_sample_a_class_nothing_is_held_out() -> None:
    rest, held = stratified_split(np.array([0, 1, 2, 2]), 0.9, 0)
    assert held.tolist() in ([2], [3]) and set(rest) == {0, 1, 2, 3} - set(held)
    rest, held = stratified_split(np.arange(3), 0.5, 0)
    assert rest.tolist() == [0, 1, 2] and not len(held)


def test_weights_are_not_named_after_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert title_of(Path("mine.safetensors")) == "mine"
    assert title_of(Path("runs/mine.safetensors")) == "runs/mine"
    assert title_of(Path("runs/a/model.safetensors")) == "a"


def test_eval_says_what_it_wrote_and_the_table_has_the_classes(cli: Callable, shapes_dir: Path, tmp_path: Path) -> None:
    out, figure = tmp_path / "t.csv", tmp_path / "t.png"
    names = load_points(shapes_dir, "shapes", "test").classnames
    model = network_settings(classes=len(names), neuron=PAPERS["lif"].neuron, tnet="none")
    run = tmp_path / "model.safetensors"
    checkpoints.save(run, Checkpoint(models.build(model).state_dict(), TrainConfig(model=model, points=64), names))
    given = ["eval", run, "--data-dir", shapes_dir, "--timesteps", "auto", "--most", 2]
    done = cli(*given, "--runs", 1, "--by-class", "--out", out, "--figure", figure)
    assert done.code == 0, done.err
    assert f"wrote {out}" in done.err and f"wrote {figure}" in done.err and "±" not in done.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [one["timesteps"] for one in rows] == ["1", "2", "auto"]  # the figure compares the stops with each T
    shares = [float(one) for name, one in rows[0].items() if name.startswith("accuracy of ") and one]
    assert len(shares) == 10 and np.mean(shares) == pytest.approx(float(rows[0]["class_accuracy"]))
    words = " ".join(done.out.split())
    assert "the same for every seed" in words and "perturbation seed" not in words
    unclear = cli("eval", "reference", "--corrupt", "all", "--by-class")
    assert "--by-class cannot show scores on damaged samples; remove --by-class or --corrupt" in unclear.err


def test_two_files_of_one_stem_have_names_of_their_own(cli: Callable, tmp_path: Path) -> None:
    assert told_apart(["a", "a", "b"], ["x/a.ply", "x/a.off", "x/b.off"]) == ["a.ply", "a.off", "b"]
    assert told_apart(["a", "a"], ["x/a.ply", "y/a.ply"]) == ["x/a.ply", "y/a.ply"]
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", points)
    np.savetxt(tmp_path / "a.txt", points)
    done = cli("view", tmp_path / "a.npy", tmp_path / "a.txt", "--out", tmp_path / "a.png", "--json")
    assert [one["name"] for one in done.document["sources"]] == ["a.npy", "a.txt"]
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "r.bin").write_bytes(bin_bytes(some_events(60, 34, 34)))
    files = [tmp_path / folder / "r.bin" for folder in ("x", "y")]
    done = cli("view", *files, "--out", tmp_path / "r.png", "--json")
    assert [one["name"] for one in done.document["sources"]] == [str(file) for file in files]


def test_thresholds_of_two_networks_are_each_ones_own() -> None:
    def seen(name: str, *thresholds: float) -> MembraneView:
        layer = Membranes.__new__(Membranes)
        object.__setattr__(layer, "thresholds", np.array(thresholds))
        return MembraneView(name, name, {"fire": layer})

    two, three = seen("two", 0.5), seen("three", -0.5, 0.5)
    assert name_thresholds([two, three]) == "threshold: two 0.5; three ±0.5"
    assert name_thresholds([three, replace(three, name="other")]) == "threshold ±0.5"
    assert name_thresholds([two]) == "threshold 0.5"


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from spikecli.machine.workers import pool\nwith pool(1) as workers:\n    workers.submit(print, 1).result()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'call this under if __name__ == "__main__":' in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr.splitlines()[-1]


def test_facts_show_counts_of_each_class_and_no_nested_settings(cli: Callable, shapes_dir: Path) -> None:
    assert _flat({"seed": 0, "recipe": {"shift": 2}}) == {"seed": 0}
    about = cli("data", "info", "shapes", "--data-dir", shapes_dir)
    assert about.code == 0 and "Samples of each class" in about.out


def test_messages_say_what_to_do(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "r.bin").write_bytes(bin_bytes(some_events(60, 34, 34)))
    shown = cli("view", tmp_path / "r.bin", "--show", "spikes", "--out", tmp_path / "r.png")
    assert "found --show spikes, which cannot show events; wanted --show clip, or no --show" in shown.err
    package = Path(sys.modules["spikecli"].__file__ or "").parent
    assert not [path for path in package.rglob("*.py") if "fetch the file again" in path.read_text()]


def test_a_missing_file_is_missing_and_not_broken(cli: Callable, tmp_path: Path) -> None:
    good, gone = tmp_path / "good.npz", tmp_path / "gone.npz"
    np.savez(good, x=[1, 2], y=[1, 2], t=[0, 9], p=[0, 1])
    seen = cli("view", good, gone, "--out", tmp_path / "a.png")
    assert seen.code == 1 and seen.err.strip() == f"error: found no file {gone}; check the path"  # before any reading
    named = cli("predict", tmp_path / "nowhere")
    assert named.code == 1 and f"found no file, no run and no weights called {tmp_path / 'nowhere'}" in named.err


def test_a_bad_file_of_several_names_the_way_past_it(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).normal(size=(64, 3)))
    several = cli("predict", tmp_path, "-T", 1)
    assert several.code == 1 and "holds 'dog' where a number was wanted" in several.err and "--skip-bad" in several.err
    alone = cli("predict", tmp_path / "classes.txt", "-T", 1)
    assert alone.code == 1 and "--skip-bad" not in alone.err


def test_resuming_with_another_part_names_that_part_alone(cli: Callable, tmp_path: Path) -> None:
    folder = unpack(tmp_path)
    line = ("train", "modelnet10", "--resume", "--out", folder / "clouds", "--data-dir", folder / "data")
    said = cli(*line, "--fire", "ternary").err
    assert "--fire cannot be ternary" in said and "was started with binary" in said
    assert "{" not in said and said.count("\n") == 1


def test_files_that_never_became_sure_are_not_called_sure(cli: Callable, tmp_path: Path) -> None:
    folder = unpack(tmp_path)
    asked = ("predict", folder / "clouds", folder / "chair_0005.off", "-T", "auto", "--most", 2, "--confidence", 0.999)
    printed = " ".join(cli(*asked).out.split())
    assert "2.00 of at most 2 time steps on average, 0% of the steps saved" in printed
    assert " sure" not in printed


def test_one_draw_has_no_spread(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        "shots": 1, "dataset": "d", "samples": 2, "clip": "mini", "adapter": "spiking", "adapter_parameters": 3,
        "zero_shot_accuracy": 0.1, "instance_accuracy": 0.2, "instance_accuracy_std": None, "seconds": 1, "seed": 0,
        "runs": 1, "accuracies": [0.2],
    }  # fmt: skip
    fewshot._show(Console(), shown, None)
    printed = capsys.readouterr().out
    assert "one draw, seed 0" in printed and "±" not in printed and "std" not in printed


def test_of_work_without_a_known_end_the_count_stands(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.progress("simulating", unit="frames") as advance:
        for _ in range(5):
            advance(24)
    with console.progress("Opening a.zip") as advance:
        advance()
    with console.progress("drawing") as advance:
        advance(1, "a lamp", total=2)
        advance(1)
    lines = re.sub(r"\d:\d\d:\d\d", "TIME", capsys.readouterr().err).split("\n")
    assert [" ".join(line.split()) for line in lines] == [
        "simulating 120 frames TIME", "Opening a.zip TIME", f"drawing {'━' * 12} 2/2 TIME a lamp", "",
    ]  # fmt: skip


def test_the_spinner_of_such_work_ends_with_it() -> None:
    console, drawn = Console(), io.StringIO()
    console.err = RichConsole(file=drawn, force_terminal=True, no_color=True, width=80, legacy_windows=False)
    with console.progress("simulating", unit="frames") as advance:
        advance(3)
    frames = [line for line in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.getvalue())) if line]
    assert re.search("[\u2800-\u28ff]", frames[0]) and not re.search("[\u2800-\u28ff]", frames[-1])
    assert frames[-1].split()[:3] == ["simulating", "3", "frames"]


@pytest.mark.parametrize("named", [False, True])
def test_a_format_without_inputs_and_outputs_shows_no_empty_table(
    named: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / "net.shapes").write_bytes(b"1234")
    shapes = {"points": "float32"} if named else {}
    done = Exported(path, "shapes", "1", shapes, {}, Checked("nothing", 0, "no samples", 0.0, 0, 0))
    _say_exported(Console(), SimpleNamespace(name="demo"), done, tmp_path / "table.csv")  # type: ignore[arg-type]
    printed, rows = capsys.readouterr().out, list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert ("━" in printed and "points" in printed) is named
    assert ("0.00 MB; the format names no inputs and no outputs\n" in printed) is not named
    assert [(row["network"], row["bytes"], row.get("name")) for row in rows] == [
        ("demo", "4", "points" if named else None)
    ]
