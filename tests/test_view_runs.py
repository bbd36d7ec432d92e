"""Pictures of training runs: the numbers in them are those of the runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import forks
import numpy as np
import pytest
import torch
from PIL import Image

from spikecli.cli import run as command
from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import evaluate, samples_for
from spikecli.evaluation.how import How
from spikecli.evaluation.predictions import Evaluation, Predictions, evaluate_each, open_evaluation
from spikecli.settings.config import TrainConfig
from spikecli.view.drawing import report, window
from spikecli.view.drawing.chart import COLORS, color_of, mark_of
from spikecli.view.drawing.report import picture, save_report_page
from spikecli.view.drawing.sections import Report, Section, Table
from spikecli.view.drawing.theme import THEMES
from spikecli.view.look import Look
from spikecli.view.runs import flow
from spikecli.view.runs.curves import learning_curves
from spikecli.view.runs.flow import look_at_runs
from spikecli.view.runs.mistakes import mistakes_figure, mistakes_sheet
from spikecli.view.runs.scores import Scored, scores_figure
from spikecli.view.sources import kind_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.run_record import RunRecord, read_run
from spikecli.weights.trained import Trained

LIGHT = THEMES["light"]
FULL = report.DOTS


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw with a quarter of the dots an inch: most tests are about what is drawn, not how finely."""
    monkeypatch.setattr(report, "DOTS", 50)


