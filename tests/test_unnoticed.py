"""One-line changes that once made no test fail: each is held here by the value that is right."""

from __future__ import annotations

import errno
import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from clip_files import one_recording
from conftest import Outcome
from event_bytes import bin_bytes, some_events
from first_version import unpack
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from spikecli import models
from spikecli.datasets.clouds import items, shapes
from spikecli.datasets.clouds.items import Draw, Item, draw_all
from spikecli.datasets.clouds.shapes import ShapeRecipe, build_shape, write_shapes
from spikecli.datasets.clouds.solids import Workpiece
from spikecli.datasets.events import decoding
from spikecli.datasets.events.decoding import decode_all
from spikecli.datasets.events.facts import DIGITS
from spikecli.datasets.events.kind import KIND as RECORDINGS
from spikecli.datasets.events.layouts import EventItem
from spikecli.datasets.images import prepare as images
from spikecli.datasets.own_sample import Inspected
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.errors import SpikeError
from spikecli.evaluation import evaluate
from spikecli.evaluation.comparison import Comparison
from spikecli.evaluation.how import How
from spikecli.files import archive
from spikecli.files.atomic import in_words
from spikecli.machine import workers
from spikecli.machine.doctor import PROBES
from spikecli.models.work import multiply_adds, necessary
from spikecli.neurons.start import Position
from spikecli.settings.config import TrainConfig
from spikecli.settings.recipes import train_settings
from spikecli.training import captured
from spikecli.training.batches import Batches
from spikecli.training.losses import Orthogonality
from spikecli.training.runs import BEST, Epoch, Run
from spikecli.training.step import TrainStep
from spikecli.view.drawing import window
from spikecli.view.drawing.canvas import pixels
from spikecli.view.drawing.page import _scale
from spikecli.view.drawing.picture import DOTS
from spikecli.view.drawing.theme import THEMES
from spikecli.view.recordings import flow
from spikecli.view.recordings.clip import ClipView
from spikecli.view.recordings.clip_figure import clip_figure
from spikecli.weights import checkpoint as checkpoints

Cli = Callable[..., Outcome]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("first"))


# Evaluation.


@pytest.mark.parametrize(("split", "samples"), [("train", 40), ("val", 10), ("test", 10)])
def test_a_score_names_the_split_that_was_scored(cli: Cli, first: Path, split: str, samples: int) -> None:
    asked = ("--timesteps", 1, "--runs", 1, "--split", split, "--data-dir", first / "data", "--device", "cpu")
    done = cli("eval", first / "frames", *asked, "--json")
    assert (done.document["split"], done.document["samples"]) == (split, samples)
    assert f"{split} split, {samples} recordings" in cli("eval", first / "frames", *asked).out


# Pictures.


def test_a_picture_has_the_dots_that_were_asked_for() -> None:
    assert pixels(Figure(figsize=(3, 2)), 100).size == (300, 200)
    assert pixels(Figure(figsize=(3.03, 2.01)), 100).size == (302, 200)  # even, as films require


def test_a_saved_picture_of_recordings_has_its_full_resolution(tmp_path: Path) -> None:
    look = flow.Look((), tmp_path, tmp_path / "a.png")
    takes: Any = [SimpleNamespace(title="seven", facts="12 events"), SimpleNamespace(title="two", facts="")]
    flow._save(look, Figure(figsize=(3, 2)), takes)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3 * DOTS, 2 * DOTS) == (600, 400)
        assert image.info["Title"] == "seven · two" and image.info["Description"] == "12 events"


def test_options_that_clip_ignores_are_refused_before_anything_is_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "damaged.bin").write_bytes(b"\x01\x02\x03")
    asked = ("view", tmp_path / "damaged.bin", "--show", "clip", "--classes", "a,b", "--out", tmp_path / "a.png")
    for given in (("--points", 10), ("--color", "normal")):
        refused = cli(*asked, *given)
        assert refused.code == 1 and f"found {given[0]} and a recording to show" in refused.err


def test_recordings_shorter_than_their_slices_are_refused_before_clip_is_opened(cli: Cli, tmp_path: Path) -> None:
    path = one_recording(tmp_path / "short.bin", count=3)
    out = tmp_path / "a.png"
    refused = cli("view", path, "--show", "clip", "--clip", "mini", "--classes", "a,b", "-T", 4, "--out", out)
    assert refused.code == 1 and "short.bin holds 3 events; wanted at least one for each of 4 slices" in refused.err


