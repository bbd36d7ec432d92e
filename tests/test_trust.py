"""Numbers that lie, two at once, and the same seed twice: what a run promises about its data and its results."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forks
import numpy as np
import pytest
import torch
from event_layouts import nmnist, prepare_events

from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.sets import prepare as prepare_points
from spikecli.datasets.sets import verify as verify_events
from spikecli.datasets.sets import verify as verify_points
from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.atomic import sole_writer
from spikecli.settings.config import TrainConfig
from spikecli.settings.recipes import train_settings
from spikecli.training.train import opened
from spikecli.weights import checkpoint as checkpoints

Cli = Callable[..., Any]
COMMON = ("--points", 16, "--batch-size", 100, "--quiet")


def settings(**changes: Any) -> TrainConfig:
    values = {"epochs": 1, "batch_size": 100, "points": 16, "seed": 0, **changes}
    return train_settings("shapes", "lif", "short", values, {}, {})


def test_a_batch_that_breaks_training_is_kept_with_its_weights_and_nothing_good_is_lost(
    shapes_dir: Path, tmp_path: Path
) -> None:
    with opened(settings(epochs=2), shapes_dir, tmp_path, False, "cpu") as trainer:
        epochs = trainer.epochs(lambda *_: None)
        next(epochs)
        whole = (tmp_path / "state.safetensors").read_bytes()
        trainer.model.get_parameter("out.bias").register_hook(lambda gradient: gradient * float("nan"))
        before = trainer.model.get_parameter("out.bias").clone()
        with pytest.raises(SpikeError, match=r"a gradient became infinite or NaN in epoch 2, step 1; .*bad-batch-2-1"):
            next(epochs)
        assert torch.equal(trainer.model.get_parameter("out.bias"), before)  # the step was not taken
        indices = trainer.batches.order(1)[0]
    assert (tmp_path / "state.safetensors").read_bytes() == whole
    batch, about = tensors.read(tmp_path / "bad-batch-2-1.safetensors")
    assert batch["inputs"].shape[0] == 100 and batch["logits"].shape == (1, 100, 10)
    assert batch["indices"].tolist() == indices.tolist()
    assert (about["epoch"], about["step"]) == ("2", "1") and torch.equal(batch["model/out.bias"], before)


def test_data_that_has_changed_since_training_is_reported_and_no_run_goes_on_with_it(
    cli: Cli, few_built_in: None, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    place, run = ("--data-dir", data), ("--out", out)
    assert cli("data", "prepare", "shapes", "--points", 64, *place).code == 0
    assert cli("train", "shapes", *COMMON, "--epochs", 1, *place, *run).code == 0
    noted = checkpoints.load(out / "model.safetensors").notes["data"]
    assert sorted(noted) == ["test", "train"] and len(noted["train"]) == 64
    score = ("eval", out, "--timesteps", "1", "--runs", "1", "--json", *place)
    same = cli(*score)
    assert same.code == 0 and "changed" not in same.err
    assert cli("data", "prepare", "shapes", "--points", 64, "--seed", 1, *place).code == 0
    other = cli(*score)
    assert other.code == 0 and other.document["samples"] == 100
    assert "warning: shapes has changed since training: its test split was" in other.err
    refused = cli("train", "shapes", *COMMON, "--epochs", 2, "--resume", *place, *run)
    assert refused.code == 1 and "was trained on other data: shapes has changed since" in refused.err
    assert cli("data", "prepare", "shapes", "--points", 64, *place).code == 0  # it stands still: used again
    assert cli("train", "shapes", *COMMON, "--epochs", 2, "--resume", *place, *run).code == 0
    assert "changed" not in cli(*score).err


def flipped_bits_are_found(path: Path, verify: Callable[[], object], count: int = 25) -> None:
    whole = path.read_bytes()
    verify()
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(0, len(whole), count), rng.integers(0, 8, count), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(bytes(damaged))
        with pytest.raises(SpikeError, match=f"{path.name} .*--force"):
            verify()
    path.write_bytes(whole)
    verify()


def test_verify_finds_one_flipped_bit_anywhere(few_built_in: None, tmp_path: Path) -> None:
    prepare_points(tmp_path, "shapes", PrepareOptions(points=64))
    flipped_bits_are_found(next((tmp_path / "shapes").glob("test-*.h5")), lambda: verify_points(tmp_path, "shapes"))
    prepare_events(tmp_path, "nmnist", nmnist(tmp_path / "source"), workers=1)
    for split in ("train", "test"):
        path = next((tmp_path / "nmnist").glob(f"{split}-*.h5"))
        flipped_bits_are_found(path, lambda: verify_events(tmp_path, "nmnist"))


def test_two_at_once_are_refused_with_the_holders_process_id(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for folder, command in (
        (shapes_dir / "shapes", ("data", "prepare", "shapes", "--data-dir", shapes_dir)),
        (tmp_path / "nmnist", ("data", "prepare", "nmnist", "--from", tmp_path, "--data-dir", tmp_path)),
        (out, ("train", "shapes", *COMMON, "--data-dir", shapes_dir, "--out", out)),
    ):
        with sole_writer(folder, "something"):
            refused = cli(*command)
        assert refused.code == 1 and f"already under way in process {os.getpid()}" in refused.err
        assert len(refused.err.strip().splitlines()) == 1


def test_scores_are_read_while_training_writes(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    score = ("eval", out, "--timesteps", "1", "--runs", "1", "--json", "--quiet", "--data-dir", shapes_dir)
    assert cli("train", "shapes", *COMMON, "--epochs", 1, "--data-dir", shapes_dir, "--out", out).code == 0
    # The same weights are published again and again by one process, and read by another.
    code = (
        "import sys, time; from pathlib import Path; from spikecli.weights import checkpoint as c\n"
        "path = Path(sys.argv[1]) / 'model.safetensors'; whole = c.load(path)\n"
        "while True: c.save(path, whole); time.sleep(0.02)"
    )
    with forks.Fork([sys.executable, "-c", code, str(out)]) as writer:
        try:
            results = []
            for _ in range(3):
                document = cli(*score).document
                results.append([{**row, "seconds": 0} for row in document["results"]])
        finally:
            writer.kill()
    assert results[0] == results[1] == results[2]


def test_the_same_seed_gives_the_same_files_whatever_the_number_of_workers(few_built_in: None, tmp_path: Path) -> None:
    source = nmnist(tmp_path / "source")
    for workers in (1, 2):
        prepare_points(tmp_path / str(workers), "shapes", PrepareOptions(points=32), workers=workers)
        prepare_events(tmp_path / str(workers), "nmnist", source, workers=workers)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / n).glob("*/*.*")} for n in ("1", "2"))
    assert len(one) == 6 and one == two


def test_the_same_seed_gives_the_same_table(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    tables = []
    for name in ("a", "b"):
        out = tmp_path / name
        assert cli("train", "shapes", *COMMON, "--epochs", 1, "--data-dir", shapes_dir, "--out", out).code == 0
        scored = cli("eval", out, "--timesteps", "1,2", "--runs", "2", "--json", "--data-dir", shapes_dir).document
        tables.append(json.dumps([{**row, "seconds": 0} for row in scored["results"]]))
    assert tables[0] == tables[1]
    one, two = (checkpoints.load(tmp_path / name / "model.safetensors").tensors for name in ("a", "b"))
    assert all(torch.equal(one[name], two[name]) for name in one)
