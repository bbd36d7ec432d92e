"""`spikecli ablate`: one table over ordinary runs; it goes on where it stopped and mixes no settings."""

from __future__ import annotations

import csv
import os
import signal
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Outcome

from spikecli.errors import SpikeError, Stopped
from spikecli.evaluation.evaluate import evaluate, logits_of, samples_for
from spikecli.evaluation.how import How
from spikecli.evaluation.readings import spikes_in
from spikecli.settings.recipes import train_settings
from spikecli.training import ablate as flow
from spikecli.training import train
from spikecli.training.ablate import RECORD, Trial, trial
from spikecli.training.interruption import stoppable
from spikecli.training.scoring import Score, Scoring, as_csv, score, summarized
from spikecli.weights.checkpoint import load
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]
COMMON = ("--points", 16, "--batch-size", 60, "--epochs", 1, "--quiet")


@pytest.fixture(scope="module")
def done(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished ablation: two papers with two seeds, and the ANN."""
    from spikecli.cli import run

    out = tmp_path_factory.mktemp("ablation")
    line = ["ablate", "shapes", "--papers", "lif,ternary-trainable,ann", "--runs", 2, "--timesteps", "1,2"]
    assert run([str(each) for each in (*line, *COMMON, "--data-dir", shapes_dir, "--out", out)]) == 0
    return out


def again(cli: Cli, done: Path, data: Path, *more: object) -> Outcome:
    line = ("ablate", "shapes", "--papers", "lif,ternary-trainable,ann", "--runs", 2, "--timesteps", "1,2")
    return cli(*line, *COMMON, "--data-dir", data, "--out", done, *more)


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(train.Trainer, "epochs", refuse)


def test_csv_document_and_table_say_the_same(
    cli: Cli, done: Path, shapes_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    ended = again(cli, done, shapes_dir, "--json", "--layers")
    assert ended.code == 0, ended.err
    document = ended.document
    assert (document["split"], document["samples"], document["runs"]) == ("val", 20, 2)
    rows = list(csv.DictReader((done / "table.csv").read_text().splitlines()))
    assert [(row["paper"], row["seed"], row["timesteps"]) for row in rows] == [
        *[(paper, seed, t) for paper in ("lif", "ternary-trainable") for seed in "01" for t in "12"],
        ("ann", "0", "1"), ("ann", "1", "1"),
    ]  # fmt: skip
    assert [
        {key: str(value) if value is not None else "" for key, value in row.items()} for row in document["rows"]
    ] == rows
    shown = again(cli, done, shapes_dir).out
    for entry in document["table"]:
        line, *_ = [line for line in shown.splitlines() if f" {entry['paper']} " in line]
        for cell in entry["results"]:
            mine = [row for row in rows if (row["paper"], row["timesteps"]) == (entry["paper"], str(cell["timesteps"]))]
            accuracies = [float(row["instance_accuracy"]) for row in mine]
            assert cell["instance_accuracy"] == pytest.approx(statistics.fmean(accuracies))
            assert cell["instance_accuracy_std"] == pytest.approx(statistics.stdev(accuracies))
            assert f"{100 * cell['instance_accuracy']:.1f} ± {100 * cell['instance_accuracy_std']:.1f}" in line
    ann = document["table"][-1]["results"]
    assert [cell["timesteps"] for cell in ann] == [1] and ann[0]["firing_rate"] is None
    assert ann[0]["quantization_error"] is None and ann[0]["synaptic_operations"] == 0


def test_layers_add_up_to_the_whole_and_trained_amplitudes_fold(
    cli: Cli, done: Path, shapes_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    document = again(cli, done, shapes_dir, "--json", "--layers").document
    for paper in ("lif", "ternary-trainable", "ann"):
        layers = document["layers"][paper]
        last = [row for row in document["rows"] if row["paper"] == paper and row["seed"] == 0][-1]
        assert sum(row["energy_uj"] for row in layers) == pytest.approx(last["energy_uj"])
        assert sum(row["synaptic_operations"] for row in layers) == pytest.approx(last["synaptic_operations"])
    by_name = {row["layer"]: row for row in document["layers"]["ternary-trainable"]}
    trained = load(done / "ternary-trainable-t1-seed0" / "model.safetensors").tensors["fire2.amplitude.value"]
    assert trained.item() != 1
    assert by_name["pool"]["multiplies"] == 0 and by_name["pool"]["synaptic_operations"] > 0
    assert by_name["head1"]["multiplies"] == 2 * 1024 * 512  # a maximum of real values
    assert 0 < by_name["fire2"]["firing_rate"] < 1 and by_name["fire2"]["quantization_error"] > 0
    shown = again(cli, done, shapes_dir, "--layers").out
    assert "ann, seed 0, one sample at T = 1" in shown and "multiply-adds" in shown


def test_a_run_is_an_ordinary_run_and_its_score_that_of_eval(cli: Cli, done: Path, shapes_dir: Path) -> None:
    line = ("--timesteps", "1,2", "--split", "val", "--runs", 1, "--data-dir", shapes_dir, "--json", "--quiet")
    document = cli("eval", done / "lif-t1-seed1", *line).document
    rows = [
        r
        for r in csv.DictReader((done / "table.csv").read_text().splitlines())
        if (r["paper"], r["seed"]) == ("lif", "1")
    ]
    assert document["split"] == "val" and document["samples"] == 20
    for row, result in zip(rows, document["results"], strict=True):
        assert float(row["instance_accuracy"]) == result["instance_accuracy"]
        assert float(row["energy_uj"]) == result["energy_uj"]


def test_a_run_trained_in_bf16_is_scored_in_fp32_as_eval_does(done: Path, shapes_dir: Path) -> None:
    trained = Trained.open(done / "lif-t1-seed1")
    samples = samples_for(trained, shapes_dir, None, "val")
    how = How(device=trained.device)
    assert not torch.equal(
        logits_of(trained.network, samples.inputs(2), 2, replace(how, precision="bf16")),
        logits_of(trained.network, samples.inputs(2), 2, how),
    )
    config = trained.config.model_copy(update={"precision": "bf16"})
    rows, layers, _ = score(replace(trained, config=config), samples, Scoring((1, 2), "val", 1))
    assert (rows, layers) == score(trained, samples, Scoring((1, 2), "val", 1))[:2]
    for row, seen in zip(rows, evaluate(trained.network, samples, (1, 2), how), strict=True):
        assert (row.instance_accuracy, row.energy_uj) == (seen.instance_accuracy, seen.energy_uj)


def test_changed_settings_are_refused_before_anything_is_trained(
    cli: Cli, done: Path, shapes_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    for option, value, said in (
        ("--lr", 0.1, "--lr cannot be 0.1:"),
        ("--epochs", 3, "--epochs cannot be 3:"),
        ("--threshold", 0.7, "--threshold cannot be 0.7:"),
    ):
        refused = again(cli, done, shapes_dir, option, value)
        assert refused.code == 2 and said in refused.err and "another folder" in refused.err
        assert refused.err.count("\n") == 1


def test_another_split_or_t_is_scored_anew_without_training(
    cli: Cli, done: Path, shapes_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    document = again(cli, done, shapes_dir, "--split", "test", "--timesteps", "1", "--json").document
    assert document["samples"] == 100 and {row["split"] for row in document["rows"]} == {"test"}
    assert document["rows"][0]["instance_accuracy"] > 0.15  # chance is 0.1


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--papers", "lif", "--val-fraction", 0), "--split test", 1),
        (("--papers", "lif,ann", "--timesteps", "2"), "add 1 to --timesteps", 1),
        (("--papers", "lif", "--timesteps", "0"), "at least 1 time step", 1),
        (("--papers", "lif,soft-reset-mpr", "--fire", "ternary"), "--norm rectifier", 2),
        (("--papers", "lif", "--model", "resnet20"), "holds points", 2),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    cli: Cli, shapes_dir: Path, tmp_path: Path, arguments: tuple[object, ...], said: str, code: int
) -> None:
    refused = cli("ablate", "shapes", *arguments, "--data-dir", shapes_dir, "--out", tmp_path / "out")
    assert refused.code == code and said in refused.err and refused.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def trials(out: Path) -> list[Trial]:
    values: dict[str, Any] = {"epochs": 2, "batch_size": 20, "points": 16, "seed": 0}
    return [trial(train_settings("shapes", paper, "short", values, {}, {}), out) for paper in ("lif", "rmp-loss")]


def run_all(out: Path, data: Path, stop_at: str = "") -> tuple[list[Score], list[float]]:
    """Return the scores and the epochs reported; Ctrl-C comes when `stop_at` is what is under way."""
    reported: list[float] = []

    def on_progress(epochs: float, text: str) -> None:
        reported.append(epochs)
        if stop_at and f"{epochs:.4f} {text}".startswith(stop_at):
            os.kill(os.getpid(), signal.SIGINT)

    outcomes = flow.ablate(trials(out), Scoring((1, 2), "val", 1), data, "cpu", on_progress)
    return [row for outcome in outcomes for row in outcome.scores], reported


def test_wherever_it_is_stopped_it_goes_on_to_the_same_table(shapes_dir: Path, tmp_path: Path) -> None:
    expected, reported = run_all(tmp_path / "whole", shapes_dir)
    assert reported == sorted(reported) and reported[0] == 0 and reported[-1] == 4
    parts = tmp_path / "parts"
    # In an epoch; in the very last step, whose stop the run itself no longer heeds; while scoring; in the next paper.
    for moment in ("0.5556 lif", "2.0000 lif, seed 0: loss", "2.0000 lif, seed 0: scoring", "3.0000 rmp-loss"):
        with pytest.raises(Stopped, match=r"parts: give the same command again"):
            run_all(parts, shapes_dir, moment)
    ended, reported = run_all(parts, shapes_dir)
    assert reported[0] == 3
    assert ended == expected
    one, other = (load(folder / "rmp-loss-t1-seed0" / "model.safetensors") for folder in (tmp_path / "whole", parts))
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_a_stop_after_the_last_but_one_run_is_heeded_and_after_the_last_there_is_nothing_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def score(one: Trial, *_: object) -> str:
        scored.append(one.config.paper)
        if len(scored) in stops:
            os.kill(os.getpid(), signal.SIGINT)
        return one.config.paper

    monkeypatch.setattr(flow, "_finished", lambda one: True)
    monkeypatch.setattr(flow, "_score", score)

    def run() -> list[Any]:
        scored.clear()
        return list(flow.ablate(trials(tmp_path), Scoring((1,), "val", 1), tmp_path, "cpu", lambda *_: None))

    stops = {1}
    with pytest.raises(Stopped, match=r"stopped between two runs \(rmp-loss, seed 0\); what is done is kept in"):
        run()
    assert scored == ["lif"]
    stops = {2}
    assert run() == ["lif", "rmp-loss"]


def test_a_run_whose_last_pass_was_lost_is_completed(shapes_dir: Path, tmp_path: Path) -> None:
    expected, _ = run_all(tmp_path, shapes_dir)
    folder = tmp_path / "lif-t1-seed0"
    (folder / RECORD).unlink()  # killed between the last epoch and the end
    weights = load(folder / "best.safetensors").tensors
    (folder / "model.safetensors").write_bytes((folder / "best.safetensors").read_bytes())
    assert run_all(tmp_path, shapes_dir)[0] == expected
    restored = load(folder / "model.safetensors").tensors
    assert any(not torch.equal(restored[name], weights[name]) for name in weights)
    (folder / RECORD).write_text("{")
    with pytest.raises(SpikeError, match=f"cannot read .*{RECORD}"):
        run_all(tmp_path, shapes_dir)


def test_a_block_within_a_block_hands_its_wish_to_stop_on() -> None:
    with stoppable() as outer:
        with stoppable() as inner:
            os.kill(os.getpid(), signal.SIGINT)
        assert inner.asked and outer.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_spikes_times_an_amplitude_are_known_from_real_values() -> None:
    spikes = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
    amplitude = torch.tensor([0.3, -1.7, 2.0])

    def are_spikes(x: torch.Tensor, amplitudes: list[torch.Tensor]) -> bool:
        return bool(spikes_in(x[:, None], [1.0], amplitudes)[0].all())

    assert are_spikes(spikes, []) and not are_spikes(spikes * 0.3, [])
    assert are_spikes(spikes * amplitude, [amplitude]) and not are_spikes(spikes * amplitude.flip(0), [amplitude])
    assert are_spikes((spikes * amplitude).bfloat16().float(), [torch.ones(5), amplitude])
    assert are_spikes(spikes * 0.7, [torch.tensor([0.7])])
    assert not are_spikes(torch.tensor([[0.3, 0.5, 2.0]]), [amplitude])


def test_one_seed_has_no_deviation_and_the_ann_no_rate() -> None:
    row = Score("ann", 3, 1, 1, "val", 10, 0.5, 0.0, 0.5, None, 0.0, 44.0, None)
    assert summarized([row])["ann"][0].instance_accuracy_std is None
    assert summarized([row])["ann"][0].firing_rate is None
    assert as_csv([row]).splitlines()[1] == "ann,3,1,1,val,10,0.5,0.0,0.5,,0.0,44.0,"
