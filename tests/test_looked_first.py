"""Every command looks at all its inputs, and where its results go, before any network is asked.

`Module.__call__` stands for the long work: a network that is trained, evaluated, traced or encodes goes through it.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from clip_files import random_mini
from first_version import unpack

HERE = "--data-dir data --device cpu"
NO_TEST = "--data-dir no-test --device cpu"
NO_TRAIN = "--data-dir no-train --device cpu"
CLIP = "--clip mini --weights mini.safetensors --timesteps 1"
SHORT = f"--epochs 1 --runs 1 {CLIP}"
SMALL = "--papers lif --runs 1 --epochs 1 --points 16 --batch-size 10 --timesteps 1"
# A command line, and what its error names. GONE is a file that is not there, CUT one that is damaged.
CASES = [
    ("predict clouds chair_0005.off GONE.off", "GONE.off"),
    ("predict clouds chair_0005.off CUT.off", "CUT.off"),
    ("predict clouds - --device cpu", "GONE.off"),
    ("predict clouds chair_0005.off modelnet10:test:999 --data-dir data", "modelnet10:test"),
    ("predict clouds chair_0005.off --out a.foo", "a.foo"),
    (f"eval clouds {NO_TEST}", "modelnet10"),
    (f"eval clouds --out chair_0005.off/a.csv {HERE}", "chair_0005.off/a.csv"),
    (f"eval clouds --figure a.foo {HERE}", "a.foo"),
    (f"eval clouds --figure chair_0005.off/a.png {HERE}", "chair_0005.off/a.png"),
    (f"compare clouds frames {HERE}", "frames"),
    (f"compare clouds GONE {HERE}", "GONE"),
    (f"compare clouds clouds {NO_TEST}", "modelnet10"),
    (f"calibrate clouds {NO_TRAIN}", "modelnet10"),
    (f"ablate modelnet10 {SMALL} --split test --out A {NO_TEST}", "modelnet10"),
    (f"ablate modelnet10 {SMALL} --out A {NO_TRAIN}", "modelnet10"),
    (f"ablate modelnet10 {SMALL} --out chair_0005.off {HERE}", "chair_0005.off"),
    (f"train modelnet10 --points 16 --epochs 1 --out T {NO_TRAIN}", "modelnet10"),
    (f"train modelnet10 --points 16 --epochs 1 --from GONE --out T {HERE}", "GONE"),
    (f"train modelnet10 --points 16 --epochs 1 --out chair_0005.off {HERE}", "chair_0005.off"),
    (f"fewshot nmnist --shots 1 {SHORT} {NO_TEST}", "nmnist"),
    (f"fewshot nmnist --shots 1 {SHORT} {NO_TRAIN}", "nmnist"),
    (f"fewshot nmnist --shots 99 {SHORT} {HERE}", "lower --shots"),
    (f"fewshot nmnist --shots 1 {SHORT} --out chair_0005.off/a.safetensors {HERE}", "chair_0005.off"),
    (f"zeroshot nmnist {CLIP} {NO_TEST}", "nmnist"),
    (f"zeroshot 00012.bin GONE.bin --classes zero,one {CLIP} {HERE}", "GONE.bin"),
    (f"zeroshot 00012.bin CUT.bin --classes zero,one {CLIP} {HERE}", "CUT.bin"),
    ("bench GONE", "GONE"),
    ("export clouds --out a.onnx --sample GONE.off --data-dir data", "GONE.off"),
    ("export frames --out a.onnx --sample CUT.bin --data-dir data", "CUT.bin"),
    ("export clouds --out chair_0005.off/a.onnx --data-dir data", "chair_0005.off"),
    ("view chair_0005.off GONE.off --checkpoint clouds --out a.png --data-dir data", "GONE.off"),
    ("view chair_0005.off CUT.off --checkpoint clouds --show spikes --out a.png --data-dir data", "CUT.off"),
    ("view chair_0005.off --checkpoint clouds --out a.foo --data-dir data", "a.foo"),
    ("view 00012.bin CUT.bin --checkpoint frames --out a.png --data-dir data", "CUT.bin"),
    ("watch frames GONE.bin --device cpu", "GONE.bin"),
    ("watch frames CUT.bin --device cpu", "CUT.bin"),
    (f"reparameterize clouds --out a.safetensors --samples 1 {NO_TEST}", "modelnet10"),
    (f"reparameterize clouds --out a.foo --samples 1 {HERE}", "a.foo"),
    (f"reparameterize clouds --out chair_0005.off/a.safetensors --samples 1 {HERE}", "chair_0005.off"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs and data of the first version; in no-test and no-train a split of each data set has gone."""
    folder = unpack(tmp_path_factory.mktemp("first"))
    random_mini(folder / "mini.safetensors")
    for split in ("test", "train"):
        shutil.copytree(folder / "data", folder / f"no-{split}")
        for path in (folder / f"no-{split}").rglob(f"{split}-*.h5"):
            path.unlink()
    (folder / "CUT.off").write_text("OFF\n8 12 0\n0 0")
    (folder / "CUT.bin").write_bytes(b"123")
    return folder


@pytest.mark.parametrize(("line", "said"), CASES)
def test_nothing_is_asked_before_all_is_looked_at(
    line: str, said: str, cli: Callable, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(self: torch.nn.Module, *given: object, **named: object) -> None:
        raise AssertionError(f"{type(self).__name__} is at work")

    monkeypatch.chdir(place)
    monkeypatch.setattr(torch.nn.Module, "__call__", work)
    monkeypatch.setattr(sys, "stdin", io.StringIO("chair_0005.off\n00012.bin\nGONE.off\n"))
    before = set(place.rglob("*"))
    found = cli(*line.split())
    last = found.err.strip().splitlines()[-1]
    assert found.code in (1, 2) and last.startswith("error: ") and said in last and found.out == ""
    assert {path for path in set(place.rglob("*")) - before if path.is_file() and path.name != ".lock"} == set()
