"""NIR files: the same spikes in snnTorch, which reads them by itself; and refusals by node where NIR has no words."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome
from export_nets import thin

from spikecli.errors import SpikeError
from spikecli.export import formats, nir_format
from spikecli.export.nir_graph import DT, drawn
from spikecli.export.probes import made_recording

nir = pytest.importorskip("nir", reason="the extra export is not installed")
pytest.importorskip("snntorch", reason="snnTorch, which the check runs in, is not installed")

Cli = Callable[..., Outcome]
WANTED = formats.Wanted(timesteps=3, samples=2)


@pytest.mark.parametrize(("name", "size"), [("resnet20", (16, 16)), ("vgg16", (16, 16)), ("resnet19", (8, 8))])
def test_every_spike_is_the_same_in_snntorch(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    subject = thin(name, size=size)
    done = formats.export(subject, WANTED, tmp_path / "net.nir")
    found = done.checked
    assert found.spikes_flipped == 0 and found.answers_changed == 0 and found.max_logit_difference <= 1e-5
    graph = nir.read(tmp_path / "net.nir")
    frames = torch.from_numpy(np.random.default_rng(1).poisson(1, (3, 2, 2, *size))).double()
    spikes, logits = nir_format.simulate(graph, frames)
    fired = sum(float(step.sum()) for steps in spikes.values() for step in steps)
    assert 0.01 < fired / (found.spikes or 1) < 0.9  # it spikes, and is silent
    with torch.no_grad():
        assert torch.allclose(logits, subject.network.double()(frames, 3).mean(0), atol=1e-9)


def test_real_recordings_give_the_same_spikes(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "N-MNIST-500.tar.xz") as archive:
        members = [each for each in archive.getmembers() if "/Test/" in each.name and each.name.endswith("0.bin")][:2]
        archive.extractall(tmp_path, members, filter="data")
    files = tuple(sorted(tmp_path.rglob("*.bin")))
    wanted = formats.Wanted(timesteps=4, files=files)
    done = formats.export(thin("vgg16", size=(16, 16)), wanted, tmp_path / "net.nir")
    assert done.checked.source == "2 files" and done.checked.spikes_flipped == 0


def test_the_numbers_of_a_neuron_are_hand_computed() -> None:
    """λ = ¼: τ = dt/(1 − λ), R = 1/(1 − λ), so that v ← ¼·v + I."""
    node = drawn(thin("vgg16").network, (16, 16), 2).nodes["layers_0_fire"]
    assert np.allclose(node.tau, DT / 0.75) and np.allclose(node.r, 1 / 0.75) and (node.v_reset == 0).all()
    assert node.v_threshold.shape == (8, 16, 16) and (node.v_threshold == 0.5).all()


def test_a_wrong_spike_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = nir_format.simulate

    def wrong(graph: object, frames: torch.Tensor) -> object:
        spikes, logits = right(graph, frames)
        spikes["layers_0_fire"][0] = 1 - spikes["layers_0_fire"][0]
        return spikes, logits

    monkeypatch.setattr(nir_format, "simulate", wrong)
    with pytest.raises(SpikeError, match=r"was not written: in snnTorch 4,096 of .* spikes differ"):
        formats.export(thin("vgg16", size=(16, 16)), WANTED, tmp_path / "net.nir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "size", "node", "reason"),
    [
        ({"fire": "ternary"}, (16, 16), "layers.0.fire", "fires ternary spikes of 3 levels"),
        ({"reset": "soft"}, (16, 16), "layers.0.fire", "a soft reset subtracts"),
        ({"decay": 1.0}, (16, 16), "layers.0.fire", "a decay of 1 is NIR's IF"),
        ({}, (12, 12), "layers.7.pool", "do not divide a map of 3 x 3"),
    ],
)
def test_what_nir_cannot_say_is_refused_by_node(
    parts: dict[str, object], size: tuple[int, int], node: str, reason: str, tmp_path: Path
) -> None:
    subject = thin("vgg16", parts=parts, size=size)
    refused = nir_format.NIR.refusals(subject, WANTED)
    assert any(each.node == node and reason in each.reason for each in refused), refused
    with pytest.raises(SpikeError, match=r"\.nir cannot say"):
        formats.export(subject, WANTED, tmp_path / "new" / "net.nir")
    assert list(tmp_path.iterdir()) == []


def test_points_and_maxima_are_refused_without_writing(cli: Cli, tmp_path: Path) -> None:
    asked = cli("export", "reference", "--check", "nir", "--json")
    assert asked.code == 1 and "cannot be exported as nir: 5 parts" in asked.err
    refused = {each["node"]: each["reason"] for each in asked.document["refused"]}
    assert refused["pool"] == "a maximum over points; NIR has none"
    assert refused["fire1"].startswith("fires ternary spikes")
    written = cli("export", "reference", "--out", tmp_path / "net.nir")
    assert written.code == 1 and ".nir cannot say" in written.err and "checking it" not in written.err


def test_the_program_of_the_page_answers_as_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames of `inputs`, read by a program that knows no spikecli."""
    import spikecli.library
    from spikecli.datasets.events.samples import Framing

    page = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text(encoding="utf-8")
    program = page.split("## Neuromorphic tools: NIR", 1)[1].split("```python", 1)[1].split("```", 1)[0]
    subject = thin("vgg16", size=(16, 16))
    formats.export(subject, replace(WANTED, timesteps=4), tmp_path / "net.nir")
    assert subject.trained is not None
    model = spikecli.library.Model(**vars(subject.trained))
    for seed in range(2):
        recording = made_recording((34, 34), np.random.default_rng(seed))
        frames = model.inputs(recording, timesteps=4)
        assert (frames == Framing.of_config(model.config).of_recording(recording, 4)).all()
        np.save(tmp_path / "frames.npy", frames.astype(np.float32))
        capsys.readouterr()
        with contextlib.chdir(tmp_path):
            exec(program, {})
        answer = model.predict(recording, 4)
        assert capsys.readouterr().out.splitlines()[-1] == f"{answer.label} {answer.probability:.1%}"


def test_the_file_says_how_frames_are_made(tmp_path: Path) -> None:
    """Trained with one step, read with four slices: counts of a 34 × 34 sensor, scaled to 16 × 16, times four."""
    formats.export(thin("vgg16", size=(16, 16)), replace(WANTED, timesteps=4), tmp_path / "net.nir")
    assert nir.read(tmp_path / "net.nir").metadata["input"] == (
        "a frame a step: counts of events, channel 0 darker and 1 brighter, counted in 4 slices of equal count, scaled "
        "to 16 x 16 pixels (bilinear, with antialiasing where that shrinks them), times 4"
    )
