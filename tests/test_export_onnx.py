"""ONNX files: the same answers in onnxruntime, free batch and points, no torch; and nothing written if not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from export_nets import thin
from furniture import chair

import spikecli
from spikecli import models
from spikecli.datasets.events.frames import SLICINGS, fitted, to_frames
from spikecli.datasets.events.samples import Framing
from spikecli.datasets.sets import find_facts
from spikecli.errors import ChoiceError, SpikeError
from spikecli.export import formats, membranes, onnx_format, proof
from spikecli.export.entries import shown_as
from spikecli.export.fronts import Fit, Slices, Sphere
from spikecli.export.probes import inputs_of, made_recording
from spikecli.export.subject import Subject
from spikecli.settings.config import Resize
from spikecli.settings.recipes import train_settings
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")

Cli = Callable[..., Outcome]
RESIZE: tuple[Resize, ...] = ("bilinear", "nearest")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Export the reference weights at T = 2; return the file and the JSON."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("onnx")
    mesh = chair(folder / "chair.off")
    out = folder / "net.onnx"
    words = ["export", "reference", "--out", out, "--timesteps", 2, "--sample", mesh, "--sample", mesh, "--config"]
    (folder / "settings.toml").write_text("quiet = true\n")
    assert run([str(word) for word in [*words, folder / "settings.toml"]]) == 0
    return out, {"mesh": mesh}


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_a_cloud_of_any_place_and_scale_gets_the_answer_of_predict(exported: tuple[Path, dict[str, Any]]) -> None:
    out, made = exported
    network = spikecli.load("reference", "cpu")
    from spikecli.datasets.clouds.formats import load_points_of

    points = load_points_of(made["mesh"], 1024)
    logits, shares = session(out).run(None, {"points": (40 * points + [7, -3, 100]).astype(np.float32)[None]})
    wanted = network.predict(made["mesh"], 2).probabilities
    assert np.allclose(shares[0], list(wanted.values()), atol=2e-3)  # 40 x + 7 rounds: a spike may move
    (same, _) = session(out).run(None, {"points": points[None]})
    assert same.argmax() == list(wanted.values()).index(max(wanted.values())) == logits.argmax()


def test_batch_and_points_are_free_and_clouds_do_not_meet(exported: tuple[Path, dict[str, Any]]) -> None:
    running, rng = session(exported[0]), np.random.default_rng(0)
    clouds = rng.normal(size=(3, 200, 3)).astype(np.float32)
    together = running.run(None, {"points": clouds})[0]
    alone = [running.run(None, {"points": cloud[None]})[0][0] for cloud in clouds]
    assert together.shape == (3, 10)
    assert np.allclose(together, alone, atol=1e-5)
    assert running.run(None, {"points": clouds[:1, :50]})[0].shape == (1, 10)


def test_the_file_says_what_it_is_and_holds_no_place_of_this_machine(exported: tuple[Path, dict[str, Any]]) -> None:
    model = onnx.load(exported[0])
    facts = {each.key: each.value for each in model.metadata_props}
    assert json.loads(facts["spikecli.classes"])[:2] == ["bathtub", "bed"]
    assert facts["spikecli.timesteps"] == "2" and facts["spikecli.version"] == spikecli.__version__
    assert "farthest point is at distance 1" in facts["spikecli.preprocessing"]
    check = json.loads(facts["spikecli.check"])
    assert check["samples"] == 2 and check["answers_changed"] == 0 and check["max_logit_difference"] <= 1e-5
    assert {each.domain: each.version for each in model.opset_import}[""] == onnx_format.OPSET
    content = exported[0].read_bytes()
    assert b"site-packages" not in content and b".py" not in content


def test_a_program_without_torch_and_without_spikecli_runs_it(exported: tuple[Path, dict[str, Any]]) -> None:
    """The program of docs/deploy.md, in a process that refuses torch and spikecli."""
    page = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text(encoding="utf-8")
    program = page.split("```python", 1)[1].split("```", 1)[0]
    refuse = "import sys\nsys.modules['torch'] = None\nsys.modules['spikecli'] = None\n"
    from spikecli.datasets.clouds.formats import load_points_of

    folder = exported[0].parent
    np.save(folder / "cloud.npy", load_points_of(exported[1]["mesh"], 1024))
    ended = subprocess.run(
        [sys.executable, "-c", refuse + program], cwd=folder, capture_output=True, text=True, check=True
    )
    answer = spikecli.load("reference", "cpu").predict(exported[1]["mesh"], 2)
    assert ended.stdout.split() == [answer.label.replace(" ", "_"), f"{answer.probability:.1%}"]


def test_the_cpp_program_of_the_page_runs_it(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Compiled where a compiler finds onnxruntime's headers and library, as with Debian's libonnxruntime-dev."""
    from spikecli.datasets.clouds.formats import load_points_of

    page = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text(encoding="utf-8")
    (tmp_path / "main.cpp").write_text(page.split("```cpp", 1)[1].split("```", 1)[0])
    build = ["g++", "-std=c++17", "main.cpp", "-I/usr/include/onnxruntime", "-lonnxruntime", "-o", "main"]
    check = "#include <onnxruntime_cxx_api.h>\nint main() {}\n"
    look = ["g++", "-std=c++17", "-E", "-x", "c++", "-I/usr/include/onnxruntime", "-"]
    if shutil.which("g++") is None or subprocess.run(look, input=check, capture_output=True, text=True).returncode:
        pytest.skip("no g++, or no headers of onnxruntime")
    subprocess.run(build, cwd=tmp_path, check=True)
    (tmp_path / "net.onnx").write_bytes(exported[0].read_bytes())
    np.savetxt(tmp_path / "cloud.xyz", load_points_of(exported[1]["mesh"], 1024))
    ended = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
    network = spikecli.load("reference", "cpu")
    answer = network.predict(exported[1]["mesh"], 2)
    assert ended.stdout.split() == ["class", str(network.classnames.index(answer.label)), f"{answer.probability:.1%}"]