@pytest.fixture
def fine(coarse: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw as finely as for a user."""
    monkeypatch.setattr(report, "DOTS", FULL)


def silent(*done: object, **fields: object) -> None:
    """What is told of progress, and not listened to."""


def look(data_dir: Path, *runs: Path, **changes: object) -> Look:
    return Look(tuple(map(str, runs)), data_dir=data_dir, **{"timesteps": 3, "runs": 2, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs on the built-in shapes, and one of the network with ReLUs that held nothing out."""
    folder = tmp_path_factory.mktemp("runs")
    shared = ["--points", "24", "--batch-size", "100", "--data-dir", str(shapes_dir), "--quiet", "--json"]
    settings = {
        "first": ["--epochs", "2"],
        "second": ["--epochs", "1", "--paper", "lif", "--seed", "1"],
        "ann": ["--epochs", "1", "--paper", "ann", "--val-fraction", "0"],
    }
    for name, given in settings.items():
        assert command(["train", "shapes", "--out", str(folder / name), *given, *shared]) == 0
    return {name: folder / name for name in settings}


@pytest.fixture(scope="module")
def scored(shapes_dir: Path, runs: dict[str, Path]) -> Scored:
    evaluation = open_evaluation(Trained.open(runs["first"], "cpu"), shapes_dir, "test", How(2))
    return Scored(0, read_run(runs["first"]), evaluation, evaluate_each(evaluation, 3))


def curve_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# What is drawn.


def test_the_curves_hold_the_numbers_of_the_run(runs: dict[str, Path]) -> None:
    records = [read_run(runs[name]) for name in ("first", "second", "ann")]
    loss, accuracy, rate = learning_curves(records, LIGHT).axes
    for index, (record, name) in enumerate(zip(records, ("first", "second", "ann"), strict=True)):
        stored = curve_of(runs[name])
        assert loss.lines[index].get_ydata().tolist() == [epoch["loss"] for epoch in stored]
        assert rate.lines[index].get_ydata().tolist() == [epoch["lr"] for epoch in stored]
        assert accuracy.lines[index].get_ydata().tolist() == [epoch["train_accuracy"] for epoch in stored]
        assert loss.lines[index].get_label() == record.name
        assert loss.lines[index].get_color() == color_of(LIGHT, index)
    held_out = [line.get_ydata().tolist() for line in accuracy.lines[3:]]
    assert held_out == [[epoch["val_accuracy"] for epoch in curve_of(runs[name])] for name in ("first", "second")]


def test_runs_are_told_apart_without_their_colors() -> None:
    looks = {(color_of(LIGHT, index), mark_of(index)) for index in range(12)}
    assert len(looks) == 12
    assert len({mark_of(index) for index in range(6)}) == 6
    for theme, colors in COLORS.items():
        brightness = [sum(int(color[place : place + 2], 16) for place in (1, 3, 5)) for color in (*colors, theme.paper)]
        assert all(abs(one - brightness[-1]) > 150 for one in brightness[:-1])


def test_accuracy_and_energy_are_those_of_eval(shapes_dir: Path, runs: dict[str, Path], scored: Scored) -> None:
    trained = Trained.open(runs["first"], "cpu")
    rows = evaluate(trained.network, samples_for(trained, shapes_dir), [1, 2, 3], How(2))
    predictions = scored.predictions
    assert predictions.accuracies.mean(axis=0).tolist() == pytest.approx([row.instance_accuracy for row in rows])
    assert predictions.accuracy_std.tolist() == pytest.approx([row.instance_accuracy_std for row in rows])
    assert predictions.energy_uj == pytest.approx([row.energy_uj for row in rows])
    assert predictions.firing_rate == pytest.approx([row.firing_rate for row in rows])


def test_the_score_charts_hold_what_was_scored(scored: Scored) -> None:
    steps, energy, confusion = scores_figure([scored], LIGHT).axes
    mean = scored.predictions.accuracies.mean(axis=0)
    assert steps.lines[0].get_ydata().tolist() == energy.lines[0].get_ydata().tolist() == mean.tolist()
    assert steps.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert tuple(energy.lines[0].get_xdata()) == scored.predictions.energy_uj
    bars = steps.collections[0].get_segments()
    lengths = [float(np.ptp(bar[:, 1])) for bar in bars]
    assert lengths == pytest.approx((2 * scored.predictions.accuracy_std).tolist())
    counts = scored.predictions.confusion
    written = {(round(text.get_position()[1]), round(text.get_position()[0])): text for text in confusion.texts}
    assert {place: int(text.get_text()) for place, text in written.items()} == {
        (row, column): counts[row, column] for row, column in zip(*np.nonzero(counts), strict=True)
    }
    assert [text.get_text() for text in energy.texts] == ["T = 1", "T = 2", "T = 3"]


def test_the_confusion_matrix_counts_every_cloud_and_its_diagonal_the_right_ones(scored: Scored) -> None:
    predictions = scored.predictions
    counts = predictions.confusion
    assert counts.sum() == len(predictions.labels) == 100
    assert np.trace(counts) / 100 == pytest.approx(predictions.accuracies[0, -1])
    assert counts.sum(axis=1).tolist() == [10] * 10
    assert len(predictions.mistakes) == 100 - np.trace(counts)


def test_mistakes_come_most_confident_first_and_none_when_all_is_right() -> None:
    chances = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    predictions = np.array([[[1, 1, 1, 1], [0, 1, 1, 0]]])
    predictions = Predictions(predictions, chances, np.array([0, 0, 0, 0]), (0.1, 0.1), (1.0, 2.0))
    assert predictions.mistakes.tolist() == [2, 1]
    assert predictions.confusion.tolist() == [[2, 2], [0, 0]]
    assert predictions.accuracies.tolist() == [[0.0, 0.5]]
    assert predictions.accuracy_std.tolist() == [0.0, 0.0]


def test_the_clouds_that_go_wrong_are_drawn_with_both_classes(scored: Scored) -> None:
    sheet = mistakes_sheet(scored, LIGHT)
    assert sheet is not None
    clouds, predictions = scored.evaluation.samples, scored.predictions
    assert len(sheet.panels) == min(12, len(predictions.mistakes))
    for panel, sample in zip(sheet.panels, predictions.mistakes, strict=False):
        np.testing.assert_array_equal(panel.points, clouds.points[sample])
        said = predictions.classes[0, -1, sample]
        assert panel.title == f"{clouds.classnames[said]} {predictions.probabilities[sample, said]:.0%}"
        assert panel.note == f"is {clouds.classnames[clouds.labels[sample]]} · {sample}"
        assert said != clouds.labels[sample]
    right = replace(predictions, labels=predictions.classes[0, -1])
    assert mistakes_sheet(replace(scored, predictions=right), LIGHT) is None


def test_the_held_out_part_is_what_training_held_out(shapes_dir: Path, runs: dict[str, Path]) -> None:
    evaluation = open_evaluation(Trained.open(runs["second"], "cpu"), shapes_dir, "val", How(3))
    assert evaluation.repeats == 1  # --paper lif draws nothing
    assert len(evaluation.places) == 20 and np.bincount(evaluation.samples.labels).tolist() == [2] * 10
    assert set(evaluation.places) != set(range(20))
    with pytest.raises(SpikeError, match=r"nothing was held out in training.*take test"):
        open_evaluation(Trained.open(runs["ann"], "cpu"), shapes_dir, "val", How(3))


# The files.


def test_two_runs_give_two_pictures_and_the_same_run_the_same(
    shapes_dir: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    pictures = []
    for place, name in enumerate(("first", "second", "first")):
        out = tmp_path / f"{place}.png"
        record = look_at_runs(look(shapes_dir, runs[name], out=out), silent)
        assert record["warnings"] == []
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[2] != pictures[1]


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_the_paper_has_the_color_of_the_theme_and_nothing_touches_its_sides(
    shapes_dir: Path, runs: dict[str, Path], tmp_path: Path, theme: str
) -> None:
    out = tmp_path / "runs.png"
    look_at_runs(look(shapes_dir, runs["first"], runs["second"], out=out, theme=theme), silent)
    image = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert image.shape[1] == 8.6 * report.DOTS and FULL == 200
    paper = np.array([int(THEMES[theme].paper[place : place + 2], 16) for place in (1, 3, 5)])
    drawn = np.abs(image - paper).max(axis=2) > 24
    assert not drawn[:, :2].any() and not drawn[:, -2:].any() and not drawn[:2].any() and not drawn[-2:].any()
    for third in np.array_split(drawn, 3):  # curves, scores, clouds
        assert 0.01 < third.mean() < 0.5


def test_a_page_holds_settings_scores_and_figures_and_needs_no_network(
    shapes_dir: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "runs.html"
    record = look_at_runs(look(shapes_dir, runs["first"], runs["second"], out=out), silent)
    page = out.read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    assert not re.search(r'<(script|link)|src="(?!data:)', page)
    assert page.count("<svg") == 2 and page.count("data:image/png;base64,") == 1
    assert "<td>model.neuron.start</td><td>perturbed</td><td>zeros</td>" in page
    assert "<tr class=differs><td>seed</td><td>0</td><td>1</td>" in page
    assert "<tr><td>dataset</td><td>shapes</td><td>shapes</td>" in page
    for run in record["runs"]:
        for row in run["results"]:
            assert f"<td>{row['instance_accuracy']:.2%}</td>" in page
    for words in ("Learning rate", "Accuracy against energy", "energy of one cloud, µJ", "time steps T", "predicted"):
        assert words in page


def test_names_cannot_break_a_page(tmp_path: Path) -> None:
    report = Report("<b>", "a & b", LIGHT, [Section("<i>", table=Table(("<u>",), [("<s>",)]))])
    save_report_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search("<[bius]>", page) and "&lt;b&gt;" in page and "a &amp; b" in page


def test_the_command_tells_and_records_what_it_drew(
    cli: Callable, shapes_dir: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    given = ["view", runs["first"], "--data-dir", shapes_dir, "-T", 2, "--runs", 2, "--out", tmp_path / "run.png"]
    document = cli(*given, "--json", "--quiet").document
    (record,) = document["runs"]
    assert [epoch["loss"] for epoch in record["epochs"]] == [epoch["loss"] for epoch in curve_of(runs["first"])]
    assert record["settings"]["points"] == 24
    assert [row["timesteps"] for row in record["results"]] == [1, 2]
    assert sum(map(sum, record["confusion"])) == record["samples"] == 100
    assert len(record["mistakes"]) == 100 - sum(record["confusion"][place][place] for place in range(10))
    told = cli(*given, "--quiet")
    assert told.err == "" and f"wrote {tmp_path / 'run.png'}" in told.out
    assert f"T = 2  {document['runs'][0]['results'][1]['instance_accuracy']:.2%}" in told.out


def test_progress_ends_at_what_was_announced(shapes_dir: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    steps: list[float] = []
    totals: list[float] = []

    def listen(done: float, total: float | None = None) -> None:
        steps.append(done)
        totals.extend([] if total is None else [total])

    look_at_runs(look(shapes_dir, runs["first"], runs["second"], out=tmp_path / "x.png"), listen)
    assert totals == [2 * 100 + 100 + 1] == [sum(steps)]


# Runs that are not whole.


def test_an_ann_has_one_time_step_and_no_held_out_part(shapes_dir: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    record = look_at_runs(look(shapes_dir, runs["ann"], out=tmp_path / "ann.png"), silent)
    assert [row["timesteps"] for row in record["runs"][0]["results"]] == [1]
    assert record["runs"][0]["repeats"] == 1 and record["warnings"] == []


def of_other_data(weights: Path) -> None:
    """Have a weights file say that it was trained on ModelNet10, which is not made on the way as shapes are."""
    stored = checkpoints.load(weights)
    checkpoints.save(weights, replace(stored, config=stored.config.model_copy(update={"dataset": "modelnet10"})))


def test_without_the_data_the_curves_are_drawn_and_one_line_says_what_is_missing(
    cli: Callable, runs: dict[str, Path], tmp_path: Path
) -> None:
    run, out = Path(shutil.copytree(runs["first"], tmp_path / "first")), tmp_path / "run.png"
    of_other_data(run / "model.safetensors")
    told = cli("view", run, "--data-dir", tmp_path / "nothing", "--out", out, "--quiet")
    assert told.code == 0
    assert told.err.count("warning: first is not evaluated: ") == 1
    assert "spikecli data prepare modelnet10" in " ".join(told.err.split())
    with Image.open(out) as image:
        assert image.height < 800  # curves alone


def test_a_run_that_has_only_its_state_shows_its_curves(
    shapes_dir: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "at-work"
    folder.mkdir()
    shutil.copy(runs["first"] / "state.safetensors", folder)
    record = look_at_runs(look(shapes_dir, folder, out=tmp_path / "x.png"), silent)
    assert [epoch["loss"] for epoch in record["runs"][0]["epochs"]] == [e["loss"] for e in curve_of(runs["first"])]
    assert record["warnings"] == [f"at-work is not evaluated: found no weights in {folder} yet"]


def test_weights_alone_are_scored_without_curves(shapes_dir: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "released"
    folder.mkdir()
    shutil.copy(runs["first"] / "model.safetensors", folder)
    record = look_at_runs(look(shapes_dir, folder, out=tmp_path / "x.html"), silent)
    assert record["warnings"] == ["released has no epoch yet: no curves"]
    assert len(record["runs"][0]["results"]) == 3
    of_other_data(folder / "model.safetensors")
    with pytest.raises(SpikeError, match=r"released is not evaluated: .*not prepared"):
        look_at_runs(look(tmp_path / "nothing", folder, out=tmp_path / "x.html"), silent)


def test_a_run_under_way_says_how_far_it_has_come(runs: dict[str, Path]) -> None:
    record = read_run(runs["first"])
    assert record.label == "first"
    assert replace(record, epochs=record.epochs[:1]).label == "first (1 of 2 epochs)"
    assert RunRecord("new", Path(), TrainConfig(), (), None).label == "new"


def test_runs_of_one_name_are_called_by_their_folders(shapes_dir: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "first"
    shutil.copytree(runs["first"], again)
    out = tmp_path / "x.html"
    look_at_runs(look(shapes_dir, runs["first"], again, out=out), silent)
    page = out.read_text(encoding="utf-8")
    assert f"<th>{runs['first']}</th><th>{again}</th>" in page


def test_a_damaged_run_names_file_and_line(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["first"], folder)
    curve = folder / "metrics.jsonl"
    whole = curve.read_text()
    for broken in (whole + '{"epoch": 3, "lo', whole + '{"epoch": 3}\n', whole + "7\n"):
        curve.write_text(broken)
        with pytest.raises(SpikeError, match=r"metrics.jsonl .*line 3"):
            read_run(folder)
    curve.write_text(whole)
    (folder / "config.json").write_text("{")
    with pytest.raises(SpikeError, match=r"config.json is damaged, cut short"):
        read_run(folder)
    for name in ("config.json", "model.safetensors", "state.safetensors"):
        (folder / name).unlink()
    with pytest.raises(SpikeError, match=r"holds metrics.jsonl, but neither"):
        read_run(folder)


# What is refused.


def test_a_folder_is_a_run_or_nothing(runs: dict[str, Path], tmp_path: Path) -> None:
    assert kind_of(str(runs["first"])) == "runs"
    (tmp_path / "notes.md").write_text("no shape\n")
    (tmp_path / "lamp.PLY").write_bytes(b"")
    with pytest.raises(SpikeError, match=r"found no training run in the folder .*name files, such as .*lamp\.PLY"):
        kind_of(str(tmp_path))


def test_bad_requests_are_one_line_and_begin_no_work(
    cli: Callable, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "read_run", lambda folder: pytest.fail("it began to work"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(window.sys, "platform", "linux")
    wanted = {
        "found no display": [],
        "name a file that ends in one of .png, .svg, .pdf, .html": ["--out", tmp_path / "run.gif"],
        "found --show spikes, which cannot show runs; remove": ["--show", "spikes", "--out", tmp_path / "run.png"],
        "found --against, which has no effect": ["--against", runs["second"], "--out", tmp_path / "run.png"],
        "found --checkpoint, which has no effect": ["--checkpoint", runs["second"], "--out", tmp_path / "run.png"],
    }
    for line, given in wanted.items():
        told = cli("view", runs["first"], "--quiet", *given)
        assert told.code == 1 and line in told.err and told.err.count("\n") == 1


def test_a_picture_of_a_run_never_asks_for_a_screen(shapes_dir: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from spikecli.view.look import Look\n"
        "from spikecli.view.runs.flow import look_at_runs\n"
        f"look = Look(({str(runs['second'])!r},), Path({str(shapes_dir)!r}), Path({str(tmp_path / 'x.png')!r}))\n"
        "look_at_runs(look, lambda *done, **fields: None)\n"
        "sys.exit('matplotlib.pyplot' in sys.modules or 'open3d' in sys.modules)"
    )
    env = {**os.environ, "DISPLAY": ":987", "MPLBACKEND": ""}
    forks.run([sys.executable, "-c", code], env=env, check=True, fresh=True)


def test_a_window_gets_the_picture_in_a_size_that_fits_a_screen(
    shapes_dir: Path, runs: dict[str, Path], scored: Scored, fine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []

    def child(line: list[str], **how: object) -> subprocess.CompletedProcess:
        shown.append(np.load(line[-1])["image"])
        return subprocess.CompletedProcess(line, 0, "", "")

    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(window.subprocess, "run", child)
    look_at_runs(look(shapes_dir, runs["first"]), silent)
    (image,) = shown
    whole = picture(flow.build_report([scored.record], [scored], look(shapes_dir, runs["first"])))
    assert image.shape == (window.TALLEST, whole.width * window.TALLEST // whole.height, 3)


class Meter(torch.nn.Module):
    """A network whose answer is how many time steps it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        assert len(x) == timesteps
        return (torch.nn.functional.one_hot(torch.tensor(timesteps - 1), 4) * self.gain).expand(
            timesteps, x.shape[1], 4
        )


class Recordings:
    """Three recordings, sliced anew for each number of time steps."""

    labels = np.array([1, 2, 2])
    classnames = ("one", "two", "three", "four")
    dataset, unit_name, static, fingerprint = "digits", "recordings", False, ""

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        frames = np.zeros((3, timesteps, 2, 5, 5), np.float32)
        frames[:, 0, 1, 2, 3] = 1
        return frames if chosen is None else frames[chosen]


def test_recordings_are_sliced_anew_for_each_number_of_steps_and_their_mistakes_drawn(
    runs: dict[str, Path],
) -> None:
    done: list[int] = []
    how = How(on_samples=done.append)
    evaluation = Evaluation(Meter(), Recordings(), "test", np.arange(3), how)  # type: ignore[arg-type]
    assert evaluation.work(3) == 9
    predictions = evaluate_each(evaluation, 3)
    assert predictions.classes.tolist() == [[[0, 0, 0], [1, 1, 1], [2, 2, 2]]] and sum(done) == 9
    assert predictions.accuracies.tolist() == [[0, pytest.approx(1 / 3), pytest.approx(2 / 3)]]
    one = Scored(0, read_run(runs["first"]), evaluation, predictions)
    figure = mistakes_figure(one, LIGHT)
    assert figure is not None and len(figure.axes) == 1  # of the three one is wrong after three steps
    assert [text.get_text().split(" ")[0] for text in figure.texts] == ["three", "is"]
    (drawn,) = figure.axes[0].images
    lit = np.argwhere(np.abs(np.asarray(drawn.get_array()) - 1).sum(-1) > 0.1)
    assert lit.tolist() == [[2, 3]]
    right = replace(predictions, labels=predictions.classes[0, -1])
    assert mistakes_figure(replace(one, predictions=right), LIGHT) is None
    assert scores_figure([one], LIGHT).axes[1].get_xlabel() == "energy of one recording, µJ"


def test_no_tick_says_more_than_all() -> None:
    from spikecli.view.drawing.chart import in_percent

    assert [in_percent(share, 0) for share in (0, 0.925, 1.0, 1.025)] == ["0%", "92.5%", "100%", ""]
