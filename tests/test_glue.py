"""Glue that no other test looks at, held by cheap tests of the values that come out of it."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forks
import numpy as np
import pytest
import torch
from event_bytes import bin_bytes, some_events
from rooms import ROOT
from torch import nn

from spikecli import neurons
from spikecli.cli import predict
from spikecli.cli.options import complete
from spikecli.cli.shown import newest
from spikecli.datasets.clouds import ply
from spikecli.datasets.clouds.facts import SHAPES
from spikecli.datasets.clouds.ply_header import Element
from spikecli.datasets.clouds.shapes import build_shape
from spikecli.datasets.events import prepare, simulate
from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.frames import EqualCount
from spikecli.datasets.own.prepare import prepare_own
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.errors import SpikeError
from spikecli.evaluation.calibration import fit_threshold
from spikecli.evaluation.own_files import PredictOptions
from spikecli.export.fronts import Raw
from spikecli.export.membranes import Box, Carried
from spikecli.export.probes import made_recording
from spikecli.files.numbers import numbers
from spikecli.machine import precision, workers
from spikecli.models.convolution import AveragePool, Convolution
from spikecli.models.exits import NARROW, Bottleneck
from spikecli.models.work import Product
from spikecli.progress import Progress
from spikecli.settings.neuron import NeuronConfig
from spikecli.view.clouds.panels import cloud_panel
from spikecli.view.clouds.shape import Shape
from spikecli.view.drawing import window
from spikecli.view.drawing.theme import THEMES
from spikecli.view.recordings import picture
from spikecli.view.recordings.picture import EventSheet
from spikecli.view.recordings.take import NamedRecording
from spikecli.view.runs import flow

# Commands.


def test_a_name_near_a_data_set_is_a_sample_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "did you mean shapes:test:0? wanted a file" in newest._no_such(Path("shapez"), tmp_path)
    assert "did you mean" not in newest._no_such(Path("qqqq"), tmp_path)


def test_what_rejects_is_added_to_what_was_asked_for() -> None:
    warned: list[str] = []
    console: Any = SimpleNamespace(warn=warned.append)
    trained: Any = SimpleNamespace(notes={}, given="x")
    asked = PredictOptions(2, seed=7)
    found = predict._rejecting(console, trained, asked, "0.6")
    assert (found.when, found.seed, found.reject and found.reject.threshold) == (2, 7, 0.6)
    assert "not calibrated" in warned[0]
    assert predict._rejecting(console, trained, asked, None) is asked


def test_a_batch_system_s_warning_does_not_end_a_command() -> None:
    code = (
        "import os, signal, spikecli.cli as cli\n"
        "cli.run = lambda: os.kill(os.getpid(), signal.SIGUSR1) or 5\n"
        "cli.entry()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert forks.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 5


def test_runs_are_completed_in_checkpoints_and_in_a_folder_that_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("checkpoints/one", "other/two"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "metrics.jsonl").write_bytes(b"{}")
    assert [name for name, _ in complete.runs(None, "checkpoints/")] == ["checkpoints/one"]
    assert [name for name, _ in complete.runs(None, "other/t")] == ["other/two"]


# Data.


# Vertices, faces and the sum of all coordinates' sizes of twelve pieces of each kind, of version 1 of the recipe.
PIECES: dict[str, tuple[int, int, float]] = {
    "bed": (688, 1032, 1189.6192),
    "bench": (1148, 2008, 1114.0339),
    "chair": (1226, 2060, 1040.6277),
    "desk": (1108, 1896, 1370.8489),
    "lamp": (1098, 2024, 896.5415),
    "monitor": (476, 792, 182.9570),
    "shelf": (616, 924, 790.5835),
    "sofa": (1184, 2088, 1321.9451),
    "stool": (968, 1712, 603.8934),
    "table": (1124, 2024, 1203.8752),
}


def test_a_piece_of_furniture_is_the_one_of_its_version() -> None:
    """If a piece is meant to change, raise `ShapeRecipe.version` and write the new numbers here."""
    for label, name in enumerate(SHAPES.classnames):
        pieces = [build_shape(name, np.random.default_rng([0, label, number])) for number in range(12)]
        found = [sum(len(one.vertices) for one in pieces), sum(len(one.faces) for one in pieces)]
        assert (*found, sum(np.abs(one.vertices).sum() for one in pieces)) == pytest.approx(PIECES[name], rel=1e-6)


def test_lines_are_dealt_to_the_elements_of_a_ply_file_in_order() -> None:
    elements = [Element("vertex", 2, ()), Element("face", 1, ())]
    assert ply._parts(Path("x"), b"head\n0 0 1\n2 3 4\n3 0 1 2\n", 5, elements) == [b"0 0 1\n2 3 4\n", b"3 0 1 2\n"]


def test_a_word_among_numbers_is_refused_whatever_warnings_are_shown() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as a program may have it
        with pytest.raises(SpikeError, match="x holds 'two' where a number was wanted"):
            numbers(Path("x"), b"1 two 3")


def test_skipping_bad_files_is_a_setting_of_the_prepared_data(tmp_path: Path) -> None:
    wanted = prepare._wanted(EVENT_SETS["nmnist"], PrepareOptions(skip_bad=True))
    assert wanted["skip_bad"] is True
    assert "skip_bad" not in prepare._wanted(EVENT_SETS["nmnist"], PrepareOptions())


def test_an_archive_is_named_while_it_is_unpacked(tmp_path: Path) -> None:
    import contextlib
    import zipfile

    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        archive.writestr("Test/3/00001.bin", bin_bytes(some_events(20, 34, 34, 0)))
    phases: list[str] = []
    told = Progress(on_phase=lambda what, total: phases.append(what))
    with contextlib.ExitStack() as stack:
        (tmp_path / "scratch").mkdir()
        items = prepare._items_in(EVENT_SETS["nmnist"], tmp_path / "n.zip", tmp_path / "scratch", stack, told)
    assert [item.label for item in items] == [3] and phases == ["Unpacking n.zip"]


def test_noise_falls_on_the_whole_of_a_sensor_that_is_not_square() -> None:
    events = simulate._shot(50.0, (6, 40), 0.0, 1e5, np.random.default_rng(0))
    assert len(events) == pytest.approx(50 * 6 * 40 / 10, rel=0.15)
    assert (events["x"].max(), events["y"].max(), events["p"].max()) == (39, 5, 1)


def test_a_data_set_s_name_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match=r"cannot be called '\.\./outside'; take letters"):
        prepare_own(tmp_path / "data", "../outside", PrepareOptions(source=tmp_path))
    assert list(tmp_path.iterdir()) == []


# Networks.


def test_a_pool_says_its_side() -> None:
    assert repr(AveragePool(2)) == "AveragePool(side=2)"


def test_a_convolution_says_its_products() -> None:
    layer, x = Convolution(3, 5, kernel=3, stride=2), torch.zeros(2, 1, 8, 6, 3)
    with torch.no_grad():
        output = torch.zeros(2, 1, 4, 3, 5)
        assert layer.matrices(x, output) == [Product(2 * 4 * 3, 3 * 3 * 3, 5)]


def test_a_narrow_exit_has_at_least_one_channel() -> None:
    exit_ = Bottleneck(4, NARROW, 3, 2, lambda width: nn.Identity())
    assert [tuple(conv.weight.shape) for conv in exit_.convs] == [(1, 4, 1, 1), (1, 1, 2, 2), (NARROW, 1, 1, 1)]


def test_frames_of_a_batch_become_batches_of_frames() -> None:
    frames = torch.arange(2 * 3 * 2 * 4 * 5).reshape(2, 3, 2, 4, 5)
    assert torch.equal(Raw(swap=True)(frames)[1, 0], frames[0, 1]) and Raw(swap=True)(frames).shape == (3, 2, 2, 4, 5)
    assert Raw()(frames) is frames


def test_one_step_of_a_layer_takes_and_leaves_its_membrane_by_hand() -> None:
    box = Box(given={"a": torch.tensor([[0.4, 0.8]])})
    layer = Carried(neurons.build(NeuronConfig(decay=0.25, threshold=0.5), 2), box, "a")
    spikes = layer(torch.tensor([[[0.3, 0.4]]]))  # v = λ·v + x: 0.4 and 0.6
    assert spikes.tolist() == [[[0.0, 1.0]]]
    torch.testing.assert_close(box.left["a"], torch.tensor([[0.4, 0.0]]))


def test_the_threshold_keeps_a_share_of_the_right_answers_by_hand() -> None:
    shares = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    right = torch.tensor([0, 1, 0, 1])  # of 0.9, 0.8 and 0.7; the last is wrong
    assert fit_threshold(shares, right, 2 / 3) == pytest.approx(0.8)
    assert fit_threshold(shares, right, 1.0) == pytest.approx(0.7)


# The machine.


def test_tasks_that_have_not_begun_end_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", lambda count, **_: ThreadPoolExecutor(count))
    begun, gate = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return gate.wait(20)

    with pytest.raises(KeyError), workers.pool(1) as executor:
        tasks = [executor.submit(wait) for _ in range(4)]
        begun.wait(20)
        threading.Timer(0.2, gate.set).start()
        raise KeyError
    assert [task.cancelled() for task in tasks] == [False, True, True, True]


@pytest.mark.parametrize(("bfloat16", "gains"), [(0.5, True), (0.9, False), (1.4, False)])
def test_bfloat16_has_to_be_faster_by_a_quarter(monkeypatch: pytest.MonkeyPatch, bfloat16: float, gains: bool) -> None:
    seconds = [1.0] * precision._ROUNDS + [bfloat16] * precision._ROUNDS
    clock = iter([moment for one in seconds for moment in (0.0, one)])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert precision._measured_gain() is gains


# Pictures.


def test_clouds_stand_side_by_side_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, Any] = {}
    monkeypatch.setattr(window, "no_display", lambda: None)
    monkeypatch.setattr(window, "_in_child", lambda **content: shown.update(content))
    ball = np.random.default_rng(0).normal(size=(20, 3))
    window.show([cloud_panel(Shape("a", ball)), cloud_panel(Shape("b", ball))], THEMES["light"])
    moved = shown["points"][20:] - shown["points"][:20]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 2.1)  # unit spheres, a tenth of a radius apart
    np.testing.assert_allclose(moved[:, 2], 0, atol=1e-12)


def test_a_panel_is_named_by_its_class_and_else_by_its_file() -> None:
    ball = np.random.default_rng(0).normal(size=(20, 3))
    named, plain = cloud_panel(Shape("a.off", ball, label="chair")), cloud_panel(Shape("a.off", ball))
    assert (named.title, named.note) == ("chair", "a.off")
    assert plain.title == "a.off" and "20" in plain.note


def recorded() -> NamedRecording:
    return NamedRecording("take", made_recording((30, 20), np.random.default_rng(0)), "")


def test_many_slices_of_one_recording_take_two_rows_and_their_height() -> None:
    few, many = (EventSheet([recorded()], EqualCount(steps), THEMES["light"], 0) for steps in (4, 10))
    pair = EventSheet([recorded(), recorded()], EqualCount(10), THEMES["light"], 0)
    assert (few.columns, many.columns, pair.columns) == (4, 5, 10)
    for sheet, rows in ((few, 1), (many, 2), (pair, 1)):
        frame = sheet.cell * 20 / 30 + picture.LABEL
        assert sheet._height(sheet.takes[0]) == pytest.approx(
            picture.HEAD + picture.BODY + rows * frame, abs=rows * 0.05 + 0.11
        )


def test_several_runs_are_summed_up_by_their_data_sets() -> None:
    records: Any = [SimpleNamespace(config=SimpleNamespace(dataset=name)) for name in ("shapes", "digits", "shapes")]
    assert flow._summary(records) == "3 runs on digits, shapes"