def test_raw_frames_say_how_they_are_made() -> None:
    subject = thin("vgg16")
    for step in (True, False):
        shown = shown_as(subject, formats.Wanted(2, raw=True, step=step))
        assert shown.input.holds.endswith(
            "channel 0 darker and 1 brighter, counted in 2 slices of equal count, scaled to "
            "12 x 12 pixels (bilinear, with antialiasing where that shrinks them), times 2"
        )


def test_a_format_that_is_none_is_of_the_option_that_names_it(cli: Cli) -> None:
    assert "--check cannot be 'foo': choose one of onnx, nir, pt2" in cli("export", "reference", "--check", "foo").err
    assert "--out cannot end in .foo: choose one of .onnx" in cli("export", "reference", "--out", "net.foo").err
    assert "--out cannot be without a suffix: choose one of .onnx" in cli("export", "reference", "--out", "net").err


def test_a_sensor_is_of_recordings(cli: Cli, tmp_path: Path) -> None:
    found = cli("export", "reference", "--out", tmp_path / "net.onnx", "--sensor", "34x34")
    assert found.code == 2 and "--sensor is for networks on recordings" in found.err


def test_a_random_start_is_an_input_or_zero(tmp_path: Path) -> None:
    """Potentials given to the file act as the same potentials in the network; without the option none is an input."""
    config = train_settings("modelnet10", "spiking-pointnet", "short", {}, {}, {"name": "pointnet", "tnet": "none"})
    torch.manual_seed(0)
    network = models.build(config.model).eval()
    folded = reparameterize(network).float()
    facts = find_facts("modelnet10", tmp_path)
    trained = Trained(network, facts.classnames, Path(), Path(), "perturbed", torch.device("cpu"), config, {})
    subject = Subject(folded, network, facts.classnames, "points", "perturbed", trained, facts)
    out = tmp_path / "net.onnx"
    wanted = formats.Wanted(2, raw=True, noise=True, samples=2, data_dir=tmp_path)
    done = formats.export(subject, wanted, out)
    starts = [name for name in done.inputs if name.startswith("start.")]
    assert starts and done.inputs["start.fire1"] == "float32 (batch, points, 64)"
    assert done.checked.max_logit_difference <= 1e-5
    rng = np.random.default_rng(0)
    given = {"points": rng.normal(size=(2, 40, 3)).astype(np.float32) / 3}
    shapes = {"fire1": (2, 40, 64), "fire2": (2, 40, 128), "fire4": (2, 512), "fire5": (2, 256)}
    noise = {name: 8 * rng.random(shape, np.float32) for name, shape in shapes.items()}
    running = session(out)
    theirs = running.run(None, {**given, **{f"start.{name}": noise[name] for name in shapes}})[0]
    box = membranes.Box({name: torch.from_numpy(value) for name, value in noise.items()})
    membranes.given(folded, box)
    with torch.no_grad():
        ours = folded(torch.from_numpy(given["points"]), 2).mean(0)
    assert np.allclose(theirs, ours, atol=1e-5)
    silent = running.run(None, {**given, **{f"start.{name}": 0 * noise[name] for name in shapes}})[0]
    assert np.abs(theirs - silent).max() > 1e-3


