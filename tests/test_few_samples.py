"""Warnings of small classes: in preparing, in training and in scores by class."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_scans import scans

from spikecli.datasets.few import FEW_SCORED, class_counts, few_held_out, few_to_score, few_to_train
from spikecli.evaluation.metrics import confusions

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"lamp": 4, "cup": 40}, "class lamp has 4 test samples: one is worth 25 points of its accuracy"),
        ({"lamp": 1, "cup": 40}, "class lamp has 1 test sample: it alone decides all 100 points of its accuracy"),
        (
            {"a": 5, "b": 2, "c": 4, "d": 3, "e": 19},
            "class b has 2 test samples: one is worth 50 points of its accuracy; fewer than 20 too: d (3), c (4), "
            "a (5) and 1 more",
        ),
    ],
)
def test_a_class_whose_samples_are_worth_many_points_is_named(counts: dict[str, int], told: str) -> None:
    assert few_to_score(counts) == [told]


def test_enough_samples_and_none_are_no_warning() -> None:
    assert not few_to_score({"lamp": FEW_SCORED, "none": 0}) and few_to_score({"lamp": FEW_SCORED - 1})
    assert not few_to_train({"lamp": 10}) and "lamp has 0 training samples" in few_to_train({"lamp": 0, "b": 50})[0]
    assert not few_held_out({"a": 10, "b": 10}) and not few_held_out({})
    assert few_held_out({"a": 3, "b": 5}) == ["8 samples are held out: one is worth 12 points of the held-out accuracy"]
    assert class_counts(np.array([0, 2, 2]), ("x", "y", "z")) == {"x": 1, "y": 0, "z": 2}


def test_confusions_are_counted_the_most_frequent_first() -> None:
    labels, given = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 1, 0, 2])
    assert confusions(given, labels) == ((0, 1, 2), (2, 0, 1)) and confusions(labels, labels) == ()


def test_prepare_train_and_eval_warn_and_the_tables_are_written(cli: Cli, tmp_path: Path) -> None:
    scans(tmp_path / "scans")
    place = ("--data-dir", tmp_path / "data")
    dry = cli("data", "prepare", "parts", "--from", tmp_path / "scans", "--points", 32, *place, "--dry-run")
    assert "nothing is written" in dry.out
    for said in ("bolt has 4 training samples", "bolt has 1 test sample: it alone decides all 100 points"):
        assert said in dry.err, dry.err
    assert cli("data", "prepare", "parts", "--from", tmp_path / "scans", "--points", 32, *place, "--quiet").code == 0
    run = tmp_path / "run"
    trained = cli("train", "parts", "--epochs", 1, "--points", 32, "--batch-size", 8, "--out", run, *place, "--quiet")
    assert "bolt has 3 training samples" in trained.err and "--balance" in trained.err
    assert "5 samples are held out: one is worth 20 points" in trained.err
    table = tmp_path / "scores.csv"
    scored = cli("eval", run, "-T", "1,2", "--runs", 1, "--by-class", "--out", table, *place, "--quiet")
    assert scored.code == 0 and "points a sample" in scored.out and "bolt has 1 test sample" in scored.err
    rows = list(csv.DictReader((tmp_path / "scores-by-class.csv").read_text().splitlines()))
    assert [(row["class"], row["timesteps"], row["samples"]) for row in rows][:2] == [
        ("bolt", "1", "1"),
        ("cup", "1", "1"),
    ]
    wrong = list(csv.DictReader((tmp_path / "scores-confusions.csv").read_text().splitlines()))
    first = [row for row in rows if row["timesteps"] == "1"]
    assert len(first) == 5 and sum(row["accuracy"] == "0.0" for row in first) == sum(
        r["timesteps"] == "1" for r in wrong
    )
