"""`predict` sees what `eval` saw: samples of the test split, written as files, get the probabilities of its logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from event_bytes import aedat4_bytes, bin_bytes, dat_bytes, structured, write
from event_runs import prepared, settings
from own_scans import scans

from spikecli import models
from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.events.split import load_events
from spikecli.datasets.images.prepare import load_images
from spikecli.evaluation.evaluate import probabilities, samples_for
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import neuron_of
from spikecli.training.train import opened
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.trained import Trained

Cli = Callable[..., Any]


def same(cli: Cli, run: Path, data: Path, files: list[Path], chosen: list[int], timesteps: int = 4) -> None:
    """Assert that `predict` gives files, of the test samples `chosen`, the probabilities of `eval` to 1e-6.

    A GPU multiplies one sample by another kernel than many, so 1e-5 there.
    """
    trained = Trained.open(run)
    apart = 1e-6 if trained.device.type == "cpu" else 1e-5
    inputs = samples_for(trained, data).inputs(timesteps, np.array(chosen))
    seen = probabilities(trained, inputs, timesteps)[-1]
    assert len(files) == 1 or np.ptp(seen, axis=0).max() > 1e-3  # or any answer would do
    said = cli("predict", run, *files, "--top", 99, "--json", "-T", timesteps)
    assert said.code == 0, said.err
    for row, answer in zip(seen, said.document, strict=True):
        shares = {guess["class"]: guess["probability"] for guess in answer["predictions"]}
        np.testing.assert_allclose([shares[name] for name in trained.classnames], row, atol=apart)


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder with small recordings prepared as nmnist, and a run on them."""
    folder = tmp_path_factory.mktemp("spots")
    data = prepared(folder)
    with opened(settings(epochs=1), data, folder / "run", False, "cpu") as trainer:
        list(trainer.epochs(lambda *_: None))
    return data, folder / "run"


def test_recordings_in_any_format(cli: Cli, spotted: tuple[Path, Path], tmp_path: Path) -> None:
    """Formats without a sensor get that of the data set, so that frames are of the same pixels."""
    data, run = spotted
    split = load_events(data, "nmnist", "test")
    files, chosen = [], []
    for index in range(0, len(split), 7):
        events = [tuple(map(int, row)) for row in split.recording(index).events[["x", "y", "t", "p"]].tolist()]
        table = np.array(events, np.int64)
        base = tmp_path / f"{index:03d}"
        files += [
            write(base.with_suffix(".bin"), bin_bytes(events)),
            write(base.with_suffix(".dat"), dat_bytes(events, "% Data file\n% Version 2\n")),
            base.with_suffix(".npy"),
            base.with_suffix(".npz"),
            base.with_suffix(".csv"),
        ]
        np.save(files[-3], table)
        np.savez(files[-2], events=structured(events))
        rows = "\n".join(f"{t / 1e6:.6f},{x},{y},{p}" for x, y, t, p in events)
        files[-1].write_text(f"t,x,y,p\n{rows}\n")
        chosen += [index] * 5
    same(cli, run, data, files, chosen)
    same(cli, run, data, files[::6], chosen[::6], timesteps=1)
    # A file that names a larger sensor is another recording, and a note says so.
    larger = write(tmp_path / "larger.aedat4", aedat4_bytes(events))
    noted = cli("predict", run, larger, "--json").document[0]["notes"]
    assert any("trained on 34 x 34" in note for note in noted)