def test_one_step_at_a_time_gives_what_all_steps_give(tmp_path: Path) -> None:
    """Membranes go out of one step and into the next; compare() runs four and takes the mean."""
    network = spikecli.load("reference", "cpu")
    mesh = chair(tmp_path / "chair.off")
    done = network.export(tmp_path / "step.onnx", 4, samples=[mesh], step=True, raw=True)
    assert done.checked.max_logit_difference <= 1e-5 and done.checked.answers_changed == 0
    assert done.inputs["start.fire1"] == "float32 (batch, points, 64)"
    assert set(done.outputs) == {"logits", *(f"next.fire{number}" for number in (1, 2, 4, 5))}
    assert done.outputs["logits"] == "float32 (batch, 10)"
    assert done.outputs["next.fire1"] == "float32 (batch, points, 64)"


def test_another_answer_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = spikecli.load("reference", "cpu")

    right = proof.logits_of
    calls: list[int] = []

    def spoiled(*arguments: Any) -> torch.Tensor:
        calls.append(1)
        return right(*arguments) + (1e-3 if len(calls) == 1 else 0)

    monkeypatch.setattr(proof, "logits_of", spoiled)
    monkeypatch.setattr(onnx_format, "traced_model", lambda graph: Model())
    monkeypatch.setattr(onnx_format, "session", lambda content, graph: Same(graph))
    with pytest.raises(SpikeError, match=r"was not written: onnxruntime .* by up to 0.001 .* for 8 of 8 samples"):
        network.export(tmp_path / "new" / "net.onnx", 1)
    assert list(tmp_path.iterdir()) == []


class Model:
    def SerializeToString(self) -> bytes:
        return b""


