"""An adapter with CLIP's image tower in onnxruntime and on a stream; CLIP alone on a stream. Real recordings too."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import prepare_recordings, random_mini
from conftest import Outcome

from spikecli.datasets.events.recording import read_own
from spikecli.datasets.events.split import load_events
from spikecli.neuroclip.clip import load_clip
from spikecli.neuroclip.features import Viewing
from spikecli.neuroclip.fewshot import Task, draws, save_adapter
from spikecli.neuroclip.fitting import Fitting
from spikecli.neuroclip.zeroshot import ask_about

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fit a spiking adapter to a random `mini` at T = 2; return its file, beside the prepared recordings."""
    folder = prepare_recordings(tmp_path_factory.mktemp("data"))
    source = random_mini(folder / "mini.safetensors")
    train, test = (load_events(folder, "nmnist", split) for split in ("train", "test"))
    clip = load_clip(source, torch.device("cpu"))
    viewing = Viewing(timesteps=2, normalization="paper")
    task = Task(train, test, clip, viewing, ask_about("nmnist", None, None), folder)
    (run,) = draws(task, Fitting(epochs=5, text_length="whole"), 1, 1, views=0)
    save_adapter(folder / "adapter.safetensors", run, task, "mini", str(source.path))
    return folder / "adapter.safetensors"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> tuple[Path, ...]:
    """Two real recordings of N-MNIST."""
    folder = tmp_path_factory.mktemp("nmnist")
    with tarfile.open(shared_data / "N-MNIST-500.tar.xz") as archive:
        members = [each for each in archive.getmembers() if "/Test/" in each.name and each.name.endswith(".bin")]
        archive.extractall(folder, members[:40:20], filter="data")
    return tuple(sorted(folder.rglob("*.bin")))


def events_of(path: Path) -> np.ndarray:
    events = read_own(path).events
    return np.stack([events[axis].astype(np.int64) for axis in "xytp"], 1)


def predicted(cli: Cli, adapter: Path, path: Path) -> dict[str, float]:
    found = cli("predict", adapter, path, "--data-dir", adapter.parent, "--top", 10, "--json")
    assert found.code == 0, found.err
    row: dict[str, float] = {each["class"]: each["probability"] for each in found.document[0]["predictions"]}
    return row


@pytest.mark.parametrize("form", [(), ("--raw",), ("--step",)])
def test_an_adapter_and_its_tower_run_in_onnxruntime(
    form: tuple[str, ...], cli: Cli, adapter: Path, recordings: tuple[Path, ...], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    out = tmp_path / "net.onnx"
    samples = [word for path in recordings for word in ("--sample", path)]
    sensor = ("--sensor", "34x34") if "--raw" not in form else ()
    words = ["export", adapter, "--out", out, *samples, *sensor, *form, "--data-dir", adapter.parent, "--json"]
    done = cli(*words)
    assert done.code == 0, done.err
    check = done.document["check"]
    assert check["samples"] == 2 and check["answers_changed"] == 0 and check["max_logit_difference"] <= 1e-4
    if not form:
        running = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        names = json.loads(running.get_modelmeta().custom_metadata_map["spikecli.classes"])
        for path in recordings:
            logits, (shares,) = running.run(None, {"events": events_of(path)})
            assert done.document["outputs"]["logits"] == f"float32 {logits.shape}"
            answer = predicted(cli, adapter, path)
            assert [answer[name] for name in names] == pytest.approx(shares.tolist(), abs=1e-4)


def test_a_stream_through_an_adapter_ends_with_the_answer_of_the_file(
    cli: Cli, adapter: Path, recordings: tuple[Path, ...]
) -> None:
    """Two windows of half the events each are the two slices of `predict`."""
    path = recordings[0]
    half = len(read_own(path)) // 2
    found = cli("watch", adapter, path, "--window", half, "--speed", 0, "--data-dir", adapter.parent, "--json")
    assert found.code == 0, found.err
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert [line["events"] for line in lines] == [half, half]
    assert predicted(cli, adapter, path) == pytest.approx(lines[-1]["probabilities"], abs=1e-4)


def test_a_stream_through_clip_alone_is_zero_shot(
    cli: Cli, adapter: Path, recordings: tuple[Path, ...], tmp_path: Path
) -> None:
    weights = adapter.parent / "mini.safetensors"
    path, film = recordings[1], tmp_path / "film.gif"
    asked = ["--classes", "zero,seven", "--clip", "mini", "--weights", weights]
    half = len(read_own(path)) // 2
    words: list[Any] = ["watch", "zeroshot", path, "--window", half, "--speed", 0, *asked, "--json"]
    found = cli(*words, "--record", film)
    assert found.code == 0, found.err
    last = json.loads(found.out.splitlines()[-1])
    whole = cli("zeroshot", path, *asked, "--timesteps", 2, "--json")
    assert whole.code == 0, whole.err
    answer = {each["class"]: each["probability"] for each in whole.document[0]["predictions"]}
    assert set(last["probabilities"]) == {"zero", "seven"}
    assert max(answer, key=answer.__getitem__) == last["class"]
    assert film.read_bytes().startswith(b"GIF8")


def test_options_of_clip_are_of_zeroshot(cli: Cli, adapter: Path) -> None:
    given = cli("watch", adapter, "-", "--classes", "a,b", "--data-dir", adapter.parent)
    assert given.code == 1 and "watch zeroshot with them" in given.err
    lacking = cli("watch", "zeroshot", "-")
    assert lacking.code == 1 and "--classes a,b,c" in lacking.err