def test_pictures_as_prepared_and_as_found(cli: Cli, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(1)
    for name, shade in (("leaf", 80), ("bark", 160)):
        for number in range(6):
            path = tmp_path / "from" / ("test" if number > 3 else "train") / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = np.clip(rng.normal(shade, 40, (20, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(path)
    place = ("--data-dir", tmp_path / "data")
    assert cli("data", "prepare", "trees", "--from", tmp_path / "from", *place, "--quiet").code == 0
    run = tmp_path / "run"
    asked = ("train", "trees", "--paper", "ann", "--epochs", 3, "--width", 0.1, "--batch-size", 4, "--out", run)
    assert cli(*asked, *place, "--quiet").code == 0
    split = load_images(tmp_path / "data", "trees", "test")
    files = []
    for index, image in enumerate(split.images):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(image.transpose(1, 2, 0)).save(files[-1])
    same(cli, run, tmp_path / "data", files, list(range(len(files))))
    same(cli, run, tmp_path / "data", sorted((tmp_path / "from" / "test").rglob("*.png")), list(range(len(files))))


def test_own_scans_with_another_axis_up(cli: Cli, tmp_path: Path) -> None:
    """The original files of the test split, y up as their data set says, and prepared points as files.

    Neurons of this network draw nothing: noise in the first membranes would be another for points in another order.
    """
    scans(tmp_path / "from" / "train", 4)
    scans(tmp_path / "from" / "test", 2, seed=1)
    place = ("--data-dir", tmp_path / "data")
    asked = ("data", "prepare", "parts", "--from", tmp_path / "from", "--points", 40, "--up", "y", *place, "--quiet")
    assert cli(*asked).code == 0
    run = tmp_path / "run"
    training = ("--paper", "lif", "--epochs", 2, "--points", 40, "--batch-size", 10, "--augment", "none", "--out", run)
    assert cli("train", "parts", *training, *place, "--quiet").code == 0
    originals = sorted((tmp_path / "from" / "test").rglob("*.ply"))
    same(cli, run, tmp_path / "data", originals, list(range(10)))
    rows, chosen = load_points(tmp_path / "data", "parts", "test").points, [1, 8]
    files = [tmp_path / f"{index}.npz" for index in chosen]
    for file, index in zip(files, chosen, strict=True):
        x, y, z = rows[index].T
        np.savez(file, points=np.stack([x, z, -y], axis=1))  # y up again
    same(cli, run, tmp_path / "data", files, chosen)


def test_own_recordings_with_their_own_sensor(cli: Cli, tmp_path: Path) -> None:
    """The original files of the test split, and prepared events in formats that name no sensor."""
    for number in range(6):
        for letter, middle in (("A", 6), ("B", 15), ("C", 24)):
            rng = np.random.default_rng([number, middle])
            where = np.clip(rng.normal(middle, 2, (90, 2)), 0, [29, 23]).astype(int)
            times = np.sort(rng.integers(0, 200_000, 90))
            events = [(int(x), int(y), int(t), int(x) % 2) for (x, y), t in zip(where, times, strict=True)]
            folder = tmp_path / "from" / ("test" if number > 3 else "train") / letter
            write(folder / f"{number}.bin", bin_bytes(events))
    place = ("--data-dir", tmp_path / "data")
    asked = ("data", "prepare", "letters", "--from", tmp_path / "from", "--sensor", "30x24", *place, "--quiet")
    assert cli(*asked).code == 0
    run = tmp_path / "run"
    training = ("--epochs", 2, "--width", 0.1, "--batch-size", 6, "--size", 12, "--out", run, *place, "--quiet")
    assert cli("train", "letters", *training).code == 0
    same(cli, run, tmp_path / "data", sorted((tmp_path / "from" / "test").rglob("*.bin")), list(range(6)))
    split = load_events(tmp_path / "data", "letters", "test")
    files, chosen = [], [0, 3, 5]
    for index in chosen:
        events = split.recording(index).events
        files.append(tmp_path / f"{index}.csv")
        np.savetxt(files[-1], [list(row) for row in events[["x", "y", "p", "t"]].tolist()], "%d", ",", header="x,y,p,t")
    same(cli, run, tmp_path / "data", files, chosen)


def test_clouds_of_a_network_that_looks_at_their_order(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    """DeLA's levels begin with the first point of a cloud: one of just as many points as it takes keeps its order."""
    split = load_points(shapes_dir, "shapes", "test")
    torch.manual_seed(0)
    settings = network_settings(
        "dela", neuron=neuron_of("ternary"), width=0.05, neighbors=5, classes=len(split.classnames)
    )
    network = models.build(settings)
    with torch.no_grad():  # one that was never trained gives every cloud nearly the same answer
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    config = TrainConfig(dataset="shapes", model=settings, points=64)
    run = tmp_path / "dela.safetensors"
    about = {"epoch": 1, "metrics": {}}
    checkpoints.save(run, checkpoints.Checkpoint(dict(network.state_dict()), config, split.classnames, about))
    files, chosen = [], list(range(0, len(split.labels), 60))
    for index in chosen:
        files.append(tmp_path / f"{index:04d}.npy")
        np.save(files[-1], split.points[index])
    same(cli, run, shapes_dir, files, chosen)
    rows = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in split.points[chosen[0]])
    files[0].with_suffix(".xyz").write_text(rows)
    same(cli, run, shapes_dir, [files[0].with_suffix(".xyz")], chosen[:1])
