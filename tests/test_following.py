"""Following a run: its table, its logs, the batch system's warning signal, and a limit of time."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cloud_runs import fit, settings
from conftest import Outcome

from spikecli.errors import ChoiceError, SettingError
from spikecli.files.atomic import is_held, sole_writer
from spikecli.training import budget, pace, session, train
from spikecli.training.budget import Budget, parse_time
from spikecli.training.pace import Pace, epochs_within
from spikecli.training.train import opened
from spikecli.weights.checkpoint import load
from spikecli.weights.run_folder import LAST, STATE

Cli = Callable[..., Outcome]
LINE = ("train", "shapes", "--points", 16, "--batch-size", 60, "--quiet")


@pytest.fixture(scope="module")
def place(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run of one epoch."""
    folder = tmp_path_factory.mktemp("runs")
    fit(settings(epochs=1, points=16, batch_size=60), shapes_dir, folder / "done")
    return folder


def test_the_curve_is_a_table_too(place: Path) -> None:
    rows = list(csv.DictReader((place / "done" / "results.csv").read_text().splitlines()))
    epochs = [json.loads(line) for line in (place / "done" / "metrics.jsonl").read_text().splitlines()]
    assert [float(row["loss"]) for row in rows] == [epoch["loss"] for epoch in epochs]
    assert rows[0]["epoch"] == "1" and float(rows[0]["val_accuracy"]) == epochs[0]["val_accuracy"]


def test_runs_are_listed_with_their_state(cli: Cli, place: Path, tmp_path: Path) -> None:
    (place / "broken").mkdir(exist_ok=True)
    (place / "broken" / "metrics.jsonl").write_text("{")
    stopped = place / "ablate-shapes" / "stopped"
    stopped.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "metrics.jsonl", LAST):
        (stopped / name).write_bytes((place / "done" / name).read_bytes())
    config = json.loads((stopped / "config.json").read_text())
    (stopped / "config.json").write_text(json.dumps({**config, "epochs": 7}))
    with sole_writer(place / "done", "training"):
        found = {line["run"]: line for line in cli("runs", place, "--json").document}
        assert found[str(place / "done")]["state"] == "running" and is_held(place / "done")
    ended = cli("runs", place, "--out", tmp_path / "runs.csv", "--json")
    found = {Path(line["run"]).name: line for line in ended.document}
    assert {name: line["state"] for name, line in found.items()} == {
        "done": "finished", "broken": "damaged", "stopped": "stopped"
    }  # fmt: skip
    one = found["stopped"]
    assert (one["dataset"], one["model"], one["paper"], one["seed"]) == ("shapes", "pointnet", "spiking-pointnet", 0)
    assert (one["epochs"], one["epochs_asked"]) == (1, 7) and one["bytes"] > 1000
    assert one["val_accuracy"] == one["best_val_accuracy"] is not None
    assert "broken" in ended.err
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert {Path(row["run"]).name for row in rows} == set(found)
    assert "1/7" in cli("runs", place).out
    assert cli("runs", tmp_path / "none").code == 1


FAKES = {
    "wandb": """
calls = []
class Run:
    def log(self, values, step): calls.append(("log", step, values))
    def finish(self, exit_code): calls.append(("finish", exit_code))
def init(**given):
    calls.append(("init", given))
    return Run()
""",
    "mlflow": """
calls = []
class Info:
    run_id = "abc123"
class Run:
    info = Info
def set_experiment(name): calls.append(("experiment", name))
def start_run(**given):
    calls.append(("init", given))
    return Run
def log_params(values): calls.append(("params", values))
def log_metrics(values, step): calls.append(("log", step, values))
def end_run(status): calls.append(("finish", status))
""",
}


