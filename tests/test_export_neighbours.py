"""Neighbors in ONNX: the program's own index and order, on clouds with ties too; and a small DeLA with free points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikecli import models
from spikecli.datasets.sets import find_facts
from spikecli.export import formats, onnx_format
from spikecli.export.entries import Input
from spikecli.export.graphs import Graph
from spikecli.export.probes import made_clouds
from spikecli.export.subject import Subject
from spikecli.models import dela
from spikecli.models.batch_norm import BatchNorm
from spikecli.models.nearest import farthest_first, nearest
from spikecli.models.tracing import traced
from spikecli.settings.recipes import train_settings
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")


class Both(nn.Module):
    """The 5 nearest points of each, and the order in which a quarter is farthest first."""

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return nearest(points, 5), farthest_first(points, points.shape[1] // 4)


@pytest.fixture(scope="module")
def in_onnx() -> Callable[[Tensor], list[Tensor]]:
    cloud = Input("points", torch.rand(2, 32, 3), {0: "batch", 1: "points"}, "clouds", fewest=16)
    graph = Graph(Both(), (cloud,), ("index", "order"), "none", True)
    return lambda points: onnx_format.session(onnx_format.traced_model(graph).SerializeToString(), graph).run([points])


def test_neighbors_and_order_are_the_programs_own(in_onnx: Callable[[Tensor], list[Tensor]]) -> None:
    generator = torch.Generator().manual_seed(0)
    clouds = torch.randn(3, 200, 3, generator=generator)
    grid = torch.cartesian_prod(*[torch.arange(6.0)] * 3)[:200]  # most distances are tied
    both = torch.cat([clouds, grid[None], torch.zeros(1, 200, 3)])
    index, order = in_onnx(both)
    assert torch.equal(index, nearest(both, 5))
    assert torch.equal(order, farthest_first(both, 50))


def test_a_cloud_smaller_than_a_neighborhood_repeats_its_last_neighbor(
    in_onnx: Callable[[Tensor], list[Tensor]],
) -> None:
    """Three points have three neighbors; the graph holds five, as does torch while it is written down."""
    clouds = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    index, own = in_onnx(clouds)[0], nearest(clouds, 5)
    assert own.shape == (2, 3, 3)
    assert torch.equal(index, torch.cat([own, own[..., -1:], own[..., -1:]], 2))
    with traced():
        assert torch.equal(index, nearest(clouds, 5))


def spiking(paper: str, recipe: str, **model: Any) -> Subject:
    """Return a folded network for points with normals, whose norms have seen their layers, so that all spike."""
    config: Any = train_settings("modelnet10", paper, recipe, {}, {}, {"inputs": 6, **model})
    torch.manual_seed(0)
    network = models.build(config.model).train()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.endswith("norm.weight"):
                tensor.uniform_(-2, 2)
        for part in network.modules():
            if isinstance(part, BatchNorm):
                part.momentum = 0.9
        for _ in range(4):
            network(torch.randn(8, 64, config.model.inputs) / 3, 1)
    network.eval()
    facts = find_facts("modelnet10", Path("data"))
    trained = Trained(network, facts.classnames, Path(), Path(), config.model.name, torch.device("cpu"), config, {})
    return Subject(
        reparameterize(network).float(), network, facts.classnames, "points", config.model.name, trained, facts
    )


def test_a_dela_takes_clouds_of_any_number_of_points_with_normals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dela, "BLOCKS", 2)  # a third of the graph, and of the time that it takes
    subject, out = spiking("ternary", "dela", name="dela", width=0.1, neighbors=4), tmp_path / "net.onnx"
    done = formats.export(subject, formats.Wanted(2, samples=3, data_dir=tmp_path), out)
    assert done.inputs == {"points": "float32 (batch, points, 6)"}
    assert done.checked.max_logit_difference <= 1e-5 and done.checked.answers_changed == 0
    running: Any = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    rng, answers = np.random.default_rng(0), []
    for count in (16, 40, 77, 300):  # the last level has 1, 2, 4 and 18 points, a neighborhood 4
        points = made_clouds(2, count, 6, rng)
        answers.append(running.run(None, {"points": points})[0])
        with torch.no_grad():
            own = subject.network(torch.from_numpy(points), 2).mean(0)
        assert np.allclose(answers[-1], own, atol=1e-4)
    assert np.ptp(np.concatenate(answers), 0).max() > 1e-3  # it sees its input


def test_normals_go_into_the_graph_beside_their_points(tmp_path: Path) -> None:
    subject = spiking("lif", "short", name="pointnet", tnet="none")
    done = formats.export(subject, formats.Wanted(1, samples=2, data_dir=tmp_path), tmp_path / "net.onnx")
    assert done.checked.max_logit_difference <= 1e-5 and done.checked.answers_changed == 0
    clouds = torch.from_numpy(made_clouds(2, 80, 6, np.random.default_rng(3)))
    moved = torch.cat([4 * clouds[..., :3] + 2, clouds[..., 3:]], 2)  # normals do not move with their points
    running: Any = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    theirs = running.run(None, {"points": moved.numpy()})[0]
    with torch.no_grad():
        assert np.allclose(theirs, subject.network(clouds, 1)[0], atol=1e-2)  # 4 x + 2 rounds: a spike may move
    turned = torch.cat([clouds[..., :3], -clouds[..., 3:]], 2)
    assert np.abs(theirs - running.run(None, {"points": turned.numpy()})[0]).max() > 0.1
