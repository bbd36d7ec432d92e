"""Every --json document and every table, as it was last accepted: keys, nesting, types, values and words."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import released_nets
import snapshot
import torch
import typer.main
from clip_files import random_mini
from conftest import Outcome
from first_version import unpack
from PIL import Image

from spikecli.cli import app
from spikecli.machine import doctor
from spikecli.machine.doctor import Finding
from spikecli.neuroclip import backbone
from spikecli.speed import bench, roofline

Cli = Callable[..., Outcome]

HERE = "--data-dir data --device cpu"
CLIP = f"--clip mini --weights mini.safetensors --timesteps 2 {HERE}"
# A name of a snapshot: the command line; OUT is a new place.
CASES = {
    "config-show": "config show spiking-pointnet",
    "config-show-run": "config show frames",
    "data-info": "data info modelnet10 --data-dir data",
    "data-info-events": "data info nmnist --data-dir data",
    "data-list": "data list --data-dir data",
    "data-prepare": "data prepare pieces --from pieces --points 16 --data-dir OUT",
    "data-prepare-dry-run": "data prepare pieces --from pieces --points 16 --data-dir OUT --dry-run",
    "data-verify": "data verify modelnet10 --data-dir data",
    "data-verify-events": "data verify nmnist --data-dir data",
    "data-simulate": "data simulate pictures --fps 100 --out OUT.npz",
    "calibrate": f"calibrate calibrated --timesteps 1,2 {HERE}",
    "export": "export clouds --check onnx --data-dir data",
    "papers": "papers",
    "train": f"train modelnet10 --epochs 1 --points 16 --batch-size 10 --out OUT {HERE}",
    "ablate": f"ablate modelnet10 --papers lif,ann --runs 1 --epochs 1 --points 16 --batch-size 10 --timesteps 1,2 "
    f"--layers --out OUT {HERE}",
    "compare": f"compare clouds clouds --timesteps 1,2 {HERE}",
    "papers-paper": "papers --paper joint",
    "import": "import released.pth --as resnet20 --paper mpbn --out OUT",
    "eval": f"eval clouds --timesteps 1,2 --runs 2 {HERE}",
    "eval-auto": f"eval clouds --timesteps 1,auto --most 2 --runs 1 {HERE}",
    "eval-by-class": f"eval frames --timesteps 2 --by-class {HERE}",
    "eval-corrupt": f"eval clouds --timesteps 1 --runs 1 --corrupt jitter --severities 1,5 {HERE}",
    "predict": "predict clouds chair_0005.off --timesteps 2 --top 2 --device cpu",
    "predict-auto": "predict frames 00012.bin --timesteps auto --most 2 --top 2 --device cpu",
    "reparameterize": f"reparameterize clouds --out OUT.safetensors --samples 2 {HERE}",
    "view": "view chair_0005.off --checkpoint clouds --points 32 -T 2 --out OUT.png --data-dir data",
    "view-events": "view 00012.bin -T 2 --out OUT.png --data-dir data",
    "view-membranes": "view chair_0005.off --checkpoint clouds --show membranes -T 1 --out OUT.png --data-dir data",
    "view-run": "view clouds -T 1 --runs 1 --out OUT.png --data-dir data",
    "view-spikes": "view chair_0005.off --checkpoint clouds --show spikes -T 2 --out OUT.png --data-dir data",
    "zeroshot": f"zeroshot nmnist --limit 10 --per-step {CLIP}",
    "zeroshot-corrupt": f"zeroshot nmnist --limit 10 --corrupt noise --severities 3 {CLIP}",
    "zeroshot-files": f"zeroshot 00012.bin --classes zero,one --top 2 {CLIP}",
    "view-clip": "view nmnist:test:0 --show clip --clip mini --weights mini.safetensors -T 2 --out OUT.png "
    "--data-dir data",
    "fewshot": f"fewshot nmnist --shots 1 --runs 2 --epochs 1 --views 1 {CLIP}",
}
LEARNED = {"train", "ablate", "fewshot", "bench"}  # print what was trained, or measured, just now
GOES_ON = {"ablate"}  # prints the table of a finished one without any training
ALONE = {"data-remove", "bench", "doctor", "watch", "mini", "runs"}  # by the tests below


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and runs of the first version, weights for `mini`, and a folder of clouds of two classes."""
    folder = unpack(tmp_path_factory.mktemp("place"))
    random_mini(folder / "mini.safetensors")
    shutil.copytree(folder / "frames", folder / "calibrated")  # the command writes into the weights
    store = released_nets.Store(1)
    maps = released_nets.Maps(store, released_nets.Neurons(), membrane=True)
    released_nets.resnet20(maps, torch.zeros(1, 1, 3, 8, 8, dtype=torch.float64), 10)  # fills the store
    torch.save(store.saved(), folder / "released.pth")
    (folder / "pictures").mkdir()
    for number in range(4):
        picture = np.full((12, 16), 40, np.uint8)
        picture[:, 4 * number : 4 * number + 4] = 200
        Image.fromarray(picture).save(folder / "pictures" / f"{number}.png")
    for name in ("cube", "rod"):
        for number in range(5):
            path = folder / "pieces" / name / f"{number}.xyz"
            path.parent.mkdir(parents=True, exist_ok=True)
            corners = [
                (x, y, z * (9 if name == "rod" else 1)) for x in (0, 1) for y in (0, 1) for z in range(4 + number)
            ]
            path.write_text("".join("{} {} {}\n".format(*corner) for corner in corners))
    return folder


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in that folder, so that no path in the output depends on the machine, at a width of 140 letters."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "140")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def document(cli: Cli, name: str, line: str) -> None:
    """Compare the document, and the printed text, of one command line."""
    told = cli(*line.replace("OUT", f"{name}-1").split(), "--json")
    assert told.code == 0, told.err
    snapshot.compare(f"{name}.json", snapshot.of_document(told.document, name in LEARNED))
    printed = cli(*line.replace("OUT", f"{name}-{1 if name in GOES_ON else 2}").split())
    assert printed.code == 0, printed.err
    snapshot.compare(f"{name}.txt", snapshot.of_table(printed.out, name in LEARNED))


