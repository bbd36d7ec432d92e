"""Robustness: the table is what evaluating damaged samples by hand gives, and nothing damaged is kept for clean."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import prepare_recordings, random_mini
from conftest import Outcome

from spikecli import models
from spikecli.datasets.clouds.damage import CLOUD_CORRUPTIONS, corrupt_clouds
from spikecli.datasets.clouds.store import PointClouds, load_points
from spikecli.datasets.events.damage import EVENT_CORRUPTIONS, corrupt_recording
from spikecli.datasets.events.frames import to_frames
from spikecli.datasets.events.samples import EventSamples, Framing
from spikecli.datasets.events.split import load_events
from spikecli.datasets.images.damage import IMAGE_CORRUPTIONS
from spikecli.datasets.images.prepare import Images
from spikecli.datasets.sets import kind_named
from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import evaluate
from spikecli.evaluation.how import How
from spikecli.evaluation.robustness import Battery, DamageCell, corruptions_of, means, robustness
from spikecli.models.pointnet import PointNet
from spikecli.models.running import step_logits
from spikecli.neuroclip.clip import load_clip
from spikecli.neuroclip.event_robustness import zero_shot_robustness
from spikecli.neuroclip.features import FeatureStore, Viewing, encode_frames
from spikecli.neuroclip.zeroshot import ask_about, text_features, zero_shot_logits
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.papers import PAPERS
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint

CPU = torch.device("cpu")
Cli = Callable[..., Outcome]


def network(paper: str, classes: int = 4) -> PointNet:
    torch.manual_seed(0)
    model = models.build(network_settings(classes=classes, neuron=PAPERS[paper].neuron))
    assert isinstance(model, PointNet)
    with torch.no_grad():
        for _ in range(5):
            model.train()(torch.from_numpy(clouds().points), 1)
    return model.eval()


def clouds(count: int = 24, points: int = 40) -> PointClouds:
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(count, points, 3)) * rng.uniform(0.2, 1, (count, 1, 3))
    xyz = (xyz / np.linalg.norm(xyz, axis=-1).max(1)[:, None, None]).astype(np.float32)
    names = tuple(str(n) for n in range(count))
    return PointClouds(xyz, np.arange(count) % 4, names, ("a", "b", "c", "d"), "made-up", "test", "none")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare_recordings(tmp_path_factory.mktemp("data"))
    random_mini(folder / "mini.safetensors")
    return folder


def test_a_battery_begins_with_what_is_whole() -> None:
    battery = Battery(("jitter", "scale"), (1, 5))
    assert battery.cases == [("clean", 0), ("jitter", 1), ("jitter", 5), ("scale", 1), ("scale", 5)]
    assert len(Battery(tuple(CLOUD_CORRUPTIONS)).cases) == 1 + 5 * len(CLOUD_CORRUPTIONS)


def test_the_table_is_that_of_damaged_clouds_evaluated_by_hand() -> None:
    model, data = network("spiking-pointnet"), clouds()
    battery = Battery(("rotation", "dropout-global", "outliers-local"), (2, 4))
    cells = robustness(model, data, battery, [1, 3], How(2, 3))
    assert [(cell.corruption, cell.severity) for cell in cells[::2]] == battery.cases
    clean = evaluate(model, data, [1, 3], How(2, 3))
    assert [cell.instance_accuracy for cell in cells[:2]] == [row.instance_accuracy for row in clean]
    for cell in cells[2:]:
        shares = []
        for seed in (3, 4):  # a run draws its damage and its perturbation from one seed
            points = corrupt_clouds(data.points, cell.corruption, cell.severity, seed)
            logits = step_logits(model, points, 3, CPU, "fp32", seed)
            shares.append((logits[: cell.timesteps].mean(0).argmax(-1).numpy() == data.labels).mean())
        assert cell.instance_accuracy == pytest.approx(np.mean(shares))
        assert cell.instance_accuracy_std == pytest.approx(np.std(shares, ddof=1))
    assert len({cell.instance_accuracy for cell in cells}) > 3


def test_the_ann_has_a_column_of_one_step() -> None:
    cells = robustness(network("ann"), clouds(), Battery(("jitter",), (1,)), [1, 4], How())
    assert [(cell.corruption, cell.timesteps) for cell in cells] == [("clean", 1), ("jitter", 1)]


def test_damaged_recordings_become_frames_anew_for_each_number_of_steps(data_dir: Path) -> None:
    split = load_events(data_dir, "nmnist", "test")
    samples = EventSamples(split, Framing("count", (34, 34), 2), Progress())
    torch.manual_seed(0)
    config = network_settings(
        name="resnet20", neuron=PAPERS["lif"].neuron, width=0.1, classes=10, inputs=2, size=(34, 34)
    )
    model = models.build(config).eval()
    cells = robustness(model, samples, Battery(("dead-pixels",), (5,)), [1, 2], How(seed=1))
    assert [(cell.severity, cell.timesteps) for cell in cells] == [(0, 1), (0, 2), (5, 1), (5, 2)]
    for cell in cells[2:]:
        hurt = [corrupt_recording(split.recording(index), "dead-pixels", 5, 1, index) for index in range(len(split))]
        frames = np.stack([samples.framing.of_recording(one, cell.timesteps) for one in hurt])
        assert 0 < frames.sum() < samples.inputs(cell.timesteps).sum()
        logits = step_logits(model, frames, cell.timesteps, CPU, "fp32", 1)
        assert cell.instance_accuracy == (logits.mean(0).argmax(-1).numpy() == split.labels).mean()


def test_a_kind_without_damage_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images(np.zeros((1, 3, 32, 32), np.uint8), np.zeros(1, np.int64), ("a",), "cifar10", "test", "none")
    assert corruptions_of(images) == IMAGE_CORRUPTIONS
    monkeypatch.setattr(type(kind_named("images")), "corruptions", lambda kind: {})
    with pytest.raises(SpikeError, match="no damage is known for images, which cifar10 holds"):
        corruptions_of(images)


def test_means_are_over_the_kinds_and_leave_out_the_clean_row() -> None:
    cells = [DamageCell("clean", 0, 1, 1.0, 0, 1.0)]
    cells += [DamageCell(kind, severity, 1, share, 0, share / 2) for kind, severity, share in (
        ("a", 1, 0.8), ("a", 5, 0.2), ("b", 1, 0.6), ("b", 5, 0.4),
    )]  # fmt: skip
    found = {mean.severity: (mean.instance_accuracy, mean.class_accuracy) for mean in means(cells)}
    assert {key: pytest.approx(value) for key, value in found.items()} == {
        1: (0.7, 0.35), 5: (0.3, 0.15), None: (0.5, 0.25),
    }  # fmt: skip


def saved(folder: Path, paper: str, shapes_dir: Path) -> Path:
    names = load_points(shapes_dir, "shapes", "test").classnames
    config = TrainConfig(model=network_settings(classes=len(names), neuron=PAPERS[paper].neuron), points=64)
    state = network(paper, len(names)).state_dict()
    checkpoints.save(folder / paper / "model.safetensors", Checkpoint(state, config, names))
    return folder / paper


def test_eval_puts_two_networks_side_by_side(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    spiking, ann = (saved(tmp_path, paper, shapes_dir) for paper in ("lif", "ann"))
    common = ("--runs", 1, "--timesteps", "1,2", "--data-dir", shapes_dir, "--severities", "3")
    asked = ("--corrupt", "jitter,outliers-global", "--beside", ann)
    done = cli("eval", spiking, *asked, *common, "--out", tmp_path / "t.csv", "--json")
    assert done.code == 0, done.err
    document = done.document
    assert (document["samples"], document["runs"], document["seed"]) == (100, 1, 0)
    keys = [(row["corruption"], row["severity"], row["timesteps"]) for row in document["results"]]
    assert keys == [(kind, severity, t) for kind, severity in (
        ("clean", 0), ("jitter", 3), ("outliers-global", 3),
    ) for t in (1, 2)]  # fmt: skip
    assert [(mean["severity"], mean["timesteps"]) for mean in document["means"]] == [
        (3, 1),
        (3, 2),
        (None, 1),
        (None, 2),
    ]
    beside = document["beside"]
    assert beside["checkpoint"].startswith(str(ann)) and {row["timesteps"] for row in beside["results"]} == {1}
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len(rows) == 6 + 3
    assert float(rows[2]["instance_accuracy"]) == document["results"][2]["instance_accuracy"]
    table = cli("eval", spiking, *asked, *common, "--quiet")
    assert "lif, T = 2" in table.out and "ann, T = 1" in table.out and "ann, T = 2" not in table.out
    assert f"{document['means'][-1]['instance_accuracy']:.1%}" in table.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--corrupt", "fog"), 2, "--corrupt cannot be 'fog': choose one of all, jitter"),
        (("--corrupt", "all", "--severities", "9"), 2, "--severities cannot be '9': choose some of 1,2,3,4,5"),
        (("--corrupt", "all", "--timesteps", "auto"), 1, "wanted whole numbers"),
        (("--corrupt", "all", "--figure", "x.png"), 1, "remove --figure or --corrupt"),
        (("--corrupt", "all", "--by-class"), 1, "remove --by-class or --corrupt"),
        (("--corrupt", "all", "--beside", "nowhere"), 1, "found no checkpoint"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    cli: Cli, shapes_dir: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    refused = cli("eval", saved(tmp_path, "lif", shapes_dir), *arguments, "--data-dir", shapes_dir, "--quiet")
    assert refused.code == code and said in refused.err and refused.err.count("\n") == 1


# Recordings before CLIP.


def test_damaged_recordings_are_encoded_anew_and_not_kept(data_dir: Path, tmp_path: Path) -> None:
    clip = load_clip(random_mini(data_dir / "mini.safetensors"), CPU)
    store = FeatureStore(tmp_path, load_events(data_dir, "nmnist", "test"), clip, Viewing(timesteps=3))
    question, told = ask_about("nmnist", None, None), []
    progress = Progress(on_phase=lambda what, total: told.append(total), on_step=lambda steps: told.append(-steps))
    battery = Battery(("noise", "polarity-flips"), (5,))
    cells = zero_shot_robustness(store, question, battery, 2, None, progress)
    assert told[0] == 3 * 20 and sum(told) == 0
    texts = text_features(clip, question)
    for cell in cells[1:]:
        shown = [
            to_frames(corrupt_recording(store.split.recording(i), cell.corruption, 5, 2, i), store.viewing.slices)
            for i in range(20)
        ]
        logits = zero_shot_logits(encode_frames(clip, store.viewing, np.stack(shown)), texts, clip.logit_scale)
        said = logits.mean(0).argmax(1).cpu().numpy()
        assert cell.instance_accuracy == pytest.approx((said == store.split.labels).mean())
        assert cell.timesteps == 3
    fresh = replace(store, data_dir=tmp_path / "other")
    torch.testing.assert_close(store.read(range(20)), fresh.read(range(20)))
    (_,) = (tmp_path / "features").iterdir()  # of the clean recordings, and no other


def test_zeroshot_shows_damage_by_kind_and_severity(cli: Cli, data_dir: Path) -> None:
    weights = ("--clip", "mini", "--weights", data_dir / "mini.safetensors")
    common: tuple[Any, ...] = (*weights, "--timesteps", 2, "--data-dir", data_dir, "--device", "cpu")
    asked = ("--corrupt", "all", "--severities", "1,5", "--limit", 10, "--seed", 4)
    done = cli("zeroshot", "nmnist", *common, *asked, "--json")
    assert done.code == 0, done.err
    document = done.document
    assert (document["samples"], document["timesteps"], document["seed"]) == (10, 2, 4)
    assert len(document["results"]) == 1 + 2 * len(EVENT_CORRUPTIONS) and "beside" not in document
    plain = cli("zeroshot", "nmnist", *common, "--limit", 10, "--json").document
    assert document["results"][0]["instance_accuracy"] == plain["instance_accuracy"]
    refused = cli("zeroshot", data_dir / "mini.safetensors", *common, "--corrupt", "all", "--classes", "a,b")
    assert refused.code == 1 and "--corrupt needs a data set" in refused.err
    fog = cli("zeroshot", "nmnist", *common, "--corrupt", "jitter")
    assert fog.code == 2 and "did you mean time-jitter? choose one of all, noise" in fog.err