def test_wandb_and_mlflow_get_settings_epochs_and_the_end(
    cli: Cli, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FAKES.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    out = tmp_path / "run"
    line = (*LINE, "--data-dir", shapes_dir, "--out", out, "--log", "wandb,mlflow", "--json")
    assert cli(*line, "--epochs", 1).code == 0
    import mlflow
    import wandb

    (_, given), (_, step, values), end = wandb.calls
    assert (given["mode"], given["name"], given["project"]) == ("offline", "run", "spikecli")
    assert given["config"]["epochs"] == 1 and given["config"]["paper"] == "spiking-pointnet"
    assert step == 1 and 0 <= values["val_accuracy"] <= 1 and end == ("finish", 0)
    assert [call[0] for call in mlflow.calls] == ["experiment", "init", "params", "log", "finish"]
    assert mlflow.calls[3][2]["loss"] == values["loss"] and mlflow.calls[-1] == ("finish", "FINISHED")
    wandb.calls.clear()
    mlflow.calls.clear()
    assert cli(*line, "--epochs", 2, "--resume").code == 0
    assert wandb.calls[0][1]["id"] == given["id"] and [call[1] for call in wandb.calls if call[0] == "log"] == [2]
    for name in FAKES:
        del sys.modules[name]  # not by monkeypatch, which would bring it back
    assert mlflow.calls[1] == ("init", {"run_id": "abc123"}) and "params" not in [call[0] for call in mlflow.calls]


def test_a_log_that_is_unknown_or_not_installed_is_said_before_any_work(cli: Cli) -> None:
    ended = cli(*LINE, "--log", "wandbb")
    assert ended.code == 2 and "did you mean wandb?" in ended.err
    missing = next((name for name in ("mlflow", "wandb") if not _installed(name)), None)
    if missing:
        ended = cli(*LINE, "--log", missing)
        assert ended.code == 1 and f"pip install {missing}" in ended.err


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.mark.filterwarnings("ignore")  # of other packages
def test_the_real_wandb_logs_offline_and_goes_on(
    cli: Cli, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    line = (*LINE, "--data-dir", shapes_dir, "--out", tmp_path / "run", "--log", "wandb")
    assert cli(*line, "--epochs", 1).code == 0
    ident = json.loads((tmp_path / "run" / "log.json").read_text())["wandb"]
    assert cli(*line, "--epochs", 2, "--resume").code == 0
    assert json.loads((tmp_path / "run" / "log.json").read_text())["wandb"] == ident
    kept = list((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{ident}.wandb"))
    assert kept and all(b"val_accuracy" in one.read_bytes() for one in kept)


@pytest.mark.filterwarnings("ignore")  # of other packages
def test_the_real_mlflow_has_settings_and_epochs(
    cli: Cli, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("sqlalchemy", reason="mlflow keeps its numbers in a data base, by sqlalchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path / 'mlflow.db'}")
    line = (*LINE, "--data-dir", shapes_dir, "--out", tmp_path / "run", "--log", "mlflow")
    assert cli(*line, "--epochs", 1).code == 0
    assert cli(*line, "--epochs", 2, "--resume").code == 0
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("spikecli").experiment_id])
    epochs = [json.loads(row) for row in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    logged = [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "loss")]
    assert logged == [(number, pytest.approx(epoch["loss"])) for number, epoch in enumerate(epochs, 1)]
    assert (run.info.status, run.info.run_name, run.data.params["points"]) == ("FINISHED", "run", "16")


def test_a_limit_of_time_counts_from_the_beginning_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.machine import clock

    monkeypatch.setattr(clock, "_BEGUN", [])
    ticks = iter((10.0, 25.0, 40.0))
    monkeypatch.setattr(clock, "monotonic", lambda: next(ticks))
    assert clock.begun() == 10.0  # a library has no beginning of its own: now
    clock.start()
    assert clock.begun() == 25.0 == clock.begun()
    clock.start()
    assert clock.begun() == 25.0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")
def test_the_warning_signal_saves_and_training_goes_on(place: Path, shapes_dir: Path, tmp_path: Path) -> None:
    saved: list[int] = []

    def on_step(step: int, steps: int, *_: object) -> None:
        if step == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        else:
            saved.append(load(tmp_path / STATE).notes["progress"]["step"])

    config = settings(epochs=1, points=16, batch_size=60)
    with opened(config, shapes_dir, tmp_path, False, "cpu") as trainer:
        assert len(list(trainer.epochs(on_step))) == 1
    assert saved == [1] * (trainer.batches.steps - 1)
    same_weights(tmp_path, place / "done")


def same_weights(one: Path, other: Path) -> None:
    first, second = load(one / LAST).tensors, load(other / LAST).tensors
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_time_is_read_and_epochs_are_fitted_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parse_time(text) for text in ("2h", "90m", "1h30m", "45s", "1.5 h")] == [7200, 5400, 5400, 45, 5400]
    for text in ("2", "2 hours", "0s", "-1h", ""):
        with pytest.raises(ChoiceError, match=r"2h, 90m or 1h30m|takes some time"):
            parse_time(text)
    assert [Pace(10.0, 5.0).fitting(left) for left in (4, 14, 15, 95, 104.9)] == [0, 0, 1, 9, 9]
    assert Pace(10.0, 5.0).fitting(95, most=3) == 3
    monkeypatch.setattr(budget.time, "monotonic", lambda: 100.0)
    assert Budget(100.0, 90.0).left == pytest.approx(85.0)  # a twentieth is kept back, ten seconds are gone
    assert epochs_within(Budget(100.0, 90.0), Pace(10.0, 5.0)) == 8
    with pytest.raises(SettingError, match="an epoch takes about 3 min here; give at least"):
        epochs_within(Budget(100.0, 90.0), Pace(200.0, 5.0))


def test_a_limited_run_is_the_run_of_as_many_epochs(
    place: Path, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Pace] = []

    def real(trainer: train.Trainer) -> Pace:
        measured.append(pace.measure(trainer))
        monkeypatch.setattr(pace, "_saving", lambda trainer: next(saving))
        measured.append(pace.measure(trainer))
        return Pace(60.0, 0.0)

    saving = iter([5000.0, 2000.0])  # the first time, and each other
    monkeypatch.setattr(session, "measure", real)
    notes: list[str] = []
    how = session.TrainCall(budget=Budget(100.0, time.monotonic()), note=notes.append)
    config = settings(epochs=30, points=16, batch_size=60)
    with session.session(config, shapes_dir, tmp_path, False, "cpu", how) as trainer:
        assert trainer.config.epochs == 1
        list(trainer.epochs(lambda *_: None))
    assert 0 < measured[0].epoch < 2000 <= measured[1].epoch and measured[1].end >= 3000
    assert "hold 1 epoch," in notes[0]
    same_weights(tmp_path, place / "done")


def test_a_run_whose_time_is_up_ends_and_goes_on_with_its_own_epochs(
    cli: Cli, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "measure", lambda trainer: Pace(1000.0, 0.0))
    monkeypatch.setattr(train, "is_over", lambda given, seconds: given is not None)
    line = (*LINE, "--data-dir", shapes_dir, "--out", tmp_path / "run", "--json")
    ended = cli(*line, "--time", "1h", "--epochs", 2)
    assert ended.code == 0 and ended.document["epochs"] == 1
    assert "1 of 2 epochs; --resume goes on" in ended.err
    assert cli(*line, "--resume").document["epochs"] == 2
    assert cli(*LINE, "--time", "1h", "--processes", 2).code == 2
