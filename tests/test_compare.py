"""Paired tests by hand, and `spikecli compare` on real runs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from cloud_runs import fit, settings
from conftest import Outcome

from spikecli.cli.shown.tests import paper_table
from spikecli.evaluation.paired import bootstrap, mcnemar, paired, sign_flips
from spikecli.settings.config import TrainConfig
from spikecli.training.ablate import Trial
from spikecli.training.paired_papers import paper_tests

Cli = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 5, 2 * (1 + 6) / 64),  # of six coins at most one head, either way
        (0, 5, 2 / 32),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_is_a_binomial_test_of_the_samples_that_differ(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p)
    assert mcnemar(only_second, only_first) == pytest.approx(p)


def test_mcnemar_of_thousands_is_a_number() -> None:
    assert mcnemar(1000, 1200) == pytest.approx(2.2e-5, rel=0.1)  # z = 199.5/√2200: the normal tail is 2.1e-5


def test_the_bootstrap_of_two_samples_by_hand() -> None:
    first, second = np.array([[False, False]]), np.array([[False, True]])
    # Draws of differences 0 and 1: mean 0, ½ or 1 with probabilities ¼, ½, ¼: the middle 95 % is all of them.
    assert bootstrap(first, second, seed=0) == (0.0, 1.0)
    always = np.array([[True] * 7])
    assert bootstrap(~always, always, seed=0) == (1.0, 1.0)
    assert bootstrap(always, always, seed=0) == (0.0, 0.0)


def test_the_bootstrap_has_the_width_of_the_standard_error() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((1, 2000)) < 0.8, rng.random((1, 2000)) < 0.8
    low, high = bootstrap(first, second, seed=1)
    error = (second.astype(float) - first).std() / np.sqrt(2000)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    assert bootstrap(first, second, seed=1) == (low, high) != bootstrap(first, second, seed=2)


def test_trainings_widen_the_interval() -> None:
    """Two trainings that are right everywhere or nowhere: what is drawn of them decides, not the samples."""
    split = np.array([[True] * 50, [False] * 50])
    steady = np.array([[True] * 50])
    low, high = bootstrap(steady, split, seed=0)
    assert (low, high) == (-1.0, 0.0)  # 0, −½ and −1 with probabilities ¼, ½ and ¼


def test_sign_flips_approach_the_exact_p() -> None:
    assert sign_flips(np.ones(5), seed=0) == pytest.approx(2 / 32, abs=0.01)
    assert sign_flips(np.zeros(5), seed=0) == 1.0
    differences = np.array([1.0] * 8 + [-1.0] * 2 + [0.0] * 30)
    assert sign_flips(differences, seed=0) == pytest.approx(mcnemar(2, 8), abs=0.015)


def test_single_networks_take_mcnemar_and_several_trainings_sign_flips() -> None:
    first, second = np.zeros((1, 6), dtype=bool), np.ones((1, 6), dtype=bool)
    first[0, 0], second[0, 0] = True, False
    found = paired(first, second)
    assert (found.test, found.only_first, found.only_second) == ("McNemar", 1, 5)
    assert found.p == pytest.approx(14 / 64) and found.difference == pytest.approx(4 / 6)
    assert found.low < found.difference < found.high
    several = paired(np.repeat(first, 3, 0), np.repeat(second, 3, 0))
    assert (several.test, several.only_first) == ("sign flips", None)
    assert several.difference == pytest.approx(4 / 6)


# Papers of an ablation.


def outcome(paper: str, seed: int, label: str = "", val_fraction: float = 0.1, **right: str) -> Any:
    config = SimpleNamespace(paper=paper, seed=seed, val_fraction=val_fraction)
    marks = {name.removeprefix("t"): each for name, each in right.items()}
    return SimpleNamespace(trial=Trial(cast(TrainConfig, config), Path(), label), right=marks)


def test_papers_are_paired_over_the_seeds_that_both_have() -> None:
    outcomes = [
        outcome("lif", 0, t1="1100", t2="1110"), outcome("lif", 1, t1="0000", t2="1110"),
        outcome("mpbn", 0, t1="1111", t2="1110"), outcome("ann", 0, t1="1111"),
    ]  # fmt: skip
    found = paper_tests(outcomes, (1, 2), "test")
    assert [(one.paper, one.timesteps, one.seeds) for one in found] == [("mpbn", 1, 1), ("mpbn", 2, 1), ("ann", 1, 1)]
    assert found[0].paired.only_second == 2 and found[0].paired.p == pytest.approx(0.5)
    assert found[1].paired.difference == 0.0 and found[1].paired.p == 1.0
    (base_ann, *_) = paper_tests([outcome("ann", 0, t1="1000"), outcome("lif", 0, t1="1100", t2="1110")], (2,), "test")
    assert base_ann.paired.difference == pytest.approx(0.5)  # the ANN keeps its one step


def test_held_out_samples_of_each_seed_are_samples_of_their_own() -> None:
    outcomes = [outcome(paper, seed, t1=marks) for paper, marks in (("a", "10"), ("b", "11")) for seed in (0, 1)]
    (found,) = paper_tests(outcomes, (1,), "val")
    assert (found.seeds, found.paired.test, found.paired.only_second) == (2, "McNemar", 2)
    together = "those of all seeds are tested together"
    assert together in paper_table([found], "val").caption and together not in paper_table([found], "test").caption


def test_rows_of_a_sweep_are_paired_with_its_first_where_seeds_and_samples_are_the_same() -> None:
    outcomes = [
        outcome("lif", 0, "lr=0.1", t1="10"), outcome("lif", 0, "lr=0.2", t1="11"),
        outcome("lif", 1, "lr=0.3", t1="11"), outcome("lif", 0, "val-fraction=0.5", 0.5, t1="1111"),
    ]  # fmt: skip
    assert [(one.paper, one.against) for one in paper_tests(outcomes, (1,), "val")] == [("lif, lr=0.2", "lif, lr=0.1")]
    outcomes[-1].right["1"] = "00"  # split test is the same for all
    assert [one.paper for one in paper_tests(outcomes, (1,), "test")] == ["lif, lr=0.2", "lif, val-fraction=0.5"]


# The command.


@pytest.fixture(scope="module")
def runs(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for paper, seed in (("lif", 0), ("lif", 1), ("ann", 0)):
        found[f"{paper}-seed{seed}"] = folder / f"{paper}-seed{seed}"
        fit(settings(paper, epochs=1, points=16, seed=seed), shapes_dir, folder / f"{paper}-seed{seed}")
    return found


def test_compare_groups_seeds_and_tests_against_the_first(
    cli: Cli, runs: dict[str, Path], shapes_dir: Path, tmp_path: Path
) -> None:
    line = ("compare", *runs.values(), "--data-dir", shapes_dir, "--timesteps", "1,2", "--quiet")
    done = cli(*line, "--json")
    assert done.code == 0, done.err
    found = done.document
    assert (found["against"], found["split"]) == ("lif", "test")
    assert [(row["network"], len(row["runs"]), row["timesteps"], row["test"]) for row in found["rows"]] == [
        ("lif", 2, 1, None), ("lif", 2, 2, None), ("ann-seed0", 1, 1, "sign flips"),
    ]  # fmt: skip
    ann = found["rows"][2]
    assert ann["difference"] == pytest.approx(ann["accuracy"] - found["rows"][0]["accuracy"])
    assert ann["low"] <= ann["difference"] <= ann["high"] and ann["accuracy_std"] is None
    table = tmp_path / "table.csv"
    assert cli(*line, "--out", table).code == 0
    (_, _, row) = csv.DictReader(table.read_text().splitlines())
    assert float(row["p"]) == ann["p"] and row["seeds"] == "1" and found["rows"][0]["seeds"] == 2
    shown = " ".join(cli(*line).out.split())
    assert "differences from lif in points, on the same samples" in shown
    assert "p is of these trainings, the interval of others too" in shown


def test_a_pair_of_runs_takes_mcnemar(cli: Cli, runs: dict[str, Path], shapes_dir: Path) -> None:
    (first, _, ann) = runs.values()
    found = cli("compare", first, ann, "--data-dir", shapes_dir, "--json").document["rows"][1]
    assert found["test"] == "McNemar" and found["p"] == pytest.approx(
        mcnemar(found["only_first"], found["only_second"])
    )
    samples = cli("compare", first, ann, "--data-dir", shapes_dir, "--json").document["samples"]
    assert found["difference"] == pytest.approx((found["only_second"] - found["only_first"]) / samples)


def test_runs_that_held_out_other_samples_are_not_compared(cli: Cli, runs: dict[str, Path], shapes_dir: Path) -> None:
    line = ("compare", *runs.values(), "--data-dir", shapes_dir, "--quiet")
    done = cli(*line, "--split", "val")
    assert done.code == 1 and "were scored on other samples, so no test is paired; take split test" in done.err
    alone = cli("compare", runs["lif-seed0"], "--data-dir", shapes_dir)
    assert alone.code == 1 and "wanted two or more to compare" in alone.err
