"""Pictures of spikes and membranes: what is in them is what the network's fire functions saw and did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spikecli import models
from spikecli.errors import SpikeError
from spikecli.evaluation import probe
from spikecli.evaluation.energy import counted
from spikecli.models.running import step_logits
from spikecli.neurons import layers
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.papers import neuron_of
from spikecli.view.clouds import membranes as histograms
from spikecli.view.clouds import spikes as rasters
from spikecli.view.clouds.membranes import common_edges, histogram, look_at_membranes, membranes_figure
from spikecli.view.clouds.spikes import ROWS, activity, look_at_spikes, raster, spikes_figure
from spikecli.view.drawing import report, window
from spikecli.view.drawing.theme import THEMES
from spikecli.view.look import Look
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

CLASSES = tuple("abcdefghij")
CPU = torch.device("cpu")
LIGHT = THEMES["light"]


def silent(*done: object, **fields: object) -> None:
    """What is told of progress, and not listened to."""


def network(paper: str = "spiking-pointnet", tnet: str = "none", seed: int = 0) -> torch.nn.Module:
    """Return a network whose batch statistics are those of some clouds, so that its deep layers fire too."""
    torch.manual_seed(seed)
    model = models.build(network_settings(neuron=neuron_of(paper), tnet=tnet))
    for norm in model.modules():
        if hasattr(norm, "running_mean"):
            norm.momentum = 1.0  # type: ignore[assignment]
    with torch.no_grad():
        model.train()(torch.from_numpy(np.stack([cloud(number) for number in range(8)])), 2)
    return model.eval()


def saved(path: Path, paper: str = "spiking-pointnet", tnet: str = "none", seed: int = 0) -> Path:
    config = TrainConfig(paper=paper, model=network_settings(neuron=neuron_of(paper), tnet=tnet), points=40)
    model = network(paper, tnet, seed)
    checkpoints.save(path, Checkpoint(model.state_dict(), config, CLASSES))
    return path


def cloud(seed: int = 0, points: int = 40) -> np.ndarray:
    xyz = np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32)
    return xyz / np.linalg.norm(xyz, axis=1).max()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "cloud.npy", cloud(points=60))
    return tmp_path / "cloud.npy"


def look(tmp_path: Path, source: Path, weights: Path, name: str, **changes: object) -> Look:
    out = tmp_path / name
    given = {"timesteps": 3, "checkpoint": Trained.open(weights, "cpu"), **changes}
    if changes.get("against") is not None:
        given["against"] = Trained.open(changes["against"], "cpu")  # type: ignore[arg-type]
    return Look((str(source),), data_dir=tmp_path, out=out, **given)  # type: ignore[arg-type]


# What the hooks read.


@pytest.mark.parametrize("tnet", ["none", "pooled", "paper"])
@pytest.mark.parametrize("paper", ["spiking-pointnet", "ternary-trainable"])
def test_firing_rates_are_those_that_the_energy_is_counted_from(paper: str, tnet: str) -> None:
    model = network(paper, tnet)
    with counted(model, 3) as counts:
        step_logits(model, cloud()[None], 3, CPU, "fp32", 0)
    layers = probe.firing(model, cloud(), 3, 0)
    spikes = sum((layer.positive + layer.negative).sum(axis=1) for layer in layers.values())
    neurons = sum(layer.rates.shape[1] * len(layer.by_point) for layer in layers.values())
    assert spikes.tolist() == counts.spikes.tolist()
    assert [neurons] * 3 == counts.neurons.tolist()
    assert spikes.sum() == sum(layer.by_point.sum() for layer in layers.values())
    signed = any(layer.negative.any() for layer in layers.values())
    assert signed == (paper == "ternary-trainable")


def test_the_probe_leaves_the_network_as_it_was() -> None:
    model = network()
    before = step_logits(model, cloud()[None], 2, CPU, "fp32", 0)
    probe.firing(model, cloud(), 2, 0)
    with pytest.raises(ZeroDivisionError), probe.watched(model, lambda *given: None):
        raise ZeroDivisionError
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(step_logits(model, cloud()[None], 2, CPU, "fp32", 0), before)


def test_every_step_of_every_layer_is_told_in_order() -> None:
    model = network()
    told: list[tuple[str, int]] = []
    with probe.watched(model, lambda name, step, u, spikes: told.append((name, step))):
        step_logits(model, cloud()[None], 2, CPU, "fp32", 0)
        step_logits(model, cloud()[None], 3, CPU, "fp32", 0)
    names = ["fire1", "fire2", "fire4", "fire5"]
    assert list(layers(model)) == names
    assert told == [(name, step) for steps in (2, 3) for name in names for step in range(steps)]


def test_membranes_are_all_there_and_fire_where_they_pass_the_threshold() -> None:
    model = network()
    layers = probe.membranes(model, np.stack([cloud(), cloud(1)]), 3, 0)
    for name, channels, places in (("fire1", 64, 40), ("fire2", 128, 40), ("fire4", 512, 1), ("fire5", 256, 1)):
        layer = layers[name]
        u = layer.values
        assert len(u) == 3 * 2 * channels * places
        assert layer.share_beyond == pytest.approx((u > 0.5).mean())
        assert layer.quantization_error == pytest.approx(np.abs(u - (u > 0.5)).mean(), rel=1e-5)
        edges = common_edges([layer])
        counts = histogram(layer, edges)
        assert counts.sum() == len(u)
        inner = (u >= edges[5]) & (u < edges[6])
        assert counts[5] == inner.sum()


def test_a_signed_neuron_has_two_thresholds() -> None:
    layer = probe.membranes(network("ternary"), cloud()[None], 2, 0)["fire1"]
    assert layer.thresholds.tolist() == [-0.5, 0.5]
    assert layer.share_beyond == pytest.approx((np.abs(layer.values) >= 0.5).mean())
    edges = common_edges([layer])
    assert edges[0] < -0.5 < 0.5 < edges[-1]


def test_a_folded_network_has_thresholds_of_its_channels() -> None:
    folded = reparameterize(network("mpbn"))
    before, after = (probe.membranes(model, cloud()[None], 2, 0)["fire1"] for model in (network("mpbn"), folded))
    assert before.thresholds.tolist() == [0.5] and len(after.thresholds) == 64
    assert after.share_beyond == pytest.approx(before.share_beyond, abs=1e-3)
    low, middle, high = histograms.shown_thresholds(after)
    assert low < middle < high and after.thresholds[0] <= low
    seen = [histograms.MembraneView("folded", "folded", {"fire1": after})]
    figure = membranes_figure(seen, LIGHT)
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [middle]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "folded", "threshold: median and 90% of the channels",
    ]  # fmt: skip


# What is drawn of them.


def test_the_raster_is_of_channels_in_the_order_of_firing(source: Path) -> None:
    layers = probe.firing(network(), cloud(), 3, 0)
    for layer in layers.values():
        plus, minus = raster(layer)
        assert plus.shape == (min(ROWS, layer.rates.shape[1]), 3) and not minus.any()
        total = plus.sum(axis=1)
        assert (np.diff(total) <= 1e-12).all()
        assert total[0] == pytest.approx(layer.rates.sum(axis=0).max())
        assert total[-1] == pytest.approx(layer.rates.sum(axis=0).min())
        assert plus.min() >= 0 and plus.max() <= 1


def fired(paper: str = "spiking-pointnet", steps: int = 3) -> rasters.Fired:
    layers = probe.firing(network(paper), cloud(), steps, 0)
    return rasters.Fired(rasters.Shape("x:0", cloud(), "a"), layers, (("a", 0.7), *[("b", 0.6)] * (steps - 1)))


def test_the_figure_says_rates_and_classes_step_by_step() -> None:
    one = fired()
    figure = spikes_figure(one, LIGHT)
    bars = [[bar.get_height() for bar in axes.patches] for axes in figure.axes if axes.patches]
    assert bars == [layer.rates.mean(axis=1).tolist() for layer in one.layers.values()]
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["a", "x:0", "T = 1: a 70% ✓", "T = 2: b 60% ✗", "T = 3: b 60% ✗"]
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [image.shape for image in images] == [(64, 3, 3)] * 4
    plus, _ = raster(one.layers["fire4"])
    assert set(np.unique(plus)) == {0.0, 1.0}
    paper, ink = np.ones(3), np.array([0x00, 0x72, 0xB2]) / 255
    np.testing.assert_allclose(images[2], np.where(plus[..., None] == 1, ink, paper), atol=1e-9)


def test_the_cloud_shows_which_points_make_it_fire() -> None:
    one = fired()
    values = activity(one)
    total = one.layers["fire1"].by_point + one.layers["fire2"].by_point
    assert values.min() == 0 and values.max() == 1 and values.argmax() == total.argmax()
    silent_layers = {"fire4": one.layers["fire4"]}
    assert activity(rasters.Fired(one.shape, silent_layers, one.said)).tolist() == [0.0] * 40


def test_negative_spikes_have_a_color_of_their_own() -> None:
    images = [axes.images[0].get_array() for axes in spikes_figure(fired("ternary"), LIGHT).axes if axes.images]
    red_over_blue = images[3][..., 0] - images[3][..., 2]
    assert red_over_blue.max() > 0.5 and red_over_blue.min() < -0.5


def test_a_histogram_stands_at_its_layer_and_threshold() -> None:
    seen = [
        histograms.MembraneView(name, name, probe.membranes(network(paper), cloud()[None], 2, 0))
        for name, paper in (("one", "lif"), ("two", "ternary"))
    ]
    figure = membranes_figure(seen, LIGHT)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["fire1", "fire2", "fire4", "fire5"]
    first = figure.axes[0]
    marks = {line.get_xdata()[0] for line in first.lines}
    assert marks == {0.5, -0.5}
    outlines = [patch for patch in first.patches if not patch.get_fill()]
    for patch, one in zip(outlines, seen, strict=True):
        values = patch.get_data().values
        assert values.sum() == pytest.approx(1)
        assert (values * len(one.layers["fire1"].values)).round().sum() == len(one.layers["fire1"].values)
    told = [text.get_text() for text in first.texts if "fire" in text.get_text()]
    assert told == [f"{one.layers['fire1'].share_beyond:.1%} fire" for one in seen]


# The command.


@pytest.mark.parametrize("show", ["spikes", "membranes"])
@pytest.mark.parametrize("theme", sorted(THEMES))
def test_networks_give_different_pictures_on_the_theme_s_paper(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: str, theme: str
) -> None:
    monkeypatch.setattr(report, "DOTS", 50)
    looker = {"spikes": look_at_spikes, "membranes": look_at_membranes}[show]
    pictures = []
    for place, seed in enumerate((0, 1, 0)):
        weights = saved(tmp_path / f"{seed}.safetensors", seed=seed)
        given = look(tmp_path, source, weights, f"{place}.png", theme=theme)
        looker(given, silent)
        image = np.asarray(Image.open(given.out).convert("RGB")).astype(int)  # type: ignore[arg-type]
        paper = [int(THEMES[theme].paper[at : at + 2], 16) for at in (1, 3, 5)]
        assert image[0, 0].tolist() == image[-1, -1].tolist() == paper
        pictures.append(image[report.DOTS :])  # below the name
    assert np.array_equal(pictures[0], pictures[2])
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any(axis=2).mean() > 0.002


def test_the_paper_s_architecture_has_all_its_layers_on_one_page(source: Path, tmp_path: Path) -> None:
    weights = saved(tmp_path / "w.safetensors", tnet="pooled")
    for looker, second in ((look_at_spikes, None), (look_at_membranes, weights)):
        given = look(tmp_path, source, weights, "x.html", against=second)
        record = looker(given, silent)
        layers = [layer["layer"] for layer in (record["sources"] + record.get("networks", []))[-1]["layers"]]
        assert len(layers) == 14 and layers[0] == "input_tnet.fire1" and "feature_tnet.pool.neuron" in layers
        page = given.out.read_text(encoding="utf-8")  # type: ignore[union-attr]
        assert all(f"<td>{layer}</td>" in page for layer in layers)
        assert len(page.encode()) < 5_000_000 and "<script" not in page


def test_the_document_of_spikes(cli: Callable, source: Path, tmp_path: Path) -> None:
    weights = saved(tmp_path / "w.safetensors")
    out = tmp_path / "s.png"
    given = ["view", source, "--checkpoint", weights, "--show", "spikes", "-T", 2, "--out", out, "--quiet"]
    (record,) = cli(*given, "--json").document["sources"]
    trained = Trained.open(weights)  # where the command line looks: another device draws other starts
    model = trained.network
    shape = rasters.read_shapes([str(source)], tmp_path, 40, 0)[0]
    layers = probe.firing(model, shape.points, 2, 0)
    assert record["points"] == 40
    assert {layer["layer"]: layer["firing_rate"] for layer in record["layers"]} == {
        name: layer.rates.mean(axis=1).tolist() for name, layer in layers.items()
    }
    with counted(model, 2) as counts:
        step_logits(model, shape.points[None], 2, trained.device, "fp32", 0)
    assert record["firing_rate"] == pytest.approx((counts.spikes / counts.neurons).tolist())
    assert [step["timesteps"] for step in record["predictions"]] == [1, 2]
    told = cli(*given).out
    assert "fire5  firing at T = 1…2: " in told and f"wrote {out}" in told


def test_the_document_of_membranes(cli: Callable, source: Path, tmp_path: Path) -> None:
    one, two = saved(tmp_path / "one.safetensors"), saved(tmp_path / "two.safetensors", "mpbn")
    given = ["view", source, "--checkpoint", one, "--against", two, "--show", "membranes", "-T", 2]
    document = cli(*given, "--out", tmp_path / "m.png", "--json", "--quiet").document
    assert [network["checkpoint"] for network in document["networks"]] == [str(one), str(two)]
    for network_record in document["networks"]:
        assert [layer["membranes"] for layer in network_record["layers"]] == [5120, 10240, 1024, 512]
        for layer in network_record["layers"]:
            assert layer["thresholds"] == [0.5] and 0 <= layer["share_beyond_threshold"] <= 1 and layer["std"] > 0
    assert document["networks"][0]["layers"] != document["networks"][1]["layers"]


def test_progress_ends_at_what_was_announced(source: Path, tmp_path: Path) -> None:
    weights = saved(tmp_path / "w.safetensors")
    for looker, wanted, second in ((look_at_spikes, 2, None), (look_at_membranes, 3, weights)):
        told: list[tuple[float, float | None]] = []
        given = look(tmp_path, source, weights, "x.png", against=second)
        looker(given, lambda done, total=None, told=told: told.append((done, total)))
        assert [total for _, total in told if total] == [wanted] == [sum(done for done, _ in told)]


def test_bad_requests_are_one_line(
    cli: Callable, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, ann = saved(tmp_path / "w.safetensors"), saved(tmp_path / "ann.safetensors", "ann")
    images = tmp_path / "images.safetensors"
    config = TrainConfig(model=network_settings(name="resnet20", width=0.1))
    checkpoints.save(images, Checkpoint(models.build(config.model).state_dict(), config, CLASSES))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(window.sys, "platform", "linux")
    out = ["--out", tmp_path / "x.png"]
    for show in ("spikes", "membranes"):
        wanted = {
            "needs a network; give one with --checkpoint": out,
            "has no spiking neurons": ["--checkpoint", ann, *out],
            "is a resnet20, which sees no clouds; give a run of pointnet or dela": ["--checkpoint", images, *out],
            "name a file that ends in one of .png, .svg, .pdf, .html": [
                "--checkpoint",
                weights,
                "--out",
                tmp_path / "x.mp4",
            ],
            "found no display": ["--checkpoint", weights],
            "found --split, which has no effect on this picture": ["--checkpoint", weights, "--split", "train", *out],
        }
        for line, given in wanted.items():
            told = cli("view", source, "--show", show, "--quiet", *given)
            assert told.code == 1 and line in told.err and told.err.count("\n") == 1
    with pytest.raises(SpikeError, match="found no checkpoint"):
        Trained.open(tmp_path / "missing.safetensors")