def test_recordings_stand_in_the_order_in_which_they_were_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [one_recording(tmp_path / f"{name}.bin", count=count) for name, count in (("b", 50), ("a", 70))]

    def seen(take: Any, *_: object) -> ClipView:
        return ClipView(take, np.zeros((2, 3, 8, 8)), np.full((2, 2), 0.5), np.full((2, 2), 0.5), ("x", "y"), "tiny")

    monkeypatch.setattr("spikecli.view.recordings.clip._see", seen)
    monkeypatch.setattr("spikecli.neuroclip.backbone.open_backbone", lambda *_: None)
    drawn: list[ClipView] = []
    monkeypatch.setattr(flow, "clip_figure", lambda sights, theme: drawn.extend(sights) or Figure(figsize=(1, 1)))
    asked = ("view", *paths, "--show", "clip", "--classes", "x,y", "-T", 2, "--out", tmp_path / "a.png", "--json")
    sources = cli(*asked).document["sources"]
    assert [(source["name"], source["events"]) for source in sources] == [("b", 50), ("a", 70)]
    assert [sight.take.name for sight in drawn] == ["b", "a"]
    figure = clip_figure(drawn, THEMES["light"])
    heights = {text.get_text(): text.get_position()[1] for text in figure.texts}
    (upper,), (lower,) = ([y for text, y in heights.items() if text.split()[0] == name] for name in "ba")
    assert upper > lower


# Files.


def test_an_archive_stops_at_the_space_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, content = tmp_path / "a.tar", bytes(3 << 20)
    with tarfile.open(path, "w") as file:
        info = tarfile.TarInfo("a.bin")
        info.size = len(content)
        file.addfile(info, io.BytesIO(content))
    used = archive.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda folder: used._replace(free=2 << 20))
    with (
        pytest.raises(SpikeError, match=r"a\.tar unpacks to more than the 2 MiB that are free; free some space"),
        archive.open_source(path, tmp_path) as folder,
    ):
        assert folder is None


def _in_threads(asked: list[int]) -> Callable[[int], Any]:
    @contextmanager
    def pool(count: int) -> Iterator[ThreadPoolExecutor]:
        asked.append(count)
        with ThreadPoolExecutor(1) as executor:
            yield executor

    return pool


def test_recordings_worth_a_pool_are_decoded_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bin_bytes(some_events(50, 34, 34, 0)))
    asked: list[int] = []
    monkeypatch.setattr(decoding, "pool", _in_threads(asked))
    monkeypatch.setattr(decoding, "cores", lambda: 3)

    def counts() -> list[list[int]]:
        one = EventItem(path, 0, "train", "a")
        return [batch.counts.tolist() for batch in decode_all([one], (34, 34), lambda step: None)]

    assert counts() == [[50]] and asked == []
    monkeypatch.setattr(decoding, "_WORTH_A_POOL", path.stat().st_size)
    assert counts() == [[50]] and asked == [3]


def test_clouds_worth_a_pool_are_read_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 3)))
    asked: list[int] = []
    monkeypatch.setattr(items, "pool", _in_threads(asked))
    monkeypatch.setattr(items, "cores", lambda: 3)
    several = [Item(str(number), 0, "train", tmp_path / "a.npy") for number in range(3 * items._CHUNK)]

    def drawn() -> np.ndarray:
        found = draw_all(several, Draw(8, "uniform", 0), lambda step: None)
        assert found.items == tuple(several) and found.points.any((1, 2)).all()
        return found.points

    few = drawn()
    assert asked == []
    monkeypatch.setattr(items.time, "thread_time", iter((0.0, 1.0)).__next__)  # 1 s for the first of three chunks
    assert np.array_equal(drawn(), few) and asked == [3]
    monkeypatch.setattr(items.time, "thread_time", iter((0.0, 0.9, 2.0, 2.9, 3.0, 4.0)).__next__)  # 1.8 s left
    assert np.array_equal(drawn(), few) and asked == [3]
    assert workers.cores() >= 1


# Built-in shapes.


def test_variety_is_the_spread_of_proportions() -> None:
    draws = {
        variety: [Workpiece(np.random.default_rng(seed), variety).between(2, 4) for seed in range(200)]
        for variety in (0, 0.5, 1, 2)
    }
    assert set(draws[0]) == {3.0}
    assert 2.5 <= min(draws[0.5]) < 2.55 and 3.45 < max(draws[0.5]) <= 3.5
    assert 2 <= min(draws[1]) < 2.1 and 3.9 < max(draws[1]) <= 4
    assert draws[2] == draws[1]  # no proportion leaves its range
    plain, wild = Workpiece(np.random.default_rng(0), 0), Workpiece(np.random.default_rng(0), 1)
    for piece in (plain, wild):
        piece.box((0, 0, 0), (1, 1, 1))
    size = np.ptp(plain.mesh().vertices, axis=0)
    np.testing.assert_allclose(size, 1)
    assert np.abs(np.ptp(wild.mesh().vertices, axis=0) - 1).max() > 0.01


