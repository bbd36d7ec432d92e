"""Sweeps of `ablate --set`, runs shared by several processes, and the picture of an ablation with its seeds pooled."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forks
import pytest
from conftest import Outcome

from spikecli.cli.options.sweep import parse_sets
from spikecli.errors import ChoiceError
from spikecli.files.claims import claimed, holder_of
from spikecli.training.ablate import CLAIM
from spikecli.view.runs.pooled import band_of, pooled
from spikecli.weights.run_record import read_run

Cli = Callable[..., Outcome]
LINE = (
    "ablate", "shapes", "--papers", "lif,ann", "--set", "lr=1e-3,2e-3", "--set", "decay=0.5", "--runs", 2,
    "--perturbations", 1, "--timesteps", 1, "--points", 16, "--batch-size", 60, "--epochs", 1, "--quiet",
)  # fmt: skip
ROWS = ["lif, lr=0.001 decay=0.5", "lif, lr=0.002 decay=0.5", "ann, lr=0.001", "ann, lr=0.002"]


@pytest.fixture(scope="module")
def swept(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished sweep: two papers, two rates, two seeds; the ANN has no decay."""
    from spikecli.cli import run

    out = tmp_path_factory.mktemp("sweep") / "rates"
    assert run([str(each) for each in (*LINE, "--data-dir", shapes_dir, "--out", out)]) == 0
    yield out


def test_a_sweep_is_the_product_of_its_settings() -> None:
    assert parse_sets(None) == [{}]
    assert parse_sets(["lr=1e-3,2e-3", "epochs=10,30"]) == [
        {"lr": 1e-3, "epochs": 10}, {"lr": 1e-3, "epochs": 30}, {"lr": 2e-3, "epochs": 10}, {"lr": 2e-3, "epochs": 30}
    ]  # fmt: skip
    assert parse_sets(["reestimate=false", "rmp_power=2", "fire=ternary", "model=dela"]) == [
        {"reestimate": False, "rmp-power": 2, "fire": "ternary", "model": "dela"}
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batchsize=10", "did you mean batch-size?"),
        ("lr", "write NAME=VALUE"),
        ("lr=fast", "wanted a number"),
        ("epochs=1.5", "wanted a whole number"),
        ("seed=1,2", "--seed"),
        ("dataset=shapes", "one data set"),
    ],
)
def test_a_wrong_sweep_is_usage(cli: Cli, text: str, said: str) -> None:
    ended = cli("ablate", "shapes", "--set", text)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    with pytest.raises(ChoiceError, match="set already"):
        parse_sets(["lr=1", "lr=2"])


def test_nothing_to_compare_is_usage(cli: Cli) -> None:
    assert cli("ablate", "shapes").code == 2


