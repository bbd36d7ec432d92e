"""`bench RUN`: which rows it has and what they hold; no test asks how fast this machine is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome

from spikecli.cli.shown.latency import draw_latency, latency_cells
from spikecli.errors import SpikeError
from spikecli.evaluation.stopping import StopRule
from spikecli.speed import latency
from spikecli.speed.latency import LatencyPlan, LatencyRow
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]


def test_each_engine_has_a_row_a_batch_and_number_of_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "peak_above_imports", lambda *arguments, **place: 12.5)
    monkeypatch.setattr(latency, "WARM_UP", 0)
    trained = Trained.open("reference", "cpu")
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    plan = LatencyPlan((1,), StopRule(0.5, 2), (1, 2), repeats=1, data_dir=tmp_path)
    done: list[str] = []
    source, rows = latency.measure(trained, plan, done.append)
    found = [(row.engine, row.timesteps, row.batch) for row in rows]
    both = [("torch", "1", 1), ("floor", "1", 1), ("torch", "auto", 1), ("torch", "1", 2), ("torch", "auto", 2)]
    assert found == [*both, ("onnxruntime", "1", 1), ("onnxruntime", "1", 2)]
    assert len(done) == len(rows)  # a floor is no step of its own, the accuracies are one
    assert "made samples" in source and all(row.instance_accuracy is None for row in rows)
    assert [row.peak_memory_mb for row in rows] == [None, None, None, 12.5, None, None, None]
    assert rows[0].file_bytes == trained.path.stat().st_size and all(row.p95_ms >= row.p50_ms > 0 for row in rows)
    assert all(row.processor_ms > 0 for row in rows)


def test_percentiles_are_of_one_sample() -> None:
    row = latency._row(
        "torch",
        "2",
        4,
        np.array([[0.004, 0.008, 0.012], [0.003, 0.007, 0.005]]),
        None,
        10,
        {"2": latency.StepCost(0.5, 3.0, 2.0)},
    )
    assert (row.p50_ms, row.p95_ms, row.processor_ms) == pytest.approx((2.0, 2.9, 1.25))
    assert (row.instance_accuracy, row.energy_uj, row.mean_timesteps) == (0.5, 3.0, 2.0)


def made(engine: str, steps: str, ms: float, accuracy: float | None) -> LatencyRow:
    return LatencyRow(engine, steps, 1.5, 1, ms, ms, ms / 2, None, 2_000_000, None, accuracy)


def test_a_row_shows_dashes_for_what_is_not_known() -> None:
    assert latency_cells(made("torch", "auto", 2, None)) == (
        "torch", "auto (1.50)", "1", "2.00", "2.00", "1.00", "–", "2.0", "–", "–",
    )  # fmt: skip


def test_the_figure_needs_accuracies(tmp_path: Path) -> None:
    rows = [made("torch", "1", 2, 0.9), made("torch", "2", 4, 0.92), made("torch", "auto", 3, 0.92)]
    draw_latency(tmp_path / "speed.png", "net", [*rows, made("onnxruntime", "1", 1, 0.9)])
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SpikeError, match="no test split is prepared"):
        draw_latency(tmp_path / "none.png", "net", [made("torch", "1", 2, None)])


def test_a_figure_without_a_test_split_is_refused_before_anything_is_measured(cli: Cli, tmp_path: Path) -> None:
    ended = cli("bench", "reference", "--figure", tmp_path / "f.png", "--data-dir", tmp_path, "--quiet")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: a figure needs accuracies on a test split: ")
    assert "run `spikecli data prepare modelnet10`" in ended.err


def test_auto_is_of_a_run(cli: Cli) -> None:
    outcome = cli("bench", "--timesteps", "1,auto")
    assert outcome.code == 1 and "without a RUN" in outcome.err


def test_one_pass_opens_the_network_itself(tmp_path: Path) -> None:
    path = Trained.open("reference", "cpu").path
    threads = torch.get_num_threads()
    latency._run_once(path, np.zeros((1, 16, 3), np.float32), 1)
    torch.set_num_threads(threads)