def test_a_recipe_s_variety_reaches_its_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []

    def build(classname: str, generator: np.random.Generator, variety: float) -> Any:
        asked.append((classname, variety))
        return build_shape(classname, generator, variety)

    monkeypatch.setattr(shapes, "build_shape", build)
    write_shapes(tmp_path / "raw", ShapeRecipe(train=1, test=1, variety=0.25), lambda step: None)
    assert len(asked) == 20 and {variety for _, variety in asked} == {0.25}


# Training.


def test_best_are_the_weights_of_the_best_epoch_alone(tmp_path: Path) -> None:
    run, model = Run(tmp_path, TrainConfig(), tuple("abcdefghij")), nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    kept = []
    for number, accuracy in enumerate((0.5, 0.7, 0.7, 0.6, 0.8), 1):
        run.end_epoch(model, optimizer, Epoch(number, 1.0, 0.5, accuracy, 1e-3, 1.0, 1.0))
        kept.append(checkpoints.load(tmp_path / BEST).notes["epoch"])
    assert kept == [1, 2, 2, 2, 5]  # of equal ones the first


def test_every_step_has_an_augmentation_of_its_own() -> None:
    config = TrainConfig(augment="paper", batch_size=4, seed=3)
    clouds = np.random.default_rng(0).normal(size=(4, 30, 3)).astype(np.float32)
    batches = Batches(clouds, np.arange(4), config, CPU)
    same = np.arange(4)
    first, again = (batches.batch(same, 2, 5)[0] for _ in range(2))
    assert torch.equal(first, again)
    others = [batches.batch(same, *place)[0] for place in ((2, 6), (3, 5))]
    other_seed = Batches(clouds, np.arange(4), config.model_copy(update={"seed": 4}), CPU).batch(same, 2, 5)[0]
    for other in (*others, other_seed):
        assert not torch.equal(first, other)