def test_tables_say_what_was_set_and_mean_and_std_of_the_seeds(
    cli: Cli, swept: Path, shapes_dir: Path, tmp_path: Path
) -> None:
    document = cli(*LINE, "--data-dir", shapes_dir, "--out", swept, "--json").document
    assert [f"{row['paper']}, {row['settings']}" for row in document["table"]] == ROWS
    assert read_run(swept / "ann-t1-lr-0.002-seed1").config.lr == 2e-3
    rows = list(csv.DictReader((swept / "table.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["0", "1"] * 4
    latex, markdown = (swept / "table.tex").read_text(), (swept / "table.md").read_text()
    for name, entry in zip(ROWS, document["table"], strict=True):
        (cell,) = entry["results"]
        spread = f"{100 * cell['instance_accuracy']:.1f} ± {100 * cell['instance_accuracy_std']:.1f}"
        assert name in markdown and name in latex and spread in markdown
        assert spread.replace("±", r"$\pm$") in latex


def test_a_table_alone_has_rows_of_mean_and_std(
    cli: Cli, swept: Path, shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "ablate-shapes").symlink_to(swept)
    assert cli(*LINE, "--data-dir", shapes_dir, "--out", "t.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["0", "1", "mean", "std"] * 4
    first = [float(row["instance_accuracy"]) for row in rows[:4]]
    assert first[2:] == [pytest.approx(statistics.fmean(first[:2])), pytest.approx(statistics.stdev(first[:2]))]


def test_a_run_that_another_works_on_is_left_to_it_and_taken_over_when_it_is_dead(
    cli: Cli, swept: Path, shapes_dir: Path
) -> None:
    line = (*LINE, "--data-dir", shapes_dir, "--out", swept, "--no-wait", "--json")
    claim = swept / "lif-t1-lr-0.001-decay-0.5-seed0" / CLAIM
    with claimed(claim) as mine:
        assert mine
        document = cli(*line).document
    assert document["missing"] == ["lif, lr=0.001 decay=0.5, seed 0"] and len(document["rows"]) == 7
    claim.write_text(json.dumps({"token": "x", "host": "another-machine", "pid": 1}))
    assert "missing" in cli(*line).document
    os.utime(claim, (1, 1))
    assert len(cli(*line).document["rows"]) == 8 and not claim.exists()


MACHINE = """
import socket, sys
host, log, *words = sys.argv[1:]
socket.gethostname = lambda: host
from spikecli.training import train
real = train.opened
def opened(config, data_dir, folder, *how):
    with open(log, "a") as file:
        file.write(f"{folder.name}\\n")
    return real(config, data_dir, folder, *how)
train.opened = opened
from spikecli.cli import run
sys.exit(run(words))
"""


def test_two_machines_share_an_ablation_and_no_run_is_trained_twice(shapes_dir: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "shared", tmp_path / "trained"
    dead = out / "lif-t1-lr-0.001-decay-0.5-seed0" / CLAIM
    dead.parent.mkdir(parents=True)
    dead.write_text(json.dumps({"token": "x", "host": "killed-machine", "pid": 1}))
    os.utime(dead, (1, 1))
    line = [
        *map(str, LINE),
        "--data-dir",
        str(shapes_dir),
        "--out",
        str(out),
        "--json",
        "--no-wait",
        "--papers",
        "lif",
        "--runs",
        "1",
    ]
    command = [sys.executable, "-c", MACHINE]
    both = [
        forks.Fork([*command, host, str(log), *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for host in ("node1", "node2")
    ]
    said = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    trained = log.read_text().splitlines()
    assert len(trained) == len(set(trained)) == 2 and dead.parent.name in trained
    assert not list(out.rglob(f"{CLAIM}*"))
    last = max((json.loads(document) for document, _ in said), key=lambda document: len(document.get("rows", ())))
    assert len(last["rows"]) == 2 and "missing" not in last


def test_one_holds_a_claim_and_a_dead_process_of_this_machine_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "run" / CLAIM
    with claimed(path) as first, claimed(path) as second:
        assert (first, second) == (True, False)
        assert f"process {os.getpid()}" in holder_of(path)
        dead = {**json.loads(path.read_text()), "pid": 2**22 + 1, "token": "dead"}
        path.write_text(json.dumps(dead))
        with claimed(path) as third:
            assert third
    assert not path.exists()
    with claimed(path, beat=0.05, stale=1e6) as held:
        os.utime(path, (1, 1))
        while path.stat().st_mtime == 1:  # its holder touches it
            pass
        assert held


def test_the_folder_of_an_ablation_is_drawn_with_bands(cli: Cli, swept: Path, tmp_path: Path) -> None:
    for ending in (".png", ".html"):
        document = cli("view", swept, "--out", tmp_path / f"a{ending}", "--json").document
    assert [group["name"] for group in document["groups"]] == [
        "ann-t1-lr-0.001", "ann-t1-lr-0.002", "lif-t1-lr-0.001-decay-0.5", "lif-t1-lr-0.002-decay-0.5"
    ]  # fmt: skip
    assert all(len(group["runs"]) == 2 for group in document["groups"])
    rows = [row for row in csv.DictReader((swept / "table.csv").read_text().splitlines()) if row["paper"] == "ann"]
    shares = [float(row["instance_accuracy"]) for row in rows[:2]]
    (result,) = document["groups"][0]["results"]
    assert result["instance_accuracy"] == pytest.approx(statistics.fmean(shares))
    assert result["instance_accuracy_std"] == pytest.approx(statistics.stdev(shares))
    pool = pooled([read_run(path) for path in sorted(swept.glob("ann-t1-lr-0.001-seed*"))])[0]
    losses = [record.epochs[0]["loss"] for record in pool.records]
    assert band_of(pool, lambda epoch: epoch["loss"]) == ([1], [statistics.fmean(losses)], [statistics.stdev(losses)])
    assert cli("view", swept, swept, "--out", tmp_path / "b.png").code == 1
