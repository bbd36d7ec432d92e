"""The table of docs/deploy.md, What can be written how: each cell is what the formats themselves say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from export_nets import thin
from torch import nn

from spikecli import models
from spikecli.datasets.images.facts import IMAGE_SETS
from spikecli.datasets.sets import find_facts
from spikecli.errors import SpikeError
from spikecli.export import formats
from spikecli.export.graphs import graph_of
from spikecli.export.onnx_format import Session
from spikecli.export.probes import probe
from spikecli.export.subject import Subject
from spikecli.neuroclip.features import Viewing
from spikecli.settings.recipes import train_settings
from spikecli.weights.adapted import Adapted
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

PAGE = Path(__file__).parents[1] / "docs" / "deploy.md"
CPU = torch.device("cpu")
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "`.onnx`": ("onnx", {}),
    "`--step`": ("onnx", {"step": True}),
    "`--raw`": ("onnx", {"raw": True}),
    "`--noise`": ("onnx", {"noise": True}),
    "`.pt2`": ("pt2", {}),
    "`.nir`": ("nir", {}),
}


def of_set(dataset: str, paper: str, recipe: str, parts: dict[str, Any], **model: Any) -> Subject:
    """Return a folded network with fresh weights for a built-in data set."""
    config = train_settings(dataset, paper, recipe, {}, parts, model)
    network = models.build(config.model).eval()
    facts = IMAGE_SETS[dataset] if dataset in IMAGE_SETS else find_facts(dataset, Path("data"))
    trained = Trained(network, facts.classnames, Path(), Path(), model["name"], CPU, config, {})
    return Subject(reparameterize(network), network, facts.classnames, facts.kind, model["name"], trained, facts)


def clouds(name: str, tnet: str = "none", **parts: Any) -> Callable[[], Subject]:
    more: dict[str, Any] = {"width": 0.1, "neighbors": 4} if name == "dela" else {"tnet": tnet}
    return lambda: of_set("modelnet10", "lif", "short", parts, name=name, **more)


def adapter() -> Subject:
    """Return an adapter of one layer on a tower that sees 3 numbers of a picture."""

    class Tower(nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.flatten(2).mean(2)

    clip = SimpleNamespace(module=SimpleNamespace(visual=Tower()), size=32, mean=(0.5,) * 3, std=(1.0,) * 3)
    adapted: Any = SimpleNamespace(clip=clip, viewing=Viewing(2), texts=torch.eye(3), scale=1.0)
    return Subject(nn.Linear(3, 3), nn.Linear(3, 3), ("a", "b", "c"), "clip", "adapter", adapted=adapted)


ROWS: dict[str, Callable[[], Subject]] = {
    "PointNet": clouds("pointnet"),
    "PointNet, `--tnet pooled`": clouds("pointnet", "pooled"),
    "PointNet, `--start perturbed`": clouds("pointnet", start="perturbed"),
    "PointNet, `--start position`": clouds("pointnet", start="position"),
    "DeLA": clouds("dela"),
    "DeLA, `--start perturbed`": clouds("dela", start="perturbed"),
    "ResNets, VGG on events": lambda: thin("resnet20", size=(16, 16)),
    "the same, `--start perturbed`": lambda: thin("vgg16", size=(16, 16), parts={"start": "perturbed"}),
    "the same, ternary or with a soft reset": lambda: thin("vgg16", size=(16, 16), parts={"fire": "ternary"}),
    "ResNets, VGG on images": lambda: of_set("cifar10", "lif", "cifar", {}, name="resnet20", width=0.1),
    "adapter on CLIP": adapter,
}


def table() -> dict[str, dict[str, str]]:
    text = PAGE.read_text(encoding="utf-8").split("## What can be written how", 1)[1].split("\n## ", 1)[0]
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    assert tuple(lines[0][1:]) == tuple(COLUMNS)
    return {name: dict(zip(lines[0][1:], cells, strict=True)) for name, *cells in lines[2:]}


def test_the_table_has_a_row_for_each_network() -> None:
    assert list(table()) == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_cell_is_what_the_format_says(row: str) -> None:
    pytest.importorskip("nir", reason="the extra export is not installed")
    subject, cells = ROWS[row](), table()[row]
    for column, (form, asked) in COLUMNS.items():
        sensor = (34, 34) if subject.kind == "clip" else None
        refused = formats.named(form).refusals(subject, formats.Wanted(2, sensor=sensor, **asked))
        assert cells[column].startswith("no" if refused else "yes"), (row, column, refused)


def test_a_step_of_an_adapter_carries_the_sums_that_all_steps_need() -> None:
    """After the last step the logits are those of the whole graph, whose features lie in a row (2306.12073)."""
    pictures = torch.rand(4, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [0.1, 1.0, 0.4, 0.7]
    ).view(4, 1, 1, 1, 1)  # features of unlike lengths: the mean of the steps' own logits would differ
    subject = adapter()
    whole = graph_of(subject, formats.Wanted(4, raw=True))
    step = graph_of(subject, formats.Wanted(4, raw=True, step=True))
    assert [each.name for each in step.inputs[1:]] == ["start.products", "start.squares"]
    sums = [each.example for each in step.inputs[1:]]
    for picture in pictures:
        logits, *sums = step(picture[None], *sums)
    assert torch.allclose(logits, whole(pictures)[0], atol=1e-5)


def test_steps_of_an_adapter_are_as_many_as_it_was_fitted_with() -> None:
    """An export asks for four steps unless told otherwise; an adapter keeps its own number."""
    seen, tower = Viewing(3), adapter().adapted.clip.module.visual  # type: ignore[union-attr]
    clip = SimpleNamespace(encode_images=lambda pictures, style: tower(pictures), size=32)
    adapted = Adapted(nn.Identity(), ("a", "b"), Path(), Path(), "adapter", CPU, clip, seen, torch.eye(2, 3), 1.0)  # type: ignore[arg-type]
    subject = Subject(nn.Identity(), nn.Identity(), ("a", "b"), "clip", "adapter", adapted=adapted)
    found = probe(subject, formats.Wanted(4, step=True, sensor=(34, 34), samples=2))
    assert [len(case) for case in found.cases] == [3, 3]


def test_an_error_of_onnxruntime_is_one_line() -> None:
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    with pytest.raises(SpikeError, match=r"cannot open the network's graph: .*; try another version"):
        Session(b"no model", ["points"])