class Same:
    """A program that computes as the network does."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def run(self, tensors: Any) -> Any:
        return self.graph(*tensors)


def test_a_resnet_counts_its_own_events_and_carries_its_membranes(tmp_path: Path) -> None:
    wanted = formats.Wanted(timesteps=3, step=True, samples=3, data_dir=tmp_path)
    done = formats.export(thin("resnet20"), wanted, tmp_path / "net.onnx")
    assert done.checked.max_logit_difference <= 1e-5 and done.checked.answers_changed == 0
    assert done.inputs["events"] == "int64 (events, 4)"
    facts = {each.key: each.value for each in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert "times 3" in facts["spikecli.preprocessing"]  # trained with one step, as `predict` scales three slices
    assert "made samples, seed 0" in done.checked.source


def test_a_recording_of_another_sensor_needs_its_size(tmp_path: Path) -> None:
    """The graph of a network for 34 x 34 pixels has no place for an event at 99, 99."""
    events = np.array([[99, 99, t, t % 2] for t in range(40)])
    np.savez(
        tmp_path / "big.npz", x=events[:, 0], y=events[:, 1], t=events[:, 2], p=events[:, 3], width=100, height=100
    )
    wanted = formats.Wanted(timesteps=2, files=(tmp_path / "big.npz",), data_dir=tmp_path)
    with pytest.raises(SpikeError, match=r"found a recording of 100x100 pixels.* give sensor 100x100"):
        formats.export(thin("resnet20"), wanted, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
    assert inputs_of(thin("resnet20"), wanted)[1].shape[:2] == (1, 2)  # frames, which NIR takes, are of any sensor
    done = formats.export(thin("resnet20"), replace(wanted, timesteps=1, sensor=(100, 100)), tmp_path / "net.onnx")
    assert done.checked.max_logit_difference <= 1e-5 and done.checked.source == "1 file"


@pytest.mark.parametrize("resize", RESIZE)
@pytest.mark.parametrize("slicing", ["count", "time"])
@pytest.mark.parametrize(("steps", "size"), [(1, (12, 12)), (4, (12, 12)), (3, (20, 30))])
def test_slices_in_the_graph_are_the_programs_own(
    slicing: str, steps: int, size: tuple[int, int], resize: Resize
) -> None:
    recording = made_recording((30, 20), np.random.default_rng(5))
    recording.events["t"] += 123_456
    table = torch.from_numpy(np.stack([recording.events[axis].astype(np.int64) for axis in "xytp"], 1))
    framing = Framing(slicing, size, 2, resize)
    found = Slices(steps, slicing, (20, 30), size, max(1.0, steps / 2), resize == "nearest")(table)[:, 0]
    assert torch.allclose(found, torch.from_numpy(framing.of_recording(recording, steps)).float(), atol=1e-4)
    plain = Slices(steps, slicing, (20, 30))(table)[:, 0]
    assert torch.equal(plain, torch.from_numpy(to_frames(recording, SLICINGS[slicing](steps))).float())


@pytest.mark.parametrize("resize", RESIZE)
@pytest.mark.parametrize(("sensor", "size"), [((34, 34), (12, 12)), ((20, 30), (24, 24)), ((180, 240), (48, 32))])
def test_two_matrices_scale_as_the_program_does(sensor: tuple[int, int], size: tuple[int, int], resize: Resize) -> None:
    maps = torch.rand(2, 1, *sensor, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(
        Fit(sensor, size, 0.25, resize == "nearest")(maps), fitted(maps, 0.25, size, resize), atol=1e-5
    )


def test_the_sphere_is_hand_computed() -> None:
    """Points 0 and 4 on the axis: mean 2, farthest 2 away."""
    cloud = torch.tensor([[[0.0, 1, 1], [4, 1, 1]]])
    assert Sphere()(cloud).tolist() == [[[-1, 0, 0], [1, 0, 0]]]


def test_what_cannot_be_named_or_said_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert cli("export", "reference", "--out", tmp_path / "net.tflite").code == 2
    asked = cli("export", "reference")
    assert asked.code == 2 and "--out or --check is needed" in asked.err
    both = cli("export", "reference", "--out", tmp_path / "x.onnx", "--check", "onnx")
    assert both.code == 2 and "--check asks and writes nothing" in both.err
    can = cli("export", "reference", "--check", "onnx", "--json")
    assert can.code == 0 and can.document["can"] is True and can.document["refused"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_format_from_outside_is_one_object() -> None:
    class Own:
        def refusals(self, subject: Any, wanted: Any) -> list[formats.Refusal]:
            return [formats.Refusal("pool", "my chip has no maximum")]

        def write(self, subject: Any, wanted: Any, path: Path) -> formats.Exported:
            raise AssertionError("a refused network is not written")

    formats.add("mychip", Own())
    try:
        with pytest.raises(SpikeError, match=r"\.mychip cannot say pool: my chip has no maximum"):
            formats.export(thin("vgg16"), formats.Wanted(), Path("net.mychip"))
        with pytest.raises(SpikeError, match="there already"):
            formats.add("onnx", Own())
    finally:
        formats._ADDED.pop("mychip")
    with pytest.raises(ChoiceError, match=r"choose one of \.onnx"):
        formats.named("mychip")