@pytest.mark.parametrize("name", CASES)
def test_output(cli: Cli, name: str) -> None:
    document(cli, name, CASES[name])


def test_output_of_watch(cli: Cli) -> None:
    line = ["watch", "frames", "00012.bin", "--window", "100ms", "--speed", "0", "--idle", "0.1", "--device", "cpu"]
    told, printed = cli(*line, "--json"), cli(*line)
    assert told.code == 0 and printed.code == 0, told.err
    lines = [json.loads(one) for one in told.out.splitlines()]  # a document for each window
    snapshot.compare("watch.json", snapshot.of_document(lines))
    snapshot.compare("watch.txt", snapshot.of_table(printed.out))


def test_output_of_mini(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Taught:
        module = torch.nn.Linear(2, 2)

    monkeypatch.setattr(backbone, "train_here", lambda *_: Taught)
    document(cli, "mini", "mini --out OUT.safetensors --data-dir data")


def test_output_of_data_remove(cli: Cli) -> None:
    for name in ("1", "2"):
        assert cli("data", "prepare", "pieces", "--from", "pieces", "--data-dir", f"data-remove-{name}").code == 0
    document(cli, "data-remove", "data remove pieces --data-dir OUT")


def test_output_of_runs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for path in Path("clouds").iterdir():
        os.utime(path, (1e9, 1e9))
    document(cli, "runs", "runs clouds")


def test_output_of_bench(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "peak_above_imports", lambda *arguments, device: 1.5)
    for module in (bench, roofline):  # long times would make columns, and so lines, longer
        monkeypatch.setattr(module, "timed", lambda work, device: (work(), 0.0125)[1])
    line = "bench --batch-size 2 --points 16 --repeats 1 --timesteps 1 --precision fp32 --threads 1 --device cpu"
    document(cli, "bench", line)


def test_output_of_doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Finding("torch", "ok", "2.13.0", "", 0.5),
        Finding("tonic", "failed", "No module named 'tonic'", "pip install tonic", 0.1),
    ]
    monkeypatch.setattr(doctor, "examine", lambda *_: found)
    document(cli, "doctor", "doctor --data-dir data")


def commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its whole name."""
    inner: dict[str, click.Command] | None = getattr(group, "commands", None)
    if inner is None:
        yield name, group
    for each, command in (inner or {}).items():
        yield from commands(command, f"{name}-{each}".strip("-"))


def test_every_command_that_has_a_document_has_a_snapshot() -> None:
    found = dict(commands(typer.main.get_command(app)))
    with_json = {name for name, command in found.items() if any("--json" in one.opts for one in command.params)}
    assert {"train", "data-list"} <= with_json
    kept = CASES.keys() | ALONE
    assert sorted(with_json - kept) == [], "add a line to CASES"
    files = {path.name for path in snapshot.FOLDER.iterdir()}
    assert files == {f"{name}.{ending}" for name in kept for ending in ("json", "txt")}