class Turned(nn.Module):
    """A network whose transform is `factor` times the unit matrix."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.feature_tnet = nn.Identity()
        self.head = nn.Linear(2, 2)
        self.transform = nn.Parameter(factor * torch.eye(2))

    def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        self.feature_tnet(self.transform.expand(1, len(x), 2, 2))
        return self.head(x)[None]


def test_the_loss_holds_the_orthogonality_of_the_feature_transform() -> None:
    model = Turned(3.0)
    config = train_settings("shapes", "lif", "short", {"orthogonality": 0.25}, {}, {"tnet": "pooled"})
    step = TrainStep(config, model, torch.optim.SGD(model.parameters(), 0.1), CPU)
    loss, total, *_ = step._losses(torch.ones(3, 2), torch.tensor([0, 1, 0]))
    # ‖9·I − I‖_F = 8·√2 (2310.06232)
    assert float(total.detach() - loss.detach()) == pytest.approx(0.25 * 8 * 2**0.5)
    assert step.orthogonality.take() == 0.0 and Orthogonality(None).take() == 0.0


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_loss_holds_the_distance_of_membranes_times_its_weight(weight: float) -> None:
    config = train_settings("shapes", "rmp-loss", "short", {"points": 16}, {}, {})
    torch.manual_seed(0)
    model = models.build(config.model).train()
    step = TrainStep(config, model, torch.optim.SGD(model.parameters(), 0.1), CPU)
    penalties: list[torch.Tensor] = []
    take = step.membranes.take  # type: ignore[union-attr]

    def kept() -> tuple[torch.Tensor, torch.Tensor]:
        penalty, error = take()
        penalties.append(penalty.detach())
        return penalty, error

    step.membranes.take = kept  # type: ignore[union-attr, method-assign]
    step.prepare(0.1, weight)
    loss, total, *_ = step._losses(torch.rand(4, 16, 3), torch.tensor([0, 1, 2, 3]))
    assert float(penalties[0]) > 0.1
    assert float((total - loss).detach()) == pytest.approx(weight * float(penalties[0]), abs=1e-6)


# What was found by `scripts/mutate.py`.


def test_the_largest_differences_of_a_comparison_are_over_all_neurons() -> None:
    one = Comparison(currents={"a": 0.1, "b": 0.4}, potentials={"a": 0.3}, thresholds={"b": 0.2})
    two = Comparison(currents={"b": 0.2}, potentials={"a": 0.1, "b": 0.5}, thresholds={"a": 0.6})
    both = one + two
    assert (both.max_current_difference, both.max_potential_difference, both.max_threshold_difference) == (
        0.4,
        0.5,
        0.6,
    )
    assert Comparison().max_potential_difference == 0.0
    assert np.isnan((one + Comparison(potentials={"a": float("nan")})).max_potential_difference)


def test_own_recordings_have_the_sensor_that_holds_them_all() -> None:
    facts = replace(DIGITS, sensor=(0, 0))
    found = [Inspected(5, size, 1.0) for size in ((40, 20), (30, 90), None)]
    own = RECORDINGS.own_facts(facts, found, PrepareOptions())
    assert own.sensor == (40, 90)
    known = RECORDINGS.own_facts(replace(facts, sensor=(128, 96)), found, PrepareOptions())
    assert known.sensor == (128, 96)


def test_a_part_prints_its_numbers() -> None:
    assert str(Position(0.25)) == "Position(high=0.25)"


def test_the_doctor_s_probe_of_hdf5_writes_and_reads(tmp_path: Path) -> None:
    assert PROBES["h5py"].run(tmp_path).endswith("a file written and read")


def test_a_page_s_colors_run_from_one_end_of_the_map_to_the_other() -> None:
    stops = _scale("viridis", THEMES["light"])
    assert [place for place, _ in stops] == pytest.approx(np.linspace(0, 1, 16))
    assert stops[0][1] != stops[7][1] != stops[-1][1]


@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission is denied")],
)
def test_a_file_error_of_the_system_is_a_line_with_its_cure(number: int, cure: str) -> None:
    line = in_words(OSError(number, "", "some/where.h5"))
    assert line is not None and line.startswith("cannot use some/where.h5: ") and cure in line
    assert in_words(OSError(number, "")) is None and in_words(OSError(errno.EPIPE, "", "a")) is None


def test_sums_are_read_at_every_step_on_a_cpu_and_now_and_then_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert captured.next_pace(CPU, 10, 0.001) == 1
    gpu = torch.device("cuda")
    assert captured.next_pace(gpu, 10, 0.1) == 25  # a quarter of a second
    assert captured.next_pace(gpu, 10, 1e-6) == captured.MOST_AT_A_TIME and captured.next_pace(gpu, 1, 9.0) == 1
    monkeypatch.setattr(captured.processes, "world", lambda: 2)
    assert captured.next_pace(gpu, 10, 0.1) == captured.STEPS_TOGETHER


@pytest.mark.parametrize(
    ("folder", "said"), [("scratch/x", "a.tar: test.bin is cut"), ("a.tar", "a.tar/test.bin is cut")]
)
def test_an_error_names_the_archive_and_not_the_folder_it_was_unpacked_to(folder: str, said: str) -> None:
    with pytest.raises(SpikeError) as caught, images._naming(Path("a.tar"), Path(folder)):
        raise SpikeError(f"{folder}/test.bin is cut")
    assert str(caught.value) == said


def test_seconds_of_a_split_are_those_of_a_batch_times_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 4, 10, 12, 20, 29])  # a batch takes 4, 2 and 9 s
    monkeypatch.setattr(evaluate, "samples_at_a_time", lambda inputs, device: 5)
    monkeypatch.setattr(evaluate, "step_logits", lambda model, batch, *rest: torch.zeros(1, len(batch), 2))
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: next(ticks))
    assert evaluate._seconds(nn.Identity(), np.zeros((15, 3)), 1, How()) == 12


def test_products_of_torch_s_own_linear_layer_are_counted() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4)), torch.ones(5, 3)
    with necessary(model) as products, torch.no_grad():
        model(x)
    assert multiply_adds(products) == 5 * 3 * 4


def test_the_window_looks_from_where_pictures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open3D is a stand-in here: a window needs a screen."""
    open3d = MagicMock()
    monkeypatch.setitem(sys.modules, "open3d", open3d)
    cloud = {"points": np.zeros((9, 3)), "colors": np.zeros((9, 3)), "title": "t", "paper": np.ones(3)}
    np.savez(tmp_path / "a.npz", **cloud)
    window.open_window(tmp_path / "a.npz")
    viewer = open3d.visualization.Visualizer.return_value
    front = viewer.get_view_control.return_value.set_front.call_args.args[0]
    turn, tilt = np.radians(-55), np.radians(22)  # right, nearer than the middle, and from above
    assert front == pytest.approx([np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn), np.sin(tilt)])
    assert viewer.run.called and np.linalg.norm(front) == pytest.approx(1)
